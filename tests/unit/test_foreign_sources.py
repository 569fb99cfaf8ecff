"""SOURCE as anybody may write it, and trees as anybody may have made them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from campaign import hostile_git

from cloudship import git, source
from cloudship.errors import SourceError
from cloudship.source import GitSource


@pytest.mark.parametrize("text", ["~nobody-there/x", "a\0b", "x" * 300, "a/" * 3000, "http://[", "a@\0", "~\0"])
def test_what_is_no_path_and_no_url_is_refused(text: str) -> None:
    """With a sentence, and never with an error of the system's."""
    with pytest.raises(SourceError):
        source.parse(text)


@pytest.mark.parametrize(
    ("text", "url", "ref"),
    [
        ("https://example.org/a.git@v1", "https://example.org/a.git", "v1"),
        ("https://me:pass@example.org/a.git@v1", "https://example.org/a.git", "v1"),
        ("ssh://git@example.org/a.git", "ssh://git@example.org/a.git", None),
        ("git@example.org:a.git@v1", "git@example.org:a.git", "v1"),
        ("https://me@example.org:8443/a.git", "https://example.org:8443/a.git", None),
    ],
)
def test_a_url_is_parted_from_who_logs_in_and_what_is_wanted(text: str, url: str, ref: str | None) -> None:
    """A user of ssh is part of the address; over HTTP it may be a token."""
    found = source.parse(text)
    assert isinstance(found, GitSource)
    assert (url, ref) == (found.url, found.ref)


def test_a_folder_whose_name_is_a_trap_is_shown_as_one_word(tmp_path: Path) -> None:
    """The droplet is told what was sent: git takes no line end there."""
    folder = tmp_path / "a\nb\x1b[2J"
    folder.mkdir()
    (folder / "index.html").write_text("hello")
    tree = git.read(source.parse(folder), tmp_path / "workspace")
    assert tree.description.isprintable()
    assert (tree.root / "index.html").read_text() == "hello"


def _repository(folder: Path) -> Path:
    """Make a repository of what lies in a folder."""
    words = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b"]
    for more in (("init", "-q"), ("add", "-A"), ("commit", "-q", "-m", "one")):
        subprocess.run([*words, *more], check=True)
    return folder


def test_no_command_runs_that_a_folders_own_repository_fetches_by(tmp_path: Path) -> None:
    """What it lacks stays lacking: the folder is sent as it is, and the commit is not there. A plain git runs it."""
    folder = _with_page(tmp_path / "theirs")
    hostile_git.hollow(_repository(folder), f"touch {tmp_path}/ran")
    tree = git.read(source.parse(str(folder)), tmp_path / "one")
    assert (None, ["index.html"]) == (tree.origin, [path.name for path in tree.root.iterdir()])
    with pytest.raises(SourceError, match="no commit"):
        git.read(source.parse(f"{folder}@HEAD"), tmp_path / "two")
    assert not (tmp_path / "ran").exists()
    subprocess.run(["git", "rev-parse", "HEAD^{commit}"], cwd=folder, capture_output=True, check=False)
    assert (tmp_path / "ran").exists()


def test_a_commit_that_a_partial_clone_has_not_fetched_is_refused(tmp_path: Path) -> None:
    """With what fetches it: we fetch nothing for a repository of this machine."""
    theirs = _repository(_with_page(tmp_path / "theirs"))
    subprocess.run(["git", "-C", str(theirs), "config", "uploadpack.allowFilter", "true"], check=True)
    words = ["git", "clone", "-q", "--no-checkout", "--filter=blob:none", f"file://{theirs}", str(tmp_path / "part")]
    subprocess.run(words, check=True)
    with pytest.raises(SourceError, match=r"index\.html was never fetched") as caught:
        git.read(source.parse(f"{tmp_path / 'part'}@HEAD"), tmp_path / "one")
    assert "git fetch --refetch" in str(caught.value.next_step)


@pytest.mark.parametrize("from_git", [True, False])
def test_links_that_lead_out_only_together_are_refused(tmp_path: Path, from_git: bool) -> None:
    """Each alone stays inside: one leads to the top, the other past it."""
    folder = tmp_path / "source"
    (folder / "deep").mkdir(parents=True)
    (folder / "index.html").write_text("hello")
    (folder / "deep" / "up").symlink_to("..")
    (folder / "out").symlink_to("deep/up/../outside.txt")
    (tmp_path / "outside.txt").write_text("of this machine")
    text = f"file://{_repository(folder)}" if from_git else str(folder)
    with pytest.raises(SourceError, match="lead out"):
        git.read(source.parse(text), tmp_path / "workspace")


def _hash(folder: Path, kind: str, data: bytes) -> str:
    words = ["git", "-C", str(folder), "hash-object", "-t", kind, "-w", "--literally", "--stdin"]
    return subprocess.run(words, input=data, capture_output=True, check=True).stdout.decode().strip()


@pytest.mark.parametrize("trap", ["a file that is a folder too", "the same name twice", "a path without an end"])
def test_trees_that_git_itself_would_not_make_are_refused(tmp_path: Path, trap: str) -> None:
    """A repository can hold what no working tree can be."""
    folder = _repository(_with_page(tmp_path / "source"))
    blob = _hash(folder, "blob", b"x")
    entry = b"100644 a\0" + bytes.fromhex(blob)
    if trap == "a path without an end":
        tree = _hash(folder, "tree", b"100644 f\0" + bytes.fromhex(blob))
        for _ in range(30):
            tree = _hash(folder, "tree", b"40000 " + b"d" * 200 + b"\0" + bytes.fromhex(tree))
    elif trap == "the same name twice":
        tree = _hash(folder, "tree", entry + entry)
    else:
        inner = _hash(folder, "tree", b"100644 f\0" + bytes.fromhex(blob))
        tree = _hash(folder, "tree", entry + b"40000 a\0" + bytes.fromhex(inner))
    words = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b", "commit-tree", "-m", "x", tree]
    commit = subprocess.run(words, capture_output=True, check=True).stdout.decode().strip()
    subprocess.run(["git", "-C", str(folder), "update-ref", "refs/heads/trap", commit], check=True)
    with pytest.raises(SourceError):
        git.read(source.parse(f"file://{folder}@trap"), tmp_path / "workspace")


def _with_page(folder: Path) -> Path:
    folder.mkdir()
    (folder / "index.html").write_text("hello")
    return folder


def test_files_of_any_name_arrive_as_they_are(tmp_path: Path) -> None:
    """Bytes that are no text, line ends, quotes, options and blanks among them."""
    folder = _with_page(tmp_path / "source")
    names = [b"-rf", b"a\nb", b'"q"', b"\\", b"\xff\xfe", b" ", b"$(id)", "caf\u00e9".encode(), "cafe\u0301".encode()]
    for name in names:
        (folder / os.fsdecode(name)).write_bytes(name)
    tree = git.read(source.parse(folder), tmp_path / "workspace")
    assert {name: name for name in names} == {name: (tree.root / os.fsdecode(name)).read_bytes() for name in names}
