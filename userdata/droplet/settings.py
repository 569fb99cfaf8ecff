"""The app's own keys of `cloudship.toml`, or of `[tool.cloudship]` in `pyproject.toml`."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Tuple

from droplet import schedule, toml

FILE = "cloudship.toml"
ELSEWHERE = frozenset({"name", "cloud", "image", "size", "region", "ttl", "owner", "ssh_keys", "env", "user_data"}) | {
    "python_mirror"
}
SERVERS = ("gunicorn", "uvicorn")
_TARGET = re.compile(r"[A-Za-z_][\w.]{0,199}:[A-Za-z_][\w.]{0,99}(\(\))?")
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]{0,98}[a-z0-9+.]")  # a name that ends in - would be removed by apt
_BRANCH = re.compile(r"[A-Za-z0-9_][\w./+-]{0,199}")
_VERSION = re.compile(r"(?!.*[0-9]{10})[<>=!~ ,.*0-9]{1,60}")
_PAGE = re.compile(r"/[!\"$-~]*")  # what goes over the wire as it is; # would begin what never does
_LONGEST = 1000  # letters of a path
_LONGEST_PART = 200
_MOST_SECONDS = 3600
_HEALTH = ("path", "status", "timeout")


class SettingsError(Exception):
    """A key that is unknown, or a value that cannot be; the message names the key."""


@dataclass(frozen=True)
class Settings:
    """What the app's configuration says; None and empty mean: find it out."""

    app: Optional[str] = None
    server: Optional[str] = None
    python: Optional[str] = None
    apt: Tuple[str, ...] = ()
    build: Optional[str] = None
    release: Optional[str] = None
    shared: Tuple[str, ...] = ()
    branches: Tuple[str, ...] = ("main", "master")  # which a push releases
    watch: float = 10.0  # seconds after the switch in which errors roll back; 0: none
    drain: float = 30.0  # seconds that requests in flight have to finish
    schedule: Tuple[schedule.Job, ...] = ()
    health_path: str = "/"
    health_status: Optional[int] = None
    health_timeout: float = 60.0  # seconds


APP_KEYS = tuple(
    sorted({field.name for field in fields(Settings) if not field.name.startswith("health_")} | {"health"})
)


def load(tree: Path, override: Optional[Mapping[str, Any]] = None) -> Settings:
    """
    Read the settings of a tree.

    Args:
        tree: the app.
        override: keys given from outside the tree; they win.

    Raises:
        SettingsError: the file cannot be read, or a key or value cannot be.
    """
    told = _merged(table(tree), override or {})
    return _checked(told)


def table(tree: Path) -> Dict[str, Any]:
    """
    Read the table that configures a tree, unchecked.

    Raises:
        SettingsError: it cannot be read, or there are two.
    """
    own, project = tree / FILE, tree / "pyproject.toml"
    try:
        tools = toml.table(toml.read(project), "tool", where=project.name) if project.is_file() else {}
        inside = toml.table(tools, "cloudship", where=f"{project.name}, tool") if "cloudship" in tools else None
        if not own.is_file():
            return inside or {}
        if inside is not None:
            raise SettingsError(
                "both cloudship.toml and [tool.cloudship] in pyproject.toml configure this app; keep one"
            )
        return toml.read(own)
    except toml.TomlError as error:
        raise SettingsError(str(error)) from error


def _merged(own: Mapping[str, Any], override: Mapping[str, Any]) -> Dict[str, Any]:
    try:
        health = {**toml.table(own, "health", where=FILE), **toml.table(override, "health", where="settings")}
    except toml.TomlError as error:
        raise SettingsError(str(error)) from error
    return {**own, **override, "health": health}


def _checked(told: Mapping[str, Any]) -> Settings:
    for key in told:
        if key not in APP_KEYS and key not in ELSEWHERE:
            raise SettingsError(f"{key}: there is no such key{_nearest(key, (*APP_KEYS, *ELSEWHERE))}")
    values = {key: _CHECKS[key](key, value) for key, value in told.items() if key in _CHECKS and value is not None}
    return replace(Settings(**values), **_health(told.get("health", {})))


def _health(told: Mapping[str, Any]) -> Dict[str, Any]:
    found: Dict[str, Any] = {}
    for key, value in told.items():
        if key not in _HEALTH:
            raise SettingsError(f"health.{key}: there is no such key{_nearest(key, _HEALTH)}")
        if value is None:
            continue
        if key == "path" and not (isinstance(value, str) and _PAGE.fullmatch(value) and len(value) <= _LONGEST):
            raise SettingsError("health.path: begins with /; ASCII letters without blanks and #, others as %xx")
        if key == "status" and not (isinstance(value, int) and 100 <= value <= 599):
            raise SettingsError("health.status: an HTTP status such as 200")
        if key == "timeout" and not (isinstance(value, (int, float)) and 0 < value <= _MOST_SECONDS):
            raise SettingsError(f"health.timeout: seconds, more than 0 and at most {_MOST_SECONDS}")
        found[f"health_{key}"] = value
    return found


def _nearest(key: str, known: Any) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(sorted(known))}"


def _line(key: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or "\n" in value or "\0" in value:
        raise SettingsError(f"{key}: one line of text")
    return value


def _target(key: str, value: Any) -> str:
    if not isinstance(value, str) or not _TARGET.fullmatch(value):
        raise SettingsError(f'{key}: write it as "module:callable"')
    return value


def _server(key: str, value: Any) -> str:
    if value not in SERVERS:
        raise SettingsError(f"{key}: one of {', '.join(SERVERS)}")
    return str(value)


def _python(key: str, value: Any) -> str:
    if not isinstance(value, str) or not _VERSION.fullmatch(value):
        raise SettingsError(f'{key}: a version such as "3.12"')
    return value


def _packages(key: str, value: Any) -> Tuple[str, ...]:
    names = _texts(key, value)
    for name in names:
        if not _PACKAGE.fullmatch(name):
            raise SettingsError(f"{key}: {name!r} is no name of a Debian package")
    return names


def _paths(key: str, value: Any) -> Tuple[str, ...]:
    paths = tuple(one.rstrip("/") for one in _texts(key, value))
    for one in paths:
        parts = Path(one).parts
        short = len(one) <= _LONGEST and all(len(part) <= _LONGEST_PART for part in parts)
        if not parts or one.startswith("/") or ".." in parts or not short or not one.isprintable():
            raise SettingsError(f"{key}: {one[:_LONGEST_PART]!r} is no path inside the app")
    return paths


def _branches(key: str, value: Any) -> Tuple[str, ...]:
    names = _texts(key, value)
    for name in names:
        if not _BRANCH.fullmatch(name) or ".." in name or name.endswith(".lock"):
            raise SettingsError(f"{key}: {name!r} is no name of a branch")
    if not names:
        raise SettingsError(f'{key}: name at least one, such as ["main"]')
    return names


def _seconds(key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _MOST_SECONDS:
        raise SettingsError(f"{key}: seconds, from 0 to {_MOST_SECONDS}")
    return float(value)


def _schedule(key: str, value: Any) -> Tuple[schedule.Job, ...]:
    try:
        return schedule.read(value)
    except schedule.ScheduleError as error:
        raise SettingsError(f"{key}: {error}") from error


def _texts(key: str, value: Any) -> Tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(one, str) and "\0" not in one for one in value):
        raise SettingsError(f'{key}: a list of texts, such as ["one", "two"]')
    return tuple(value)


_CHECKS = {
    "app": _target,
    "server": _server,
    "python": _python,
    "apt": _packages,
    "build": _line,
    "release": _line,
    "shared": _paths,
    "branches": _branches,
    "watch": _seconds,
    "drain": _seconds,
    "schedule": _schedule,
}
