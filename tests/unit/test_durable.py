"""Files that survive a crash and that nobody else can read."""

from __future__ import annotations

import errno
import os
import resource
import secrets
import stat
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from cloudship import durable, locking
from cloudship.errors import ConfigError, ShipBusy, StorageError


@pytest.fixture
def no_umask() -> Iterator[None]:
    """Let every mode through, as some containers do."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("no_umask")
def test_all_that_is_made_is_for_its_user_alone(tmp_path: Path) -> None:
    """Folders 0700, those above included, and files 0600, whatever the umask."""
    deep = tmp_path / "a" / "b" / "c"
    durable.folder(deep)
    durable.write(deep / "one", "1")
    durable.write_new(deep / "two", "2")
    durable.append(deep / "three", b"3")
    with locking.alone(deep / "ship", "web", now=0):
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "a").rglob("*")}
    assert {0o700} == {modes.pop(name) for name in ("b", "c", "ship")}
    assert {"one", "two", "three", "lock", "holder.json"} == set(modes)
    assert {0o600} == set(modes.values())


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    """Where it cannot be replaced, what was there stays, and nothing is left beside it."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "inside").touch()
    with pytest.raises(StorageError, match="Is a directory"):
        durable.write(tmp_path / "full", "new")
    assert ["full"] == [path.name for path in tmp_path.iterdir()]


def test_several_replace_one_file_at_once(tmp_path: Path) -> None:
    """Nobody fails for the others: it is one of theirs, whole, and nothing is left beside it."""
    texts = [str(number) * 10_000 for number in range(4)]

    def write(text: str) -> None:
        for _ in range(40):
            durable.write(tmp_path / "file", text)

    with ThreadPoolExecutor(len(texts)) as several:
        assert [None] * len(texts) == list(several.map(write, texts))
    assert durable.read(tmp_path / "file") in texts
    assert ["file"] == [path.name for path in tmp_path.iterdir()]


def test_whoever_is_interrupted_while_a_file_is_replaced_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C is no error of the system's, and what was begun goes just the same."""

    def interrupted(_descriptor: int) -> None:
        raise KeyboardInterrupt

    durable.write(tmp_path / "file", "old")
    monkeypatch.setattr("os.fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        durable.write(tmp_path / "file", "new")
    assert [("file", "old")] == [(path.name, path.read_text()) for path in tmp_path.iterdir()]


def test_what_a_killed_process_left_is_in_nobodys_way(tmp_path: Path) -> None:
    """It is no file of the name, and goes with its folder."""
    (tmp_path / "ship").mkdir()
    (tmp_path / "ship" / f"file.{'0' * 10}.part").touch()
    durable.write(tmp_path / "ship" / "file", "new")
    assert "new" == durable.read(tmp_path / "ship" / "file")
    durable.remove_folder(tmp_path / "ship")
    assert [] == [*tmp_path.iterdir()]


def test_nothing_is_written_through_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link that lies where a file is to be written is replaced; what it leads to stays as it was."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "file").symlink_to(victim)
    durable.write(tmp_path / "file", "new")
    assert ("precious", "new", False) == (
        victim.read_text(),
        (tmp_path / "file").read_text(),
        (tmp_path / "file").is_symlink(),
    )
    monkeypatch.setattr(secrets, "token_hex", lambda _bytes: "guessed")
    (tmp_path / "file.guessed.part").symlink_to(victim)
    with pytest.raises(StorageError, match="File exists"):
        durable.write(tmp_path / "file", "newer")
    assert ("precious", "new") == (victim.read_text(), (tmp_path / "file").read_text())


def test_a_pipe_in_the_place_of_a_file_keeps_nobody_waiting(tmp_path: Path) -> None:
    """It is no file of ours: it is neither read nor added to."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="no file"):
        durable.read(tmp_path / "pipe")
    with pytest.raises(StorageError, match="no file"):
        durable.append(tmp_path / "pipe", b"line")


def test_what_is_no_text_is_marked_where_it_is_read(tmp_path: Path) -> None:
    """A bit that has turned in a file is no reason to fail."""
    (tmp_path / "file").write_bytes(b"a\xffb")
    assert "a\ufffdb" == durable.read(tmp_path / "file")


@pytest.mark.parametrize(
    ("number", "says"), [(errno.EMFILE, "open no more files"), (errno.ENOSPC, "no room left"), (errno.EPIPE, None)]
)
def test_what_this_machine_has_no_more_of_is_told_wherever_it_is_missed(number: int, says: str | None) -> None:
    """Files and room run out in any call; every other error is another matter."""
    found = durable.exhausted(OSError(number, os.strerror(number)))
    assert says is None if found is None else says is not None and says in found.message


def test_of_a_link_to_a_folder_the_link_is_removed(tmp_path: Path) -> None:
    """What it leads to is somebody else's."""
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "file").write_text("precious")
    (tmp_path / "ours").symlink_to(tmp_path / "theirs")
    durable.remove_folder(tmp_path / "ours")
    assert ["theirs"] == [path.name for path in tmp_path.iterdir()]
    assert "precious" == (tmp_path / "theirs" / "file").read_text()


def test_what_is_not_there_is_removed_already(tmp_path: Path) -> None:
    """Nor need the folder above it be there."""
    durable.remove_folder(tmp_path / "a" / "b")


@pytest.mark.parametrize(
    ("number", "step"),
    [
        (errno.ENOSPC, "make room"),
        (errno.EDQUOT, "make room"),
        (errno.EROFS, "that you may write to"),
        (errno.EACCES, "that you may write to"),
        (errno.EISDIR, "move it away"),
        (errno.EMFILE, "ulimit -n"),
    ],
)
def test_what_the_system_refuses_is_named_with_what_helps(number: int, step: str) -> None:
    """The path, the system's own words, and the next step."""
    error = durable.fault(OSError(number, os.strerror(number), "/state/x"))
    assert os.strerror(number) in error.message
    assert error.next_step is not None
    assert step in error.next_step


def test_a_temporary_folder_that_cannot_be_made_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an error of ours, with the system's words."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    with pytest.raises(StorageError, match="temporary") as caught, durable.workspace():
        pass
    assert "TMPDIR" in str(caught.value.next_step)


@pytest.mark.parametrize("more", [0, 1, 3, 20])
def test_a_temporary_folder_goes_where_a_process_may_open_no_more_files(more: int) -> None:
    """However deep it is, and whatever links lie in it; what they lead to stays."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held: list[int] = []
    try:
        with durable.workspace() as folder:
            deep = folder.joinpath(*"abcdefgh")
            deep.mkdir(parents=True)
            (deep / "file").touch()
            (deep / "link").symlink_to(Path(__file__).parent)
            resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
            with suppress(OSError):
                while True:
                    held.append(os.open(os.devnull, os.O_RDONLY))
            for _ in range(more):
                os.close(held.pop())
        assert not folder.exists()
    finally:
        for one in held:
            os.close(one)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert Path(__file__).exists()


def test_a_lock_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """A folder lies in its place; that is another matter than somebody who holds it."""
    (tmp_path / "lock").mkdir()
    with pytest.raises(ConfigError, match="lock"), locking.alone(tmp_path, "web", now=0):
        pass
    assert not locking.is_free(tmp_path)


def test_a_torn_word_about_the_holder_is_no_matter(tmp_path: Path) -> None:
    """Whoever comes second is told that the ship is held, and no more."""
    with locking.alone(tmp_path, "web", now=0):
        (tmp_path / "holder.json").write_text('{"pid": 1')
        with pytest.raises(ShipBusy) as caught, locking.alone(tmp_path, "web", now=0):
            pass
    assert "web is being launched on this machine" == caught.value.message


def test_workspaces_of_killed_processes_are_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They hold copies of apps. One in which somebody works, one that was just made and a stranger's folder stay."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    dead, young, stranger = (tmp_path / f"cloudship-{name}" for name in ("workspace-dead", "workspace-young", "old"))
    for folder in (dead, young, stranger):
        (folder / "deep").mkdir(parents=True)
        (folder / "deep" / "file").touch()
    with durable.workspace() as used:
        for folder in (dead, stranger, used):
            os.utime(folder, (0, 0))
        with durable.workspace() as second:
            assert {used, second, young, stranger} == set(tmp_path.iterdir())
    assert {young, stranger} == set(tmp_path.iterdir())
