"""Every kind of app answers from outside, through nginx, on a booted droplet."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

Launch = Callable[..., Any]


def _get(ship: Any, path: str = "", **more: Any) -> requests.Response:
    return requests.get(f"{ship.url}{path}", timeout=10, **more)


def test_flask_with_every_byte_of_its_values(launch: Launch, root: Path) -> None:
    """The example answers, its static file comes from disk, its environment is exact, its log is read."""
    hostile = {"GREETING": 'it\'s "$HOME" `id` \\ %s ü', "LINES": "one\ntwo"}
    with launch(root / "examples/flask-hello", name="flask-hello", env=hostile) as ship:
        page = _get(ship)
        assert (200, "1") == (page.status_code, page.headers["X-Cloudship-Release"])
        assert "Release 1" in page.text
        style = _get(ship, "static/hello.css")
        assert (200, "text/css") == (style.status_code, style.headers["Content-Type"])
        script = "import json, os; print(json.dumps({k: os.environ[k] for k in ('GREETING', 'LINES')}))"
        done = ship.run(["python", "-c", script], check=True)
        assert hostile == __import__("json").loads(done.stdout)
        assert "app" == ship.run("id -un").stdout.strip()
        assert "root" == ship.run("id -un", root=True).stdout.strip()
        assert 7 == ship.run("exit 7").exit_status
        assert "input" == ship.run(["cat"], input="input").stdout
        assert "GET /static" not in ship.logs()
        assert "cloudship" in ship.logs(lines=50)
        phases = [time.name for time in ship.timeline]
        assert ["plan", "key", "create", "active", "ssh", "host_key", "boot", "push", "release", "answer"] == phases
        assert ship.url in ship._repr_html_()


def test_django_migrates_collects_and_keeps_its_database(launch: Launch, root: Path) -> None:
    """A form is posted with its token, and the note is there; static files are collected and served."""
    with launch(root / "examples/django-site", name="django-site") as ship, requests.Session() as session:
        page = session.get(ship.url, timeout=10)
        token = page.text.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
        posted = session.post(ship.url, data={"text": "kept", "csrfmiddlewaretoken": token}, timeout=10)
        assert (200, True) == (posted.status_code, "kept" in posted.text)
        assert 200 == _get(ship, "static/notes/notes.css").status_code
        assert "notes.sqlite3" in ship.run("ls -L data").stdout


def test_fastapi_runs_under_uvicorns_worker(launch: Launch, root: Path) -> None:
    """ASGI answers through the same socket."""
    with launch(root / "examples/fastapi-api", name="fastapi-api") as ship:
        assert {"number": 12, "square": 144} == _get(ship, "squares/12").json()


def test_a_static_folder_needs_no_python(launch: Launch, root: Path) -> None:
    """nginx serves it; what is not there is 404; nothing else listens."""
    with launch(root / "examples/static-site", name="static-site") as ship:
        page = _get(ship)
        assert (200, "1") == (page.status_code, page.headers["X-Cloudship-Release"])
        assert (200, 404) == (_get(ship, "about.html").status_code, _get(ship, "nothing").status_code)
        assert "gunicorn" not in ship.run("ps ax", root=True).stdout


def test_a_procfile_line_runs_as_it_stands(launch: Launch, tmp_path: Path) -> None:
    """A process that only binds its port is led to the socket."""
    app = tmp_path / "plain"
    app.mkdir()
    (app / "Procfile").write_text("web: python3 -m http.server $PORT --bind 127.0.0.1\n")
    (app / "hello.txt").write_text("from a Procfile\n")
    with launch(app, name="plain") as ship:
        assert "from a Procfile\n" == _get(ship, "hello.txt").text


def test_flaskr_unmodified_with_its_database_made_by_a_release_command(
    launch: Launch, sdists: Path, tmp_path: Path
) -> None:
    """The tutorial inside Flask's source distribution, configured from outside."""
    (tmp_path / "flaskr.toml").write_text('release = "flask --app flaskr init-db"\n')
    source = next(sdists.glob("flask-*/examples/tutorial"))
    with launch(source, name="flaskr", config_file=tmp_path / "flaskr.toml") as ship:
        assert "Flaskr" in _get(ship).text
        registered = requests.post(f"{ship.url}auth/register", data={"username": "a", "password": "b"}, timeout=10)
        assert (200, True) == (registered.status_code, "Log In" in registered.text)


def test_httpbin_unmodified(launch: Launch, sdists: Path, root: Path) -> None:
    """It sees the visitor's address, host and scheme; where it is dead, visitors see a page."""
    with launch(next(sdists.glob("httpbin-*")), name="httpbin") as ship:
        told = _get(ship, "get?a=1").json()
        assert {"a": "1"} == told["args"]
        assert ship.url.rstrip("/") == told["url"].partition("/get")[0]
        assert "10.213." in told["origin"]
        heard = _get(ship, "headers?show_env=1").json()["headers"]
        visitor = told["origin"]
        assert (visitor, visitor, "http") == tuple(
            heard[f"X-{name}"] for name in ("Real-Ip", "Forwarded-For", "Forwarded-Proto")
        )
        ship.run("systemctl stop cloudship-app@1.service", root=True)
        page = _get(ship)
        assert (502, None) == (page.status_code, page.headers.get("X-Cloudship-Release"))
        assert (root / "userdata/nginx/unavailable.html").read_text() == page.text


def test_a_fresh_django_project(launch: Launch, tmp_path: Path) -> None:
    """`django-admin startproject` and nothing else; the droplet's address is allowed."""
    words = [sys.executable, "-m", "django", "startproject", "fresh"]
    subprocess.run(words, cwd=tmp_path, check=True)
    heard: list[Any] = []
    with launch(tmp_path / "fresh", name="fresh", notify=heard.append) as ship:
        assert 200 == _get(ship).status_code
    assert any("DEBUG = True" in getattr(event, "text", "") for event in heard)


@pytest.mark.parametrize("ref", [None, "v1"])
def test_a_git_url_is_cloned_and_pushed(launch: Launch, tmp_path: Path, ref: str | None) -> None:
    """At a ref, or at its head; the rest of the repository's configuration is ignored and named."""
    app = tmp_path / "repo"
    app.mkdir()
    (app / "index.html").write_text("v1")
    (app / "cloudship.toml").write_text('size = "s-8vcpu-16gb"\n')
    git = ["git", "-C", str(app), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"], ["tag", "v1"]):
        subprocess.run([*git, *words], check=True)
    (app / "index.html").write_text("v2")
    subprocess.run([*git, "commit", "-qam", "two"], check=True)
    source = f"file://{app}" + (f"@{ref}" if ref else "")
    heard: list[Any] = []
    with launch(source, name="cloned", notify=heard.append) as ship:
        assert ("v1" if ref else "v2") == _get(ship).text
    assert any("size" in getattr(event, "text", "") and "ignored" in event.text for event in heard)


def _of_the_build(ship: Any) -> list[str]:
    return [one["text"] for one in ship.release_log() if one["stage"] == "build" and one["state"] == "output"]


def test_a_locked_app_is_built_behind_the_live_one(launch: Launch, root: Path, tmp_path: Path) -> None:
    """Poetry's lock is honoured exactly; a build has its limits, and behind a live release it is niced."""
    app = tmp_path / "locked"
    app.mkdir()
    for path in (root / "tests/locks/poetry").iterdir():
        (app / path.name).write_text(path.read_text())
    (app / "Procfile").write_text("web: python -m http.server $PORT\n")
    limit = "systemctl show -p MemoryMax cloudship.slice"
    shown = f"nice; cat /proc/self/oom_score_adj; {limit}; cat /proc/self/cgroup"
    (app / "cloudship.toml").write_text(f'build = "{shown}"\n')
    with launch(app, name="locked") as ship:
        script = "import importlib.metadata as found; print(found.version('itsdangerous'))"
        assert "2.1.2" == ship.run(["python", "-c", script], check=True).stdout.strip()
        first = _of_the_build(ship)
        assert (["0", "500"], True) == (first[:2], any(".scope" in line for line in first))
        ship.deploy(app)  # the first one has nobody to stand back for
        said = _of_the_build(ship)
        assert ["19", "500"] == said[:2]
        assert said[2].removeprefix("MemoryMax=").isdigit()
        assert any("/cloudship.slice/" in line for line in said)
        boot = ship.run("cat /var/lib/cloudship/boot.jsonl", root=True).stdout
        assert "a container is allowed none" in boot or "MiB of swap" in boot
