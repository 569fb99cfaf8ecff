"""Python environments: what a lock file holds and nothing else, from a private index, with a Python from a mirror."""

from __future__ import annotations

import base64
import hashlib
import http.server
import io
import json
import platform
import shutil
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudship import index
from droplet import command, environment, uv
from droplet.app import App
from droplet.journal import StageError
from droplet.layout import Config, Layout
from droplet.requirements import RequirementsError, find

pytestmark = pytest.mark.slow

LOCKS = Path(__file__).parents[1] / "locks"


@pytest.fixture(scope="session")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pinned uv, fetched as a droplet fetches it."""
    place = tmp_path_factory.mktemp("uv") / "bin" / "uv"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uv, "BINARY", place)
        uv.install(Config("web", {}, (), index.index_url(), None, None), lambda line: None)
    return place


@pytest.fixture
def layout(tmp_path: Path, binary: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """Where environments are made in a test: by ourselves, not by the app's user."""
    monkeypatch.setattr(uv, "BINARY", binary)
    monkeypatch.setattr(command, "as_user", lambda user: [])
    found = Layout("web", tmp_path / "srv")
    for place in (found.environments, found.home / "home"):
        place.mkdir(parents=True)
    return found


def made(tree: Path, layout: Layout, *extras: str, values: dict[str, str] | None = None, python: str = "") -> set[str]:
    """Make the environment of a tree, and list what is in it."""
    needs = find(tree)
    app = App("flask", "", "", requirements=needs, extras=extras, python=python or None, dependency_files=needs.files)
    place = environment.make(environment.Wanted.of(app), tree, layout, values or {}, lambda line: None)
    words = [str(uv.BINARY), "pip", "freeze", "--python", str(place)]
    return set(subprocess.run(words, capture_output=True, text=True, check=True).stdout.split())


def lock_of(tool: str, tmp_path: Path) -> Path:
    """Copy a tree with a lock of one tool: one package to run, one for Windows only, one to develop with."""
    return Path(shutil.copytree(LOCKS / tool, tmp_path / "tree"))


@pytest.mark.parametrize(("named", "kept"), [("", False), ("setuptools>=82\n", True)])
def test_packages_of_an_age_that_import_pkg_resources_get_it(
    named: str, kept: bool, tmp_path: Path, layout: Layout
) -> None:
    """Old gunicorns ask for any setuptools and mean one that still has it; an app that names its own keeps it."""
    (tmp_path / "requirements.txt").write_text(f"gunicorn==20.1.0\n{named}")
    made(tmp_path, layout)
    site = next(layout.environments.glob("*/lib/python3*/site-packages"))
    assert kept != (site / "pkg_resources").is_dir()


@pytest.mark.parametrize("tool", ["poetry", "pipenv"])
def test_a_lock_of_another_tool_is_honoured_exactly(tool: str, tmp_path: Path, layout: Layout) -> None:
    """Neither the newest version, nor what is for another system, nor what is for developing; extras come on top."""
    tree = lock_of(tool, tmp_path)
    assert {"itsdangerous==2.1.2"} == made(tree, layout)
    assert {"itsdangerous", "iniconfig"} == {one.partition("==")[0] for one in made(tree, layout, "iniconfig")}


def test_a_uv_lock_is_honoured_exactly(tmp_path: Path, layout: Layout) -> None:
    """What stands in it, though the project would take a newer one."""
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "shop"\nversion = "1"\nrequires-python = ">=3.8"\ndependencies = ["itsdangerous"]\n'
    )
    words = [str(uv.BINARY), "lock", "-q", "--upgrade-package", "itsdangerous==2.1.2"]
    subprocess.run(words, cwd=tmp_path, check=True)
    assert {"itsdangerous==2.1.2"} == made(tmp_path, layout)
    project = tmp_path / "pyproject.toml"
    project.write_text(project.read_text().replace('"]', '", "tzdata; sys_platform == \'win32\'"]'))
    with pytest.raises(RequirementsError, match=r"uv\.lock lacks tzdata"):  # uv would leave it out without a word
        find(tmp_path)
    subprocess.run([*words[:3]], cwd=tmp_path, check=True)
    assert {"itsdangerous==2.1.2"} == made(tmp_path, layout)


@pytest.mark.parametrize(("tool", "name"), [("poetry", "pyproject.toml"), ("pipenv", "Pipfile")])
def test_a_lock_that_no_longer_fits_is_refused(tool: str, name: str, tmp_path: Path, layout: Layout) -> None:
    """Somebody changed what is wanted and did not lock again; the tool says so in its own words."""
    tree = lock_of(tool, tmp_path)
    (tree / name).write_text((tree / name).read_text().replace("2.1.2", "2.2.0"))
    with pytest.raises(StageError, match=f"`{'poetry export' if tool == 'poetry' else 'pipenv verify'}`") as caught:
        made(tree, layout)
    assert "lock" in " ".join(caught.value.lines)


@pytest.mark.parametrize(("tool", "name"), [("poetry", "poetry.lock"), ("pipenv", "Pipfile.lock")])
def test_a_package_that_is_not_the_locked_one_is_refused(tool: str, name: str, tmp_path: Path, layout: Layout) -> None:
    """Its hash is another."""
    tree = lock_of(tool, tmp_path)
    text = (tree / name).read_text()
    start = "2c2349112351b88699d8d4b6b075022c0808887cb7ad10069318a8b0bc88db44"
    other = "5dbbc68b317e5e42f327f9021763545dc3fc3bfe22e6deb96aaf1fc38874156a"
    (tree / name).write_text(text.replace(start, "0" * 64).replace(other, "1" * 64))
    with pytest.raises(StageError) as caught:
        made(tree, layout)
    assert "ash mismatch" in "\n".join(caught.value.lines)


class _Server:
    """A server of files on the loopback, which notes what it is asked for."""

    def __init__(self, files: dict[str, bytes], password: str = "") -> None:
        self.asked: list[str] = []
        wanted = "Basic " + base64.b64encode(f"joe:{password}".encode()).decode()
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                known = password and self.headers.get("Authorization") != wanted
                body = files.get(self.path)
                self.send_response(401 if known else 404 if body is None else 200)
                self.send_header("Content-Length", str(len(body or b"")))
                self.send_header("Content-Type", "text/html" if self.path.endswith("/") else "application/octet-stream")
                self.end_headers()
                self.wfile.write(body or b"" if not known else b"")

            def do_HEAD(self) -> None:
                self.do_GET()

            def log_message(self, *_: Any) -> None:
                pass

        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop."""
        self._http.shutdown()
        self._http.server_close()


def _wheel() -> bytes:
    """Build a package that no public index has."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = "cloudship_private_thing-1.0.dist-info"
        archive.writestr("cloudship_private_thing.py", "ANSWER = 42\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: cloudship-private-thing\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return buffer.getvalue()


@pytest.fixture
def private() -> Iterator[_Server]:
    """An index of our own that asks for a password."""
    name = "cloudship_private_thing-1.0-py3-none-any.whl"
    page = f'<a href="/files/{name}">{name}</a>'.encode()
    server = _Server({"/simple/cloudship-private-thing/": page, f"/files/{name}": _wheel()}, "pass-7d1f")
    yield server
    server.close()


@pytest.mark.parametrize("name", ["UV_INDEX", "PIP_EXTRA_INDEX_URL"])
def test_a_private_index_is_reached_by_the_apps_values(
    name: str, tmp_path: Path, layout: Layout, private: _Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its password comes with the values, over SSH, and stands in no command's words."""
    (tmp_path / "requirements.txt").write_text("cloudship-private-thing\n")
    words: list[str] = []
    plain = command.run

    def seen(asked: Any, **more: Any) -> list[str]:
        words.extend(asked)
        return plain(asked, **more)

    monkeypatch.setattr(command, "run", seen)
    with pytest.raises(StageError):
        made(tmp_path, layout)
    values = {name: f"http://joe:pass-7d1f@{private.address}/simple"}
    assert {"cloudship-private-thing==1.0"} == made(tmp_path, layout, values=values)
    assert "pass-7d1f" not in " ".join(words)


def test_the_installer_sees_no_other_values_of_the_app(layout: Layout) -> None:
    """A package's own build must not read the app's passwords."""
    env = environment._environment(layout, {"DATABASE_URL": "x", "UV_INDEX": "y", "PATH": "/evil"})
    assert ("y", None, "/usr/local/bin:/usr/bin:/bin") == (env["UV_INDEX"], env.get("DATABASE_URL"), env["PATH"])


def _told(tmp_path: Path, mirror: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write what user-data says of the mirror."""
    (tmp_path / "droplet.json").write_text(json.dumps({"name": "web", "python_mirror": mirror}))
    monkeypatch.setattr(environment, "CONFIG", tmp_path / "droplet.json")
    monkeypatch.setattr(environment.python_version, "satisfies", lambda version, asked: False)


def test_a_python_comes_from_a_mirror_of_our_own(
    tmp_path: Path, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list of builds, whose files lie beside it: this very Python, packed as uv wants it."""
    built = _packed_python()
    files = {"/python.tar.gz": built}
    server = _Server(files)
    major, minor, patch = platform.python_version_tuple()
    key = f"cpython-{platform.python_version()}-linux-{platform.machine()}-gnu"
    entry = {
        "name": "cpython",
        "arch": {"family": platform.machine(), "variant": None},
        "os": "linux",
        "libc": "gnu",
        "major": int(major),
        "minor": int(minor),
        "patch": int(patch),
        "prerelease": "",
        "url": f"http://{server.address}/python.tar.gz",
        "sha256": hashlib.sha256(built).hexdigest(),
        "variant": None,
        "build": "1",
    }
    files["/list.json"] = json.dumps({key: entry}).encode()
    _told(tmp_path, f"http://{server.address}/list.json", monkeypatch)
    (tmp_path / "requirements.txt").write_text("itsdangerous==2.1.2\n")
    values = {"UV_PYTHON_PREFERENCE": "only-managed"}
    try:
        assert {"itsdangerous==2.1.2"} == made(tmp_path, layout, values=values, python=platform.python_version())
    finally:
        server.close()
    python = next(layout.environments.glob("*/bin/python"))
    assert layout.home / "python" in python.resolve().parents
    assert "/python.tar.gz" in server.asked


def test_a_folder_of_builds_is_asked_for_the_one_that_uv_knows(
    tmp_path: Path, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mirror that lacks it is named in the message."""
    server = _Server({})
    _told(tmp_path, f"http://{server.address}/builds", monkeypatch)
    (tmp_path / "requirements.txt").write_text("itsdangerous==2.1.2\n")
    try:
        with pytest.raises(StageError) as caught:
            made(tmp_path, layout, values={"UV_PYTHON_PREFERENCE": "only-managed"}, python="3.13")
    finally:
        server.close()
    assert any(path.startswith("/builds/") and "cpython-3.13" in path for path in server.asked), server.asked
    assert server.address in "\n".join(caught.value.lines)


def _packed_python() -> bytes:
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    base, buffer = Path(sys.base_prefix), io.BytesIO()

    def kept(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        parts = set(Path(entry.name).parts)
        return None if parts & {"test", "tests", "__pycache__", "site-packages", "idlelib", "tkinter"} else entry

    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as archive:
        archive.add(Path(base, "bin", version).resolve(), f"python/bin/{version}")
        archive.add(base / "lib" / version, f"python/lib/{version}", filter=kept)
    return buffer.getvalue()


def test_what_the_live_release_compiled_is_not_compiled_again(tmp_path: Path, layout: Layout) -> None:
    """Of the packages that stayed as they are; of what is another file now, or nowhere, nothing comes along."""
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "requirements.txt").write_text("itsdangerous==2.1.2\nblinker\nsix\n")
    made(tree, layout)
    (old,) = layout.environments.glob("*/lib/python3*/site-packages")
    importing = [old.parents[2] / "bin" / "python", "-c", "import blinker, itsdangerous, six"]
    subprocess.run(importing, env={}, check=True)
    layout.release(1).mkdir(parents=True)
    (layout.release(1) / "environment").write_text(old.parents[2].name)
    layout.current.symlink_to(layout.release(1))
    (tree / "requirements.txt").write_text("itsdangerous==2.2.0\nblinker\n")
    made(tree, layout)
    (new,) = {*layout.environments.glob("*/lib/python3*/site-packages")} - {old}
    compiled = {place: {str(one.relative_to(place)) for one in place.rglob("*.pyc")} for place in (old, new)}
    assert {"blinker", "itsdangerous", "__pycache__"} == {one.split("/")[0] for one in compiled[old]}
    assert {one for one in compiled[old] if one.startswith("blinker/")} == compiled[new]
