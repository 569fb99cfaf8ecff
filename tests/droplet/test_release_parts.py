"""The parts of a release that need no droplet."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import threading
from pathlib import Path

import pytest

from droplet import environment, golive, hook, process, python_version, settling, static
from droplet.app import App
from droplet.journal import StageError
from droplet.layout import Layout, replace_link, replace_text
from droplet.requirements import Requirements

ZERO, COMMIT = "0" * 40, "c" * 40


@pytest.mark.parametrize("branch", ["main", "master", "live"])
def test_a_push_of_a_branch_that_is_named_is_released(branch: str) -> None:
    """Main and master where nothing is said."""
    names = hook.BRANCHES if branch != "live" else ("live",)
    old, new, ref = hook.one_update([f"{ZERO} {COMMIT} refs/heads/{branch}\n"])
    hook.refuse(new, ref, names)
    assert (ZERO, COMMIT) == (old, new)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([f"{ZERO} {COMMIT} refs/heads/dev\n"], "git push ship dev:main"),
        ([f"{ZERO} {COMMIT} refs/tags/v1\n"], r"git push ship v1\^\{\}:main"),
        ([f"{COMMIT} {ZERO} refs/heads/main\n"], "cannot be deleted"),
        ([f"{ZERO} {COMMIT} refs/heads/main\n"] * 2, "one branch"),
        ([], "one branch"),
    ],
)
def test_other_pushes_are_refused_with_a_hint(lines: list[str], message: str) -> None:
    """Each refusal says what to do instead."""

    def push() -> None:
        _, new, ref = hook.one_update(lines)
        hook.refuse(new, ref, hook.BRANCHES)

    with pytest.raises(hook.RefusedError, match=message):
        push()


def test_tags_may_come_along_with_a_branch() -> None:
    """`git push --follow-tags` releases the branch."""
    lines = [f"{ZERO} {COMMIT} refs/tags/v1\n", f"{ZERO} {COMMIT} refs/heads/main\n"]
    assert (ZERO, COMMIT, "refs/heads/main") == hook.one_update(lines)


def test_links_of_a_release_lead_inside_it_also_in_a_copy(tmp_path: Path) -> None:
    """A release that is a copy with other values serves its own files."""
    for number in ("1", "2"):
        (tmp_path / "releases" / number / "tree" / "static").mkdir(parents=True)
    static.publish(tmp_path / "releases/1/public", {"/static/": tmp_path / "releases/1/tree/static"})
    shutil.copytree(tmp_path / "releases/1/public", tmp_path / "releases/2/public", symlinks=True)
    assert tmp_path / "releases/2/tree/static" == (tmp_path / "releases/2/public/static").resolve()


def test_push_options_say_who_and_what() -> None:
    """Anything that is no `name=value`, or no plain text, is passed over."""
    given = {"GIT_PUSH_OPTION_COUNT": "3", "GIT_PUSH_OPTION_0": "by=me", "GIT_PUSH_OPTION_1": "ci.skip"}
    assert {"by": "me"} == hook.options({**given, "GIT_PUSH_OPTION_2": "commit=a\x1b[31m"})
    assert {} == hook.options({})


def test_the_switch_is_one_rename(tmp_path: Path) -> None:
    """The link always names a release, also while it is switched."""
    layout = Layout("web", tmp_path)
    for number in (1, 2):
        layout.release(number).mkdir(parents=True)
    replace_link(layout.current, layout.release(1))
    seen, stop = set[int | None](), threading.Event()

    def look() -> None:
        while not stop.is_set():
            seen.add(layout.live())

    thread = threading.Thread(target=look)
    thread.start()
    for turn in range(200):
        replace_link(layout.current, layout.release(1 + turn % 2))
    stop.set()
    thread.join()
    assert {1, 2} >= seen
    assert None not in seen


def test_a_switch_that_nginx_does_not_follow_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The links lead where they led before: a release that nginx does not serve is not live."""
    layout = Layout("web", tmp_path)
    for number in (1, 2, 3):
        layout.release(number).mkdir(parents=True)
    replace_link(layout.current, layout.release(2))
    replace_link(layout.previous, layout.release(1))

    def refuse(kind: str) -> None:
        raise StageError(f"nginx refuses {kind}")

    monkeypatch.setattr(golive.nginx, "serve", refuse)
    monkeypatch.setattr(golive.nginx, "check", lambda kind: None)
    with pytest.raises(StageError, match="nginx refuses"):
        golive.switch(layout, 3, action="deploy", by="ann")
    assert (2, "1") == (layout.live(), layout.previous.resolve().name)
    layout.current.unlink()
    with pytest.raises(StageError, match="nginx refuses"):
        golive.switch(layout, 3, action="up", by="ann")
    assert layout.live() is None


def test_a_release_that_the_disk_has_no_room_for_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything of it is there, with how full it is; what there is room for passes."""
    layout = Layout("web", tmp_path)
    layout.home.mkdir()
    settling.demand_room(layout)
    monkeypatch.setattr(settling, "LEAST", 1 << 60)
    with pytest.raises(StageError, match="No space left on the droplet's disk") as caught:
        settling.demand_room(layout)
    assert "Avail" in caught.value.lines[0]


def test_environments_are_named_by_all_that_decides_about_them(tmp_path: Path) -> None:
    """Another line, another extra or another Python is another environment; another file is not."""
    (tmp_path / "requirements.txt").write_text("flask\n")
    wanted = environment.Wanted("requirements", ("requirements.txt",), ("gunicorn",), None)
    key = wanted.key(tmp_path)
    (tmp_path / "app.py").write_text("x")
    assert key == wanted.key(tmp_path)
    assert key != environment.Wanted("requirements", ("requirements.txt",), (), None).key(tmp_path)
    assert key != environment.Wanted("requirements", ("requirements.txt",), ("gunicorn",), "3.12").key(tmp_path)
    (tmp_path / "requirements.txt").write_text("flask\nredis\n")
    assert key != wanted.key(tmp_path)


def test_what_a_client_sends_early_names_the_same_environment(tmp_path: Path) -> None:
    """The early installation is the one that the release finds."""
    (tmp_path / "requirements.txt").write_text("flask\n")
    app = App(
        "flask",
        "",
        "gunicorn",
        requirements=Requirements("requirements", ("requirements.txt",), frozenset()),
        extras=("gunicorn",),
        dependency_files=("requirements.txt",),
    )
    wanted = environment.Wanted.of(app)
    told = json.loads(json.dumps({"mode": wanted.mode, "files": wanted.files, "extras": wanted.extras, "python": None}))
    assert wanted.key(tmp_path) == environment.Wanted.read(told).key(tmp_path)


def test_public_folders_are_links_and_stay_inside(tmp_path: Path) -> None:
    """What does not exist is left out; a prefix cannot climb."""
    (tmp_path / "tree" / "static").mkdir(parents=True)
    folders = {
        "/static/": tmp_path / "tree" / "static",
        "/none/": tmp_path / "none",
        "/../x/": tmp_path / "tree" / "static",
    }
    static.publish(tmp_path / "public", folders)
    assert ["static"] == [path.name for path in (tmp_path / "public").iterdir()]
    assert tmp_path / "tree" / "static" == (tmp_path / "public" / "static").resolve()


def test_files_are_replaced_whole_with_their_mode(tmp_path: Path) -> None:
    """The new text has its mode from the first moment."""
    replace_text(tmp_path / "x", "one", 0o640)
    replace_text(tmp_path / "x", "two", 0o600)
    assert ("two", 0o600) == ((tmp_path / "x").read_text(), stat.S_IMODE((tmp_path / "x").stat().st_mode))


@pytest.mark.parametrize(
    ("version", "asked", "will_do"),
    [
        ((3, 11, 2), None, True),
        ((3, 11, 2), "3.11", True),
        ((3, 11, 2), "3.12", False),
        ((3, 11, 2), ">=3.9", True),
        ((3, 11, 2), ">=3.9,<3.11", False),
        ((3, 8, 10), ">=3.10", False),
        ((3, 11, 2), "~=3.10", True),
        ((3, 11, 2), "3.11.4", False),
        ((3, 11, 2), "==3.11.*", True),
        ((3, 11, 2), "!=3.11", False),
    ],
)
def test_the_systems_python_is_used_when_it_will_do(
    version: tuple[int, int, int], asked: str | None, will_do: bool
) -> None:
    """Versions and ranges as pyproject.toml and .python-version write them."""
    assert will_do == python_version.satisfies(version, asked)


def _pythons() -> list[str]:
    found = [
        str(path)
        for path in Path("~/.pyenv/versions").expanduser().glob("3.*/bin/python")
        if "/3.6" not in str(path) and "/3.7" not in str(path)
    ]
    return sorted(
        {
            *found,
            *(
                path
                for name in ("python3.8", "python3.9", "python3")
                if (path := shutil.which(name)) and "shims" not in path
            ),
        }
    )


@pytest.mark.parametrize("python", _pythons())
def test_the_program_runs_on_every_python_from_3_8(python: str, tmp_path: Path) -> None:
    """Every module is imported, and an app is recognised, by each interpreter of this machine."""
    (tmp_path / "app.py").write_text("from flask import Flask\napp = Flask(__name__)\n")
    names = [path.stem for path in Path(process.__file__).parent.glob("*.py") if path.stem != "__main__"]
    code = (
        f"import importlib; [importlib.import_module('droplet.' + name) for name in {names!r}]\n"
        "import droplet.__main__\n"
        "from pathlib import Path; from droplet.app import detect; from droplet.settings import Settings\n"
        f"print(detect(Path({str(tmp_path)!r}), Settings()).target)"
    )
    done = subprocess.run(
        [python, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(Path(process.__file__).parents[1]), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert ("app:app", "") == (done.stdout.strip(), done.stderr)
