"""One plain line for each phase: for pipes, logs and terminals that can do no more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from cloudship.events import (
    Attempted,
    Called,
    Chosen,
    Destroying,
    Event,
    Noted,
    Output,
    Phase,
    PhaseEnded,
    PhaseFailed,
    PhaseStarted,
    Remained,
)
from cloudship.legible import legible


class Plain:
    """
    Writes lines.

    Args:
        stream: where.
        verbose: also every line of the droplet and every attempt.
    """

    def __init__(self, stream: TextIO, *, verbose: bool = False) -> None:
        self._stream, self._verbose = stream, verbose

    def notify(self, event: Event) -> None:
        """Write what an event deserves."""
        line = self._line(event)
        if line is not None:
            print(legible(line, None), file=self._stream, flush=True)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the terminal to somebody who asks there: lines are in nobody's way."""
        yield

    def _line(self, event: Event) -> str | None:
        detail = detail_line(event) if self._verbose else None
        return headline(event) or detail


def headline(event: Event) -> str | None:
    """Write an event that everybody should see."""
    match event:
        case Chosen():
            return chosen_line(event)
        case PhaseEnded():
            return f"{event.phase:<9} {event.seconds:6.2f} s  {event.outcome}".rstrip()
        case PhaseFailed() if event.phase != Phase.PLAN.value:  # nothing was begun: the error says it all
            return f"{event.phase:<9} {event.seconds:6.2f} s  {failed_word(event)}"
        case Noted():
            return f"{'warning' if event.warning else 'note'}: {event.text}"
        case Destroying():
            return f"destroying {event.kind} {event.id}"
        case Remained():
            return f"LEFT BEHIND: {event.what}"
        case _:
            return None


def failed_word(event: PhaseFailed) -> str:
    """Say how a phase broke off; the error itself is told at the end."""
    return event.message if event.message == "interrupted" else "failed"


def chosen_line(event: Chosen) -> str:
    """Name the cloud, and what it costs where it costs."""
    if event.price_hourly:
        return f"cloud: {event.cloud}, ${event.price_hourly:.5f} an hour for {event.size}; {event.image}"
    return f"cloud: {event.cloud}" + (f"; {event.image}" if event.image else "")


def detail_line(event: Event) -> str | None:
    """Write an event that only the curious want to see."""
    match event:
        case PhaseStarted():
            return f"{event.phase:<9} {event.title}"
        case Output():
            return f"  {event.origin}: {event.line}"
        case Called():
            return f"  api: {event.method} {event.path} {event.status or 'no answer'} {event.seconds:.2f} s"
        case Attempted():
            return f"  waiting for {event.waiting_for}, {event.elapsed:.1f} of {event.limit:g} s: {event.last}"
        case _:
            return None
