"""Reading TOML that anybody may have written: what is no table where one belongs is said, and never stumbled over."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Tuple

try:
    import tomllib
except ModuleNotFoundError:  # before Python 3.11
    try:
        import tomli as tomllib
    except ModuleNotFoundError:
        tomllib = None


class TomlError(Exception):
    """A file that cannot be read, or that holds something else than a table where one belongs."""


def read(path: Path) -> Dict[str, Any]:
    """
    Read a file.

    Raises:
        TomlError: it is no TOML, or this Python cannot read it.
    """
    if tomllib is None:
        raise TomlError("this Python reads no TOML: tomli is missing")
    try:
        return dict(tomllib.loads(path.read_text(encoding="utf-8-sig")))
    except (OSError, ValueError, RecursionError) as error:
        raise TomlError(f"{path.name} cannot be read: {error}") from error


def parse(text: str) -> Dict[str, Any]:
    """Parse TOML that may be none: whoever needs to know says so later."""
    if tomllib is None:
        return {}
    try:
        return dict(tomllib.loads(text))
    except (ValueError, RecursionError):
        return {}


def table(told: Any, *keys: str, where: str = "") -> Dict[str, Any]:
    """
    Follow keys to a table; one that is not there is empty.

    Raises:
        TomlError: something else stands there, and `where` says in which file; without it, that is empty too.
    """
    for place, key in enumerate(keys, start=1):
        told = told.get(key) or {}
        if not isinstance(told, dict):
            if where:
                raise TomlError(f"{where}: [{'.'.join(keys[:place])}] is no table")
            return {}
    return dict(told)


def tables(found: Any) -> List[Dict[str, Any]]:
    """Take the tables of a list; of anything else, none."""
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def texts(found: Any) -> Tuple[str, ...]:
    """Take the texts of a list; of anything else, none."""
    return tuple(one for one in found if isinstance(one, str)) if isinstance(found, (list, tuple, dict)) else ()
