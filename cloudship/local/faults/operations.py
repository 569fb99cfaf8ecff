"""Which requests a fault is for: by DigitalOcean's operation id, or by method and path, both as patterns with `*`."""

from __future__ import annotations

import re
from collections.abc import Collection
from difflib import get_close_matches
from fnmatch import fnmatchcase

_PLACE = re.compile(r"([A-Z*]+) (/.*)")
_METHODS = frozenset({"*", "GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
_BELOW = "/v2/"


def fits(wanted: str, method: str, path: str, operation: str | None) -> bool:
    """Whether a request is one of those that are wanted."""
    place = _PLACE.fullmatch(wanted)
    if place is None:
        return operation is not None and fnmatchcase(operation, wanted)
    return place.group(1) in ("*", method) and fnmatchcase(path, _plain(place.group(2)))


def lacking(wanted: str, known: Collection[str]) -> str | None:
    """Say why no request can ever be what is wanted; None where one can."""
    if place := _PLACE.fullmatch(wanted):
        return _lacking_place(*place.groups())
    if any(fnmatchcase(name, wanted) for name in known):
        return None
    near = get_close_matches(wanted, sorted(known), n=1, cutoff=0)
    return f"there is no operation {wanted!r}; the nearest is {near[0]!r}, and `GET /v2/droplets/*` is a pattern"


def _lacking_place(method: str, path: str) -> str | None:
    if method not in _METHODS:
        return f"there is no method {method!r}, only {', '.join(sorted(_METHODS))}"
    if "?" in path:
        return "a query is no part of a path"
    begin, star, _ = _plain(path).partition("*")
    if begin.startswith(_BELOW) or (star and _BELOW.startswith(begin)):
        return None
    return f"no request is met at {path!r}: paths begin with {_BELOW}, as in `GET /v2/droplets/*`"


def _plain(path: str) -> str:
    """Spell a path as a request's is spelt when it is met, see `api/app.py`."""
    return re.sub(r"/{2,}", "/", path).rstrip("/") or "/"
