"""Work that goes on beside other work, whose error is raised where it is waited for."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Background:
    """One piece of work in a thread, whose error is raised where it is waited for."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work
        self._error: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def wait_for(self, event: threading.Event) -> None:
        """Wait until an event, or the end of the work; an error of the work is raised."""
        while not event.wait(0.01) and self._thread.is_alive():
            continue
        if not event.is_set():
            self.result()

    def result(self) -> None:
        """Wait for the end, and raise what went wrong."""
        while self._thread.is_alive():
            self._thread.join(0.5)  # in slices: Ctrl-C must get through
        if self._error:
            raise self._error[0]

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001  `result` raises it: a thread that ended is no success
            self._error.append(error)
