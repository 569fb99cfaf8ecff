"""The parts of a release that need no droplet."""

from __future__ import annotations

import json
import re
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from droplet import environment, golive, hook, journal, launch, process, python_version, settling, static, unit
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


@pytest.mark.parametrize(
    ("cores", "memory", "count"), [(1, 1024, 3), (2, 4096, 5), (1, 512, 1), (8, 1024, 5), (4, 256, 1)]
)
def test_workers_follow_cores_and_memory(cores: int, memory: int, count: int) -> None:
    """Two a core and one more, as far as the memory goes, never none."""
    assert count == process.workers(cores, memory)


def _gunicorn(tmp_path: Path, **more: object) -> tuple[str, ...]:
    app = App("flask", "", "gunicorn", target="app:app", **more)  # type: ignore[arg-type]
    return process.gunicorn(Path("/s"), tmp_path, app, "/env")


def test_gunicorn_is_bound_to_the_releases_socket(tmp_path: Path) -> None:
    """Unix socket, two threads, heartbeat in memory."""
    words = _gunicorn(tmp_path)
    assert ("/env/bin/gunicorn", "app:app", "unix:/s") == (words[0], words[-1], words[words.index("--bind") + 1])
    assert "2" == words[words.index("--threads") + 1]
    assert "/dev/shm" == words[words.index("--worker-tmp-dir") + 1]


@pytest.mark.parametrize(
    ("files", "line", "shared"),
    [
        ({}, "gunicorn app:app", False),
        (
            {"gunicorn.conf.py": "import os\nif not os.environ.get('DEV'):\n    reuse_port = True\n"},
            "gunicorn app",
            True,
        ),
        ({"gunicorn.conf.py": "reuse_port = False\n# reuse_port = True\n"}, "gunicorn app", False),
        ({"conf/web.py": "reuse_port=True\n"}, "gunicorn -c conf/web.py app", True),
        ({"conf/web.py": "reuse_port=True\n"}, "gunicorn --config=file:conf/web.py app", True),
        ({"gunicorn.conf.py": "reuse_port = True\n", "other.py": ""}, "gunicorn --config other.py app", False),
        ({}, "gunicorn --reuse-port app", True),
        ({}, "gunicorn 'torn", False),
    ],
)
def test_a_gunicorn_that_shares_its_port_is_known(
    tmp_path: Path, files: dict[str, str], line: str, shared: bool
) -> None:
    """By the configuration that its line names, by the usual one, or by its flag."""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert shared == process.shares_port(tmp_path, line)


@pytest.mark.parametrize("shared", [True, False])
def test_a_gunicorn_that_shares_its_port_gets_one(tmp_path: Path, shared: bool) -> None:
    """The kernel shares no socket of the file system: the port is led to it, with a Procfile and without."""
    layout = Layout("web", tmp_path)
    tree = layout.release(1) / "tree"
    tree.mkdir(parents=True)
    (tree / "gunicorn.conf.py").write_text(f"reuse_port = {shared}\n")
    apps = (
        App("procfile", "", "shell", processes={"web": "gunicorn app:app"}),
        App("flask", "", "gunicorn", target="app:app"),
    )
    port, bound = (5001, '--bind "127.0.0.1:$PORT"') if shared else (None, "unix:")
    for app in apps:
        planned = process.plan(layout, 1, app, Path("/env"), 5001, {})
        assert (port, True) == (planned.port, bound in " ".join(planned.web))


@pytest.mark.parametrize("name", ["gunicorn.conf.py", "gunicorn_config.py"])
def test_the_apps_own_gunicorn_configuration_wins_except_for_the_socket(tmp_path: Path, name: str) -> None:
    """Nothing of ours is laid over it but --bind."""
    (tmp_path / name).write_text("workers = 1\n")
    assert ("/env/bin/gunicorn", "--config", name, "--bind", "unix:/s", "app:app") == _gunicorn(tmp_path)


def test_asgi_apps_get_uvicorns_worker(tmp_path: Path) -> None:
    """Threads are for WSGI only."""
    words = _gunicorn(tmp_path, asgi=True)
    assert "uvicorn_worker.UvicornWorker" == words[words.index("--worker-class") + 1]
    assert "--threads" not in words


def test_procfile_lines_run_as_they_stand_with_a_port(tmp_path: Path) -> None:
    """Gunicorn is led to our socket too; anything else is met on its port."""
    layout = Layout("web", tmp_path)
    own = App("procfile", "", "shell", processes={"web": "python -m http.server $PORT"})
    found = process.plan(layout, 1, own, None, 4321, {})
    assert (("/bin/sh", "-c", "exec python -m http.server $PORT"), "4321", 4321) == (
        found.web,
        found.environment["PORT"],
        found.port,
    )
    bound = process.plan(layout, 1, App("procfile", "", "shell", processes={"web": "gunicorn a:b"}), None, 4321, {})
    assert ('exec gunicorn a:b --bind "unix:$CLOUDSHIP_SOCKET"', None) == (bound.web[2], bound.port)


def test_every_byte_of_a_value_arrives_in_the_process(tmp_path: Path) -> None:
    """Quotes, dollars, newlines and other alphabets pass through no quoting at all."""
    hostile = {"A": 'it\'s $HOME `id` "x" \\ %s', "B": "two\nlines\r\n", "C": "\u00fc\u4e2d\U0001f600", "D": ""}
    layout = Layout("web", tmp_path)
    folder = layout.release(1)
    folder.mkdir(parents=True)
    (folder / launch.SECRETS).write_text(json.dumps(hostile))
    script = "import json, os; print(json.dumps({k: os.environ[k] for k in 'ABCD'}))"
    app = App("procfile", "", "shell", processes={"web": "x"})
    base = process.base_environment(layout, 1, app, None)
    process.Processes(str(tmp_path), base, (sys.executable, "-c", script), port=1).save(folder)
    program = Path(launch.__file__)
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(program), str(layout.home), "web", "1"],
        capture_output=True,
        text=True,
        check=True,
        env={},
    )
    assert hostile == json.loads(done.stdout)


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


def test_the_guilty_lines_are_the_apps_own() -> None:
    """Not gunicorn's story about its workers, nor lines of access."""
    said = [
        "[2026] [1] [INFO] Starting gunicorn",
        "Traceback (most recent call last):",
        '  File "app.py", line 1, in <module>',
        "ModuleNotFoundError: No module named 'x'",
        "[2026] [2] [INFO] Worker exiting (pid: 2)",
        "Traceback (most recent call last):",
        '  File "arbiter.py", line 405, in halt',
        "gunicorn.errors.HaltServer: <HaltServer 'Worker failed to boot.' 3>",
        ' - - [24/Nov] "GET / HTTP/1.1" 500 265 "-" "x"',
    ]
    assert said[1:4] == unit.guilty(said)


@pytest.mark.parametrize(
    ("line", "counts"),
    [
        ("[2026-11-26 08:00:00 +0000] [7] [ERROR] Worker (pid:9) exited with code 1", True),
        ("[2026-11-26 08:00:00 +0000] [7] [ERROR] Worker (pid:9) was sent SIGKILL! Perhaps out of memory?", True),
        ("[2026-11-26 08:00:00 +0000] [7] [ERROR] Worker (pid:9) was sent SIGSEGV!", True),
        ("[2026-11-26 08:00:00 +0000] [7] [ERROR] Worker (pid:9) was sent SIGTERM!", False),
        ("[2026-11-26 08:00:00 +0000] [9] [INFO] Worker exiting (pid: 9)", False),
        ("the job exited with code 1", False),
    ],
)
def test_workers_that_die_are_told_from_those_that_are_ended(line: str, counts: bool) -> None:
    """A server ends a worker after so many requests, and an app may say what it likes."""
    assert counts == bool(re.search(unit._CRASHED, line))


def test_a_follower_gets_all_events_until_the_last_stage_ended(tmp_path: Path) -> None:
    """Also those that were written before it came."""
    file = tmp_path / "boot.jsonl"
    book = journal.Journal(file)
    with book.stage("apt") as say:
        say("a line")
    threading.Timer(0.1, lambda: book.tell("bootstrap", journal.DONE)).start()
    states = [(event["stage"], event["state"]) for event in journal.follow(file, "bootstrap", limit=5)]
    assert [("apt", "running"), ("apt", "output"), ("apt", "done"), ("bootstrap", "done")] == states


def test_a_failed_stage_is_told_and_raised(tmp_path: Path) -> None:
    """The error passes through, after the journal knows."""
    book = journal.Journal(tmp_path / "x.jsonl")
    with pytest.raises(journal.StageError), book.stage("apt"):
        raise journal.StageError("no mirror", ["E: x"])
    assert [("running", ""), ("failed", "no mirror")] == [
        (one["state"], one["text"]) for one in journal.read(tmp_path / "x.jsonl")
    ]


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
