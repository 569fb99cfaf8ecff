"""Readers of what happens: a live display on a terminal, plain lines elsewhere, a table in a notebook."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from cloudship.events import Event


class Display(Protocol):
    """Shows what happens."""

    def notify(self, event: Event) -> None:
        """Take an event in."""

    def paused(self) -> AbstractContextManager[None]:
        """Leave the terminal to somebody who asks there."""


@contextmanager
def on_stream(stream: TextIO | None = None, *, verbose: bool = False) -> Iterator[Display]:
    """
    Show events on a stream: live where it is a terminal that can, one plain line for each phase elsewhere.

    Args:
        stream: default: standard error.
        verbose: every line of the droplet and every attempt too.
    """
    target = stream or sys.stderr
    if is_live(target) and not verbose:
        from cloudship.display.terminal import Terminal

        with Terminal(target) as terminal:
            yield terminal
    else:
        from cloudship.display.plain import Plain

        yield Plain(target, verbose=verbose)


def is_live(stream: TextIO) -> bool:
    """Whether a stream is a terminal that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM", "dumb") not in {"dumb", "unknown", ""}
