"""The table that a notebook shows of a value; pure."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cloudship.models import PhaseTime


def table(caption: str, rows: Sequence[tuple[str, str]], *, links: frozenset[str] = frozenset()) -> str:
    """
    Write a table of two columns in HTML.

    Args:
        caption: above it.
        rows: name and text of each; everything is escaped.
        links: names of the rows whose text is a URL.
    """
    shown = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{_cell(text, name in links)}</td></tr>" for name, text in rows
    )
    return f"<table><caption><b>{html.escape(caption)}</b></caption>{shown}</table>"


def facts(ship: Any) -> list[tuple[str, str]]:
    """Say of a ship what is known without asking anybody, as rows."""
    return [
        ("state", ship.state),
        ("url", ship.url),
        ("droplet", f"{ship.droplet_id} on {ship.cloud.value}, {ship.image}"),
        ("price", f"${ship.price_hourly:.5f} an hour" if ship.price_hourly else "nothing"),
        ("expires", ends(ship.expires_at)),
    ]


def ends(expires_at: str | None) -> str:
    """Say when a ship ends, and when it goes then: a ttl is a promise about the next sweep."""
    return f"{expires_at}; it goes at the first `cloudship reap` after that" if expires_at else "never"


def times(timeline: Sequence[PhaseTime]) -> list[tuple[str, str]]:
    """Write the seconds of phases as rows, and of all of them."""
    rows = [(time.name, f"{time.seconds:.2f} s") for time in timeline]
    return [*rows, ("in all", f"{sum(time.seconds for time in timeline):.2f} s")] if rows else []


def _cell(text: str, linked: bool) -> str:  # noqa: FBT001  two ways to write one cell
    escaped = html.escape(text)
    return f'<a href="{escaped}" target="_blank">{escaped}</a>' if linked and text else escaped
