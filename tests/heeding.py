"""What tests start heeds signals, however the tests themselves were started."""

from __future__ import annotations

import signal


def heed() -> None:
    """Heed interrupts and hang-ups, as a program does that a person starts; background jobs of a shell ignore them."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
