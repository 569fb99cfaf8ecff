"""
What a project says that it needs, and whether its uv.lock still fits.

uv itself would install what a lock holds without a word, or resolve all anew to find out.
"""

from __future__ import annotations

import re
from typing import Any, Dict, FrozenSet, Iterable, List, Optional, Sequence, Set, Tuple

from droplet import toml

Bounds = FrozenSet[Tuple[str, str]]  # as in >= and 2.1

_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_BOUNDS = re.compile(r"\s*(?:\[[^\]]*\])?\s*\(?([^()@]*)\)?\s*$")
_CLAUSE = re.compile(r"(===|[<>=!~]=|[<>])([0-9]+(?:\.[0-9]+)*(?:\.\*)?)$")
_PLAIN = {"name", "extras", "marker", "specifier", "index"}  # what a need says that comes from an index


def name_of(need: str) -> str:
    """Give the package that a need is about, in the one spelling of its name; empty: it is about none."""
    found = _NAME.match(need)
    return re.sub(r"[-_.]+", "-", found.group(1)).lower() if found else ""


def misfit(packages: List[Dict[str, Any]], needs: Sequence[str]) -> Optional[str]:
    """
    Say why a lock is older than what its project needs; None: it fits, as far as that can be told without uv.

    Args:
        packages: as the lock has them.
        needs: the project's own, in the words of its pyproject.toml.
    """
    own = [_parsed(one) for one in needs]
    known = [one for package in packages for one in _needs_in(package)]
    held = {name_of(str(one.get("name", ""))) for one in (*packages, *known)}
    lacking = sorted({name for name, _ in own} - held)
    if held and lacking:
        return f"uv.lock lacks {', '.join(lacking)}, which pyproject.toml names"
    project = next((one for one in packages if _is_here(one)), {})
    asked = [one for one in _needs_in(project) if "extra ==" not in str(one.get("marker", ""))]
    for name in sorted({name for name, _ in own}):
        ours = {bounds for other, bounds in own if other == name}
        theirs = {_bounds_in(one) for one in asked if name_of(str(one.get("name", ""))) == name}
        if theirs and None not in ours | theirs and ours != theirs:
            return f"uv.lock was made for {_shown(name, theirs)}, and pyproject.toml asks for {_shown(name, ours)}"
    return None


def _is_here(package: Dict[str, Any]) -> bool:
    source = toml.table(package, "source")
    return "." in (source.get("virtual"), source.get("editable"))


def _needs_in(package: Dict[str, Any]) -> List[Dict[str, Any]]:
    return toml.tables(toml.table(package, "metadata").get("requires-dist"))


def _parsed(need: str) -> Tuple[str, Optional[Bounds]]:
    text = need.partition(";")[0]
    found = _NAME.match(text)
    bounds = _BOUNDS.match(text, found.end() if found else 0)
    return name_of(text), _bounds(bounds.group(1)) if bounds else None


def _bounds_in(need: Dict[str, Any]) -> Optional[Bounds]:
    return _bounds(str(need.get("specifier", ""))) if set(need) <= _PLAIN else None


def _bounds(text: str) -> Optional[Bounds]:
    """Read bounds in the one spelling of their numbers; None where there is more in them than numbers."""
    found = [_CLAUSE.match(one.replace(" ", "")) for one in text.split(",") if one.strip()]
    if None in found:
        return None
    return frozenset((one.group(1), _numbers(one.group(2))) for one in found if one)


def _numbers(version: str) -> str:
    return ".".join(str(int(part)) if part.isdigit() else part for part in version.split("."))


def _shown(name: str, some: Iterable[Optional[Bounds]]) -> str:
    texts: Set[str] = {",".join(sorted(f"{sign}{number}" for sign, number in one)) for one in some if one is not None}
    return " or ".join(f"{name}{text}" if text else f"any {name}" for text in sorted(texts))
