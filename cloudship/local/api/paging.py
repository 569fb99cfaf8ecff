"""Pages as DigitalOcean numbers them, with absolute links to the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import Request

from cloudship.local.errors import unprocessable

DEFAULT, MOST = 20, 200  # objects on a page
_DIGITS = 9  # of a page's number


def page(request: Request, key: str, items: Sequence[Any]) -> dict[str, Any]:
    """
    Answer a listing: the items of the page that is asked for, links and the total.

    Raises:
        Refusal: `page` or `per_page` is no number that can be.
    """
    size = min(_number(request, "per_page", DEFAULT), MOST)
    number = _number(request, "page", 1)
    shown = list(items[(number - 1) * size : number * size])
    last = max(1, -(-len(items) // size))
    links = {"pages": _links(request, number, last)} if last > 1 else {}
    return {key: shown, "links": links, "meta": {"total": len(items)}}


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not text.isdecimal() or not text.isascii() or len(text) > _DIGITS or int(text) < 1:
        raise unprocessable(f"{name} must be a positive number")
    return int(text)


def _links(request: Request, number: int, last: int) -> dict[str, str]:
    others: dict[str, int] = {}
    if number > 1:
        others |= {"first": 1, "prev": number - 1}
    if number < last:
        others |= {"next": number + 1, "last": last}
    return {name: str(request.url.include_query_params(page=target)) for name, target in others.items()}
