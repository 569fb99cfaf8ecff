"""The live display: each phase with its running time, and under the current one what it waits for."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text
from typing_extensions import Self

from cloudship.display.plain import failed_word, headline
from cloudship.display.words import folded
from cloudship.events import Attempted, Event, Output, Phase, PhaseEnded, PhaseFailed, PhaseStarted

_NARROW = 60  # columns below which what came of a phase stands under it
_DETAIL, _NARROW_DETAIL = 2, 4  # lines for what is waited for, and for the last answer


class Terminal:
    """
    Draws what happens, redrawn ten times a second; what is over stays above as lines.

    Args:
        stream: the terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        system = None if "NO_COLOR" in os.environ else "auto"
        self._console = Console(file=stream, highlight=False, color_system=system)  # type: ignore[arg-type]
        self._live = self._alive()
        self._lock = threading.Lock()
        self._current: PhaseStarted | None = None
        self._since = 0.0
        self._wait: _Wait | None = None
        self._last = ""
        self._spinner = Spinner("dots" if "utf" in (stream.encoding or "").lower() else "line")

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._current = None
        self._live.stop()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the terminal to somebody who asks there, such as sudo for a password."""
        self._live.stop()
        try:
            yield
        finally:
            self._live = self._alive()  # the old one would wipe out what was written meanwhile
            self._live.start()

    def notify(self, event: Event) -> None:
        """Take an event in."""
        match event:
            case PhaseStarted():
                with self._lock:
                    self._current, self._since, self._wait, self._last = event, time.monotonic(), None, ""
            case Attempted():
                with self._lock:
                    self._wait, self._last = _Wait(event), event.last
            case Output():
                self._last = event.line if event.origin == "boot" else f"{event.origin}: {event.line}"
            case PhaseEnded():
                self._over("+", "green", event.phase, event.seconds, event.outcome)
            case PhaseFailed() if event.phase == Phase.PLAN.value:
                self._current = None  # nothing was begun: the error says it all
            case PhaseFailed():
                self._over("x", "red", event.phase, event.seconds, failed_word(event))
            case _:
                if (line := headline(event)) is not None:
                    style = "yellow" if line.startswith("warning") else "dim"
                    first, *rest = folded(line, self._console.width - 3)
                    self._console.print("\n  ".join([first, *rest]), style=style, markup=False)

    def __rich__(self) -> RenderableType:
        """Draw the phase that is under way."""
        with self._lock:
            current, since, wait, last = self._current, self._since, self._wait, self._last
        if current is None:
            return Text("")
        width = self._console.width
        mark = self._spinner.render(self._console.get_time())
        text = mark if isinstance(mark, Text) else Text("-")
        head, *more = _phase(current.phase, time.monotonic() - since, current.title, width)
        rows = [Text(" ").join([text, Text(head)]), *(Text(one) for one in more)]
        if wait is not None:
            details = [wait.shown(), f"last answer: {last}"]
        else:
            details = [f"under way since {_clock(time.monotonic() - since)}", *([f"last line: {last}"] if last else [])]
        for detail in details:
            most = _DETAIL if width >= _NARROW else _NARROW_DETAIL
            rows += [Text(f"    {one}", style="dim") for one in folded(detail, width - 5, most=most)]
        return Group(*rows)

    def _alive(self) -> Live:
        return Live(self, console=self._console, refresh_per_second=10, transient=True)

    def _over(self, mark: str, style: str, phase: str, seconds: float, outcome: str) -> None:
        with self._lock:
            self._current = None
        head, *more = _phase(phase, seconds, outcome, self._console.width)
        line = Text(mark, style=style)
        line.append(f" {head}", style="default")
        self._console.print(Group(line, *(Text(one) for one in more)))


class _Wait:
    """A wait under way: for what, since when, and how long it may take."""

    def __init__(self, event: Attempted) -> None:
        self._for, self._limit = event.waiting_for, event.limit
        self._began = time.monotonic() - event.elapsed
        self._clock = _clock(event.elapsed)

    def shown(self) -> str:
        """Write it in a line."""
        seconds = time.monotonic() - self._began
        return f"waits since {self._clock}, {seconds:.0f} of {self._limit:g} s, for {self._for}"


def _clock(ago: float) -> str:
    """Say what the clock on the wall showed so many seconds ago."""
    return time.strftime("%H:%M:%S", time.localtime(time.time() - ago))


def _phase(name: str, seconds: float, text: str, width: int) -> list[str]:
    """Write a phase, without its mark: its name, its time, and what it does or what came of it."""
    head = f"{name:<9} {seconds:6.2f} s"
    if width < _NARROW:
        return [head, *(f"    {one}" for one in folded(text, width - 5, most=3) if one)]
    first, *rest = folded(text, width - len(head) - 5)
    return [f"{head}  {first}".rstrip(), *(" " * (len(head) + 4) + one for one in rest)]
