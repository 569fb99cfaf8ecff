"""How several verbs write the same things: tables, and the seconds of phases."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO

from cloudship.display.words import HARD_BLANK

if TYPE_CHECKING:
    from cloudship.models import PhaseTime


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write rows under their columns, each as wide as its widest cell."""
    whole = [columns, *rows]
    widths = [max(len(row[column]) for row in whole) for column in range(len(columns))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in whole)
    return "\n".join(lines)


def phases(timeline: Sequence[PhaseTime]) -> list[dict[str, Any]]:
    """Write the phases for programs."""
    return [{"name": time.name, "seconds": time.seconds} for time in timeline]


def seconds(timeline: Sequence[PhaseTime]) -> str:
    """Write the phases for people: the whole, and what it is made of."""
    parts = [f"{time.name}{HARD_BLANK}{time.seconds:.1f}" for time in timeline]
    return f"{sum(time.seconds for time in timeline):.1f} = {', '.join(parts)}"


def cost(price_hourly: float) -> str:
    """Write what a ship costs, for people."""
    return f"${price_hourly:.5f} an hour, ${price_hourly * 24:.2f} a day" if price_hourly else "nothing"


def width_of(stream: TextIO) -> int | None:
    """Give the columns of a terminal; None where a stream is none."""
    if not stream.isatty():
        return None
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except OSError:
        return None
