"""What is run for a release: the words, the workers, the port, and the values that they are given."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from droplet import launch, process
from droplet.app import App
from droplet.layout import Layout


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
