"""The live display: each phase with its running time, and under the current one what it waits for."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text
from typing_extensions import Self

from cloudship.display.plain import headline
from cloudship.events import Attempted, Event, Output, PhaseEnded, PhaseFailed, PhaseStarted
from cloudship.legible import legible

_NARROW = 40  # columns below which details are left out


class Terminal:
    """
    Draws what happens, redrawn ten times a second.

    Args:
        stream: the terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False)
        self._live = Live(self, console=self._console, refresh_per_second=10, transient=True)
        self._current: PhaseStarted | None = None
        self._since = 0.0
        self._detail = ""
        self._spinner = Spinner("dots")

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._current = None
        self._live.stop()

    def notify(self, event: Event) -> None:
        """Take an event in."""
        if isinstance(event, PhaseStarted):
            self._current, self._since, self._detail = event, time.monotonic(), ""
        elif isinstance(event, Attempted):
            self._say(f"{event.waiting_for}, for {event.elapsed:.0f} s of {event.limit:g}: {event.last}")
        elif isinstance(event, Output):
            self._say(f"{event.origin}: {event.line.strip()}")
        elif isinstance(event, PhaseEnded):
            self._live.console.print(_finished(event))
        elif isinstance(event, PhaseFailed):
            self._current = None
            self._live.console.print(Text(f"x {event.phase:<9} {event.seconds:6.2f} s  failed", style="red"))
        elif (line := headline(event)) is not None:
            self._live.console.print(Text(legible(line), style="yellow" if line.startswith("warning") else "dim"))

    def __rich__(self) -> RenderableType:
        """Draw the phase that is under way."""
        if self._current is None:
            return Text("")
        seconds = time.monotonic() - self._since
        head = Table.grid(padding=(0, 1))
        head.add_row(self._spinner, f"{self._current.phase:<9} {seconds:6.2f} s ", self._current.title)
        if not self._detail or self._console.width < _NARROW:
            return head
        detail = Text(f"    {self._detail}", style="dim", no_wrap=True, overflow="ellipsis")
        return Group(head, detail)

    def _say(self, text: str) -> None:
        self._detail = legible(text)


def _finished(event: PhaseEnded) -> Text:
    line = Text()
    line.append("+ ", style="green")
    line.append(f"{event.phase:<9} {event.seconds:6.2f} s  ")
    line.append(legible(event.outcome), style="dim")
    return line
