"""Which requests a fault is for: by DigitalOcean's operation id, or by method and path, both as patterns with `*`."""

from __future__ import annotations

import re
from collections.abc import Collection
from difflib import get_close_matches
from fnmatch import fnmatchcase

_PLACE = re.compile(r"([A-Z*]+) (/.*)")


def fits(wanted: str, method: str, path: str, operation: str | None) -> bool:
    """Whether a request is one of those that are wanted."""
    place = _PLACE.fullmatch(wanted)
    if place is None:
        return operation is not None and fnmatchcase(operation, wanted)
    return place.group(1) in ("*", method) and fnmatchcase(path, place.group(2))


def lacking(wanted: str, known: Collection[str]) -> str | None:
    """Say why no request can ever be what is wanted; None where one can."""
    if _PLACE.fullmatch(wanted) or any(fnmatchcase(name, wanted) for name in known):
        return None
    near = get_close_matches(wanted, sorted(known), n=1, cutoff=0)
    return f"there is no operation {wanted!r}; the nearest is {near[0]!r}, and `GET /v2/droplets/*` is a pattern"
