"""
Python environments, one for each set of locked requirements, made once and used by every release that asks for it.

Made by uv, as the app's user: what a package runs while it is built must not run as root.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from droplet import command, python_version, uv
from droplet.app import App
from droplet.journal import StageError
from droplet.layout import USER, Layout

MARK = ".complete"  # an environment without it was cut off and is made anew
_UV_LIMIT = 300.0  # seconds to wait for the bootstrap's uv
_INSTALL_LIMIT = 1200.0  # seconds
_NOISE = (
    "Using Python",
    "Creating virtual",
    "Resolved ",
    "Prepared ",
    "Downloading ",
    "Downloaded ",
    "hint: ",
)


@dataclass(frozen=True)
class Wanted:
    """All that an environment depends on; equal ones are one."""

    mode: str  # as in `requirements.Requirements`
    files: Tuple[str, ...]
    extras: Tuple[str, ...]
    python: Optional[str]

    @classmethod
    def of(cls, app: App) -> Wanted:
        """Say what an app's environment depends on."""
        return cls(app.requirements.mode, app.dependency_files, app.extras, app.python)

    @classmethod
    def read(cls, told: Dict[str, Any]) -> Wanted:
        """Read what a client sent."""
        return cls(told["mode"], tuple(told["files"]), tuple(told["extras"]), told["python"])

    def key(self, tree: Path) -> str:
        """Compute the name under which the environment is kept."""
        digest = hashlib.sha256(json.dumps([self.mode, self.extras, self.python, sys.version]).encode())
        if self.mode == "project":  # setup.py may depend on anything in the tree
            digest.update(str(tree).encode())
        for name in self.files:
            digest.update(f"{name}\0".encode() + (tree / name).read_bytes() + b"\0")
        return digest.hexdigest()[:16]


def make(wanted: Wanted, tree: Path, layout: Layout, say: Callable[[str], None]) -> Path:
    """
    Make the environment that is wanted, or find it made.

    Raises:
        StageError: something does not install; with the installer's own lines.
    """
    place = layout.environments / wanted.key(tree)
    with _locked(place):
        if (place / MARK).exists():
            say("reused: nothing in the requirements has changed")
            return place
        if place.exists():
            shutil.rmtree(str(place))
        _await_uv()
        _install(wanted, tree, place, layout, say)
        (place / MARK).touch()
    return place


def clean(layout: Layout, used: List[str]) -> None:
    """Remove the environments that no release uses."""
    for place in layout.environments.iterdir() if layout.environments.is_dir() else ():
        if place.is_dir() and place.name not in used:
            shutil.rmtree(str(place), ignore_errors=True)


def install_project(tree: Path, site: Path, environment: Path, layout: Layout, say: Callable[[str], None]) -> None:
    """
    Install the project itself beside its tree, for its metadata and entry points, where it can be built.

    It runs from its tree either way, so a project that cannot be built is no failure.
    """
    words = [
        str(uv.BINARY),
        "pip",
        "install",
        "--no-deps",
        "--target",
        str(site),
        "--python",
        str(environment),
        ".",
    ]
    try:
        command.run(words, cwd=tree, env=_environment(layout), user=USER, limit=_INSTALL_LIMIT)
    except StageError as error:
        say(f"the project itself is not installed, it runs from its tree: {(error.lines or ['no reason given'])[-1]}")


@contextmanager
def _locked(place: Path) -> Iterator[None]:
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_name(place.name + ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _await_uv() -> None:
    deadline = time.monotonic() + _UV_LIMIT
    while not uv.BINARY.exists():
        if time.monotonic() > deadline:
            raise StageError("uv did not arrive; see: cloudship logs --boot")
        time.sleep(0.02)


def _install(wanted: Wanted, tree: Path, place: Path, layout: Layout, say: Callable[[str], None]) -> None:
    said = _Quiet(say)

    def run(*words: str, **more: Any) -> None:
        env = {**_environment(layout), **more}
        shown = f"`uv {' '.join(words[:2])}` failed"
        command.run(
            [str(uv.BINARY), *words],
            say=said,
            cwd=tree,
            env=env,
            user=USER,
            limit=_INSTALL_LIMIT,
            message=shown,
        )

    run("venv", "--python", _interpreter(wanted.python), str(place))
    install = ("pip", "install", "--python", str(place))
    if wanted.mode == "uv.lock":
        run("sync", "--frozen", "--no-dev", "--no-install-project", UV_PROJECT_ENVIRONMENT=str(place))
    elif wanted.mode in ("requirements", "pyproject"):
        run(*install, "-r", wanted.files[0], *wanted.extras)
        return
    elif wanted.mode == "project":
        run(*install, ".", *wanted.extras)
        return
    if wanted.extras:
        run(*install, *wanted.extras)


def _interpreter(asked: Optional[str]) -> str:
    """Take the system's Python where it will do, else let uv find or fetch one."""
    here = (sys.version_info[0], sys.version_info[1], sys.version_info[2])
    return sys.executable if python_version.satisfies(here, asked) else str(asked)


def _environment(layout: Layout) -> Dict[str, str]:
    """Give what the installer sees: where to find the index and certificates, nothing of the app's."""
    kept = {key: value for key, value in os.environ.items() if key.startswith(("UV_", "PIP_", "SSL_", "http", "HTTP"))}
    return {
        **kept,
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(layout.home / "home"),
        "LANG": "C.UTF-8",
        "UV_CACHE_DIR": str(layout.home / "cache"),
        "UV_PYTHON_INSTALL_DIR": str(layout.home / "python"),
        "UV_NO_PROGRESS": "1",
        "UV_SYSTEM_CERTS": "1",
    }


class _Quiet:
    """Passes on what an installer says, without what it always says."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def __call__(self, line: str) -> None:
        if line.strip() and not line.strip().startswith(_NOISE):
            self._say(line)
