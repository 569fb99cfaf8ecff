"""
What happens, as JSON lines: one event a line, for the client, for people later, and for whoever waits.

A stage is running, says things, and is done or failed. A reader that comes late reads from the beginning.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional, Sequence

RUNNING, OUTPUT, DONE, FAILED = "running", "output", "done", "failed"
_LOCK = threading.Lock()
_QUIET = 1.0  # seconds without an event after which the writer is looked for


class StageError(Exception):
    """
    A stage failed.

    Args:
        message: one sentence.
        lines: the guilty ones, oldest first.
    """

    def __init__(self, message: str, lines: Optional[List[str]] = None) -> None:
        super().__init__(message)
        self.lines = list(lines or ())


class Journal:
    """
    Writes events to a file, and shows them on standard output as people read them or as they are.

    Args:
        file: where they are kept; None: nowhere.
        show: gets every event; see `as_text` and `as_json`.
    """

    def __init__(self, file: Optional[Path], show: Callable[[Dict], None] = lambda event: None) -> None:
        self._file, self._show = file, show

    @contextmanager
    def stage(self, name: str, text: str = "") -> Iterator[Callable[[str], None]]:
        """Run a stage; what it yields takes the stage's output lines. Errors pass through, told."""
        began = time.monotonic()
        self.tell(name, RUNNING, text)
        try:
            yield lambda line: self.tell(name, OUTPUT, line)
        except Exception as error:
            lines = getattr(error, "lines", ())
            self.tell(name, FAILED, str(error), seconds=time.monotonic() - began, lines=lines)
            raise
        self.tell(name, DONE, seconds=time.monotonic() - began)

    def tell(
        self, stage: str, state: str, text: str = "", seconds: Optional[float] = None, lines: Sequence[str] = ()
    ) -> None:
        """Write one event; a failure has its guilty lines with it."""
        event: Dict = {"at": time.time(), "stage": stage, "state": state, "text": text, "seconds": seconds}
        if lines:
            event["lines"] = list(lines)
        with _LOCK:
            if self._file is not None:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                with self._file.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(event) + "\n")
            self._show(event)


def as_json(event: Dict) -> None:
    """Show an event as it is."""
    _print(json.dumps(event))


def as_text(event: Dict) -> None:
    """Show an event as people read it, in the answer to a push."""
    if event["state"] == OUTPUT:
        _print("    " + event["text"])
    elif event["state"] == RUNNING:
        _print(f"-> {event['stage']}" + (f": {event['text']}" if event["text"] else ""))
    elif event["state"] == DONE:
        _print(f"    {event['seconds']:.2f} s")


def _print(line: str) -> None:
    try:
        print(line, flush=True)
    except OSError:  # the client went away; the work goes on
        sys.stdout = open("/dev/null", "w", encoding="utf-8")  # noqa: SIM115  for the rest of the process


def read(file: Path) -> List[Dict]:
    """Read all events of a file that are whole."""
    try:
        lines = file.read_text(encoding="utf-8").split("\n")[:-1]
    except OSError:
        return []
    return [json.loads(line) for line in lines]


def follow(
    file: Path, last_stage: str, *, limit: float, dead: Callable[[], Optional[str]] = lambda: None
) -> Iterator[Dict]:
    """
    Give all events from the beginning, and new ones as they come, until the last stage ended.

    Whether whoever writes them is `dead` is asked where nothing came for a while; what it wrote last is still given.
    """
    deadline, given, over, looked = time.monotonic() + limit, 0, False, time.monotonic()
    while time.monotonic() < deadline:
        events = read(file)
        for event in events[given:]:
            yield event
            if event["stage"] == last_stage and event["state"] in (DONE, FAILED):
                return
        if over:
            return
        if len(events) > given:
            looked = time.monotonic()
        elif time.monotonic() - looked > _QUIET:
            over, looked = dead() is not None, time.monotonic()
        given = len(events)
        time.sleep(0.02)
