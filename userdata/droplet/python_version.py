"""Which Python an app asks for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Optional, Tuple

from droplet import text

FILES = (".python-version", "runtime.txt")


def wanted(tree: Path, configured: Optional[str], required: Optional[str]) -> Optional[str]:
    """
    Say the version or the range that is asked for, as uv understands it; None when nothing asks.

    Args:
        tree: the app.
        configured: `python` of the settings; it wins.
        required: `requires-python` of pyproject.toml; it comes last.
    """
    if configured:
        return configured
    for name in FILES:
        path = tree / name
        told = text.read(path) if path.is_file() else ""
        match = re.search(r"(?<![0-9])[0-9]{1,4}(\.[0-9]{1,4}){0,2}(?![0-9])", told)
        if match:
            return match.group(0)
    return required


def satisfies(version: Tuple[int, int, int], asked: Optional[str]) -> bool:
    """Whether an interpreter will do for what is asked: a version, or a range such as `>=3.9,<4`."""
    if not asked:
        return True
    return all(_meets(version, clause.strip()) for clause in asked.split(",") if clause.strip())


def _meets(version: Tuple[int, int, int], clause: str) -> bool:
    match = re.fullmatch(r"(>=|<=|==|!=|~=|>|<)?\s*v?([0-9]{1,9}(?:\.[0-9]{1,9})*)(\.\*)?", clause)
    if not match:
        return False
    operator, parts = match.group(1) or "==", tuple(int(part) for part in match.group(2).split("."))
    have = version[: len(parts)]
    if operator == "~=":
        return have >= parts and version[: max(1, len(parts) - 1)] == parts[:-1]
    full = parts + (0,) * (3 - len(parts))
    results = {
        "==": have == parts,
        "!=": have != parts,
        ">=": version >= full,
        "<=": have <= parts,
        ">": have > parts,
        "<": version < full,
    }
    return results[operator]


def from_poetry(asked: object) -> Optional[str]:
    """Write Poetry's caret and tilde as ranges: `^3.10` is `>=3.10,<4`, `~3.10` is `>=3.10,<3.11`."""
    if not isinstance(asked, str) or not asked.strip() or asked.strip() == "*" or "|" in asked:
        return None
    return ",".join(_as_range(clause.strip()) for clause in asked.split(",") if clause.strip())


def _as_range(clause: str) -> str:
    match = re.fullmatch(r"([\^~])\s*([0-9]{1,9})(?:\.([0-9]{1,9}))?(\.[0-9]{1,9})?", clause)
    if not match:
        return clause
    operator, major, minor, rest = match.groups()
    low = major + (f".{minor}" if minor else "") + (rest or "")
    high = f"{int(major) + 1}" if operator == "^" or minor is None else f"{major}.{int(minor) + 1}"
    return f">={low},<{high}"
