"""
Python environments, one for each set of locked requirements, made once and used by every release that asks for it.

Made by uv, as the app's user: what a package runs while it is built must not run as root.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Mapping, Optional, Tuple

from droplet import builds, bytecode, command, firstboot, locks, python_version, uv
from droplet.app import App
from droplet.journal import StageError
from droplet.layout import CONFIG, USER, Layout, read_config

MARK = ".complete"  # an environment without it was cut off and is made anew
_UV_LIMIT = 300.0  # seconds to wait for the bootstrap's uv
_INSTALL_LIMIT = 1200.0  # seconds
_INTO = (
    "/bin/sh",
    "-c",
    'into=$1; shift; exec "$@" >"$into"',
    "sh",
)  # then: a file, and the command whose output it gets
_FOR_INSTALLERS = re.compile(r"UV_\w+|POETRY_\w+|PIP_(?:EXTRA_)?INDEX_URL")
_AS_UV = {"PIP_INDEX_URL": "UV_DEFAULT_INDEX", "PIP_EXTRA_INDEX_URL": "UV_INDEX"}  # uv does not heed pip's names
_UNLOCKED = ("requirements", "pyproject", "project")
# What gunicorn before 21 and many of its age import; later ones of these warn about it on every start.
_WITH_PKG_RESOURCES = "setuptools<80"
_NAMES_SETUPTOOLS = re.compile(r"^\s*[\"']?setuptools\b(?!\.)", re.MULTILINE)
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


def make(wanted: Wanted, tree: Path, layout: Layout, values: Mapping[str, str], say: Callable[[str], None]) -> Path:
    """
    Make the environment that is wanted, or find it made.

    Args:
        wanted: all that it depends on.
        tree: where the files are that it depends on.
        layout: where it is kept.
        values: the app's own; those that are meant for an installer reach it, such as a private index's password.
        say: hears what the installer says.

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
        _Installation(wanted, tree, place, layout, values, say).run()
        _carry_bytecode(layout, place)
        (place / MARK).touch()
    return place


def _carry_bytecode(layout: Layout, place: Path) -> None:
    """Take what the live release compiled, which works; without it the new one only starts later."""
    live = layout.live()
    before = of_release(layout, live) if live is not None else None
    if before is not None:
        with suppress(StageError):
            command.run([sys.executable, "-I", "-S", bytecode.__file__, str(before), str(place)], user=USER)


def of_release(layout: Layout, number: int) -> Optional[Path]:
    """Find the environment of a release; None where it has none."""
    mark = layout.release(number) / "environment"
    return layout.environments / mark.read_text(encoding="utf-8") if mark.is_file() else None


def clean(layout: Layout) -> None:
    """Remove the environments that no release uses."""
    used = {of_release(layout, number) for number in layout.numbers()}
    for place in layout.environments.iterdir() if layout.environments.is_dir() else ():
        if place.is_dir() and place not in used:
            shutil.rmtree(str(place), ignore_errors=True)


def install_project(
    tree: Path, site: Path, environment: Path, layout: Layout, values: Mapping[str, str], say: Callable[[str], None]
) -> None:
    """
    Install the project itself beside its tree, for its metadata and entry points, where it can be built.

    It runs from its tree either way, so a project that cannot be built is no failure.
    """
    words = ("pip", "install", "--no-deps", "--target", str(site), "--python", str(environment), ".")
    env = _environment(layout, values)
    try:
        command.run(
            [str(uv.BINARY), *words],
            cwd=tree,
            env=env,
            user=USER,
            limit=_INSTALL_LIMIT,
            limits=builds.limits(behind=layout.live() is not None),
        )
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
    look = time.monotonic() + 1
    while not uv.BINARY.exists():
        late = time.monotonic() > look
        if time.monotonic() > deadline or (late and not firstboot.is_under_way()):
            raise StageError(f"uv is not there ({uv.BINARY}); see: cloudship logs NAME --boot")
        look = time.monotonic() + 1 if late else look
        time.sleep(0.02)


@dataclass(frozen=True)
class _Installation:
    """One environment in the making."""

    wanted: Wanted
    tree: Path
    place: Path
    layout: Layout
    values: Mapping[str, str]
    say: Callable[[str], None]

    def run(self) -> None:
        """Make it, with everything that is wanted in it."""
        self._uv("venv", "--python", _interpreter(self.wanted.python), str(self.place))
        self._packages()
        if self.wanted.extras:
            self._pip(*self.wanted.extras)
        if self.wanted.mode in _UNLOCKED and self._lacks_pkg_resources():
            self._pip(_WITH_PKG_RESOURCES)

    def _lacks_pkg_resources(self) -> bool:
        """Whether something wants setuptools for a module that newer ones dropped; the app's own choice stays."""
        site = next((self.place / "lib").glob("python3*/site-packages"), None)
        if site is None or not (site / "setuptools").is_dir() or (site / "pkg_resources").is_dir():
            return False
        texts = ((self.tree / name).read_text(encoding="utf-8", errors="replace") for name in self.wanted.files)
        return not any(_NAMES_SETUPTOOLS.search(text) for text in texts)

    def _packages(self) -> None:
        mode = self.wanted.mode
        if mode == "uv.lock":
            words = ("sync", "--frozen", "--no-dev", "--no-install-project")
            self._uv(*words, cwd=self._folder, UV_PROJECT_ENVIRONMENT=str(self.place))
        elif mode in locks.TOOLS:
            self._from_lock(locks.TOOLS[mode])
        elif mode in ("requirements", "pyproject"):
            self._pip("-r", self.wanted.files[0], *self.wanted.extras)
        elif mode == "project":
            self._pip(".", *self.wanted.extras)

    def _from_lock(self, tool: locks.Tool) -> None:
        """Let the lock's own tool say what is in it, then install that and nothing else."""
        listed = self.place / "locked.txt"
        for words in tool.commands:
            asked = tool.words(words, _interpreter(None))
            # A private index's password may stand under any name in the lock's own file: the tool sees all values.
            env = {**self.values, **_environment(self.layout, self.values)}
            self._run((*_INTO, str(listed), str(uv.BINARY), *asked), " ".join(words[:2]), self._folder, env)
        self._pip("--no-deps", "-r", str(listed))
        listed.unlink()

    @property
    def _folder(self) -> Path:
        """Where the file lies that the lock belongs to."""
        return (self.tree / self.wanted.files[0]).parent

    def _pip(self, *words: str) -> None:
        self._uv("pip", "install", "--python", str(self.place), *words)

    def _uv(self, *words: str, cwd: Optional[Path] = None, **more: str) -> None:
        env = {**_environment(self.layout, self.values), **more}
        self._run((str(uv.BINARY), *words), f"uv {' '.join(words[:2])}", cwd or self.tree, env)

    def _run(self, words: Tuple[str, ...], shown: str, cwd: Path, env: Dict[str, str]) -> None:
        command.run(
            words,
            say=_Quiet(self.say),
            cwd=cwd,
            env=env,
            user=USER,
            limit=_INSTALL_LIMIT,
            message=f"`{shown}` failed",
            limits=builds.limits(behind=self.layout.live() is not None),
        )


def _interpreter(asked: Optional[str]) -> str:
    """Take the system's Python where it will do, else let uv find or fetch one."""
    here = (sys.version_info[0], sys.version_info[1], sys.version_info[2])
    return sys.executable if python_version.satisfies(here, asked) else str(asked)


def _environment(layout: Layout, values: Mapping[str, str]) -> Dict[str, str]:
    """Give what the installer sees: where index and certificates are, and of the app's values those meant for it."""
    kept = {key: value for key, value in os.environ.items() if key.startswith(("UV_", "PIP_", "SSL_", "http", "HTTP"))}
    meant = {_AS_UV.get(key, key): value for key, value in values.items() if _FOR_INSTALLERS.fullmatch(key)}
    mirror = read_config(CONFIG).python_mirror if CONFIG.exists() else None
    return {
        **kept,
        **(uv.python_from(mirror) if mirror else {}),
        **meant,
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(layout.home / "home"),
        "LANG": "C.UTF-8",
        "UV_CACHE_DIR": str(layout.home / "cache"),
        "UV_PYTHON_INSTALL_DIR": str(layout.home / "python"),
        "UV_TOOL_DIR": str(layout.home / "cache" / "tools"),
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
