"""Readers of what happens: a live display on a terminal, plain lines elsewhere, a table in a notebook."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from cloudship.events import Notify


@contextmanager
def on_stream(stream: TextIO | None = None, *, verbose: bool = False) -> Iterator[Notify]:
    """
    Show events on a stream: live where it is a terminal that can, one plain line for each phase elsewhere.

    Args:
        stream: default: standard error.
        verbose: every line of the droplet and every attempt too.
    """
    target = stream or sys.stderr
    if _is_live(target) and not verbose:
        from cloudship.display.terminal import Terminal

        with Terminal(target) as terminal:
            yield terminal.notify
    else:
        from cloudship.display.plain import Plain

        yield Plain(target, verbose=verbose).notify


def _is_live(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM", "dumb") != "dumb" and "NO_COLOR" not in os.environ
