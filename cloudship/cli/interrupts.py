"""
Ctrl-C, SIGTERM and SIGHUP: the first cleans up, the second stops waiting and says what may be left.

The first is raised where the main thread is, and every way out takes down what was made. The second is raised too,
past every clean-up that would wait; a timer ends the process where something waits all the same.

Before a command has begun there is nothing to clean up, and a signal ends the process where it is: an exception in the
middle of an import would be shown, or swallowed, by whatever is being imported.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

from cloudship.errors import Abandoned, Terminated

PATIENCE = 1.5  # seconds from the second signal to the end, whatever happens
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 143}
_SHOW_CURSOR = "\x1b[?25h"


class Interrupts:
    """
    What signals did to this process.

    Args:
        report: prints what may be left.
        tidies: whether the command makes or destroys things, so that its end takes a moment.
    """

    def __init__(self, report: Callable[[], None], *, tidies: bool) -> None:
        self._report, self.tidies = report, tidies
        self._reported = threading.Lock()
        self.under_way = False  # whether a command has begun
        self.began = time.time()
        self.first: int | None = None
        self._count = 0

    def install(self) -> None:
        """Handle the signals, except for those that whoever started us wanted ignored."""
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._handle)
        with suppress(OSError):  # who may open no more files goes on without
            self._watch()

    def ended(self) -> None:
        """Let a signal from here on end the process at once: all is done, and nothing to be cleaned up."""
        self.under_way = False

    @property
    def status(self) -> int:
        """The exit status that the first signal asks for."""
        return STATUS.get(signal.Signals(self.first), 130) if self.first is not None else 130

    def report_once(self) -> None:
        """Say what may be left, unless it has been said."""
        if self._reported.acquire(blocking=False):
            self._report()

    def _watch(self) -> None:
        """
        Count signals beside the main thread, which hears of none while it waits for a name to be looked up.

        Python writes each one's number into a pipe in the moment in which it comes.
        """
        listening, telling = os.pipe()
        os.set_blocking(telling, False)
        signal.set_wakeup_fd(telling, warn_on_full_buffer=False)
        threading.Thread(target=self._count_from, args=(listening,), daemon=True).start()

    def _count_from(self, listening: int) -> None:
        seen = 0
        while told := os.read(listening, 16):
            seen += sum(number in _SIGNALS for number in told) if self.under_way else 0
            if seen >= 2:  # noqa: PLR2004  the second
                time.sleep(PATIENCE)
                self._end()

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if not self.under_way:
            os._exit(STATUS[signal.Signals(number)])
        self._count += 1
        if self._count == 1:
            self.first = number
            if self.tidies:
                print("\ninterrupted; cleaning up (once more to stop waiting)", file=sys.stderr, flush=True)
            raise KeyboardInterrupt if number == signal.SIGINT else Terminated
        if self._count == 2:  # noqa: PLR2004  the second
            timer = threading.Timer(PATIENCE, self._end)
            timer.daemon = True
            timer.start()
            raise Abandoned
        self._end()

    def _end(self) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(_SHOW_CURSOR)
        self.report_once()
        sys.stderr.flush()
        os._exit(self.status)
