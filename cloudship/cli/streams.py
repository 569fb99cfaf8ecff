"""
The streams of a process whose reader may go away: a closed window, a lost connection, a pipe to `head`.

Whoever tidies up goes on tidying when nobody hears of it any more. Results are another matter: a command whose result
nobody takes has failed, and one that follows a log has no reason to go on.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, TypeVar, cast

from cloudship.errors import StorageError

T = TypeVar("T")


class Result:
    """
    The stream that results are written to; where it takes none, that is told as any other error.

    Args:
        stream: is written to.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, or say why that cannot be."""
        return self._try(lambda: self._stream.write(text))

    def flush(self) -> None:
        """Send off what was written, or say why that cannot be."""
        self._try(self._stream.flush)

    def _try(self, act: Callable[[], T]) -> T:
        try:
            return act()
        except BrokenPipeError:  # whoever read it, as `head` does, has enough
            raise
        except OSError as error:
            lead_nowhere(self._stream)
            raise StorageError(
                f"The result cannot be written to standard output: {error.strerror}",
                next_step="lead it to where there is room; cloudship list shows what runs",
            ) from error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Unheard:
    """
    A stream on which speaking never fails; once nobody listens, what is said goes nowhere.

    Args:
        stream: is spoken on.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, if anybody reads."""
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Send off what was written, if anybody reads."""
        self._try(self._stream.flush)

    def _try(self, act: Callable[[], object]) -> None:
        try:
            act()
        except RuntimeError:
            return  # a signal came while we were speaking, and its handler speaks too
        except (OSError, ValueError):
            lead_nowhere(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def spoken() -> Iterator[None]:
    """Have this process speak so that neither a reader that is gone nor a letter it cannot show ends a command."""
    kept = sys.stdin, sys.stdout, sys.stderr
    with open(os.devnull, "r+", encoding="utf-8") as nowhere:  # noqa: PTH123  a device
        sys.stdin = sys.stdin or nowhere
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        sys.stdout = cast("TextIO", Result(sys.stdout or nowhere))
        sys.stderr = cast("TextIO", Unheard(sys.stderr or nowhere))
        try:
            yield
        finally:
            sys.stdin, sys.stdout, sys.stderr = kept


def lead_nowhere(stream: TextIO) -> None:
    """Send what is left in a stream, and all that follows, nowhere: the interpreter's last flush must not fail."""
    with suppress(OSError, ValueError), open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123  a device
        os.dup2(nowhere.fileno(), stream.fileno())
