"""A terminal of a test's own: what a program writes is drawn as a person would see it, what is typed reaches it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TextIO

import pyte
from heeding import heed
from typing_extensions import Self

_CTRL_C = b"\x03"


class Screen:
    """
    A pseudo-terminal, and the screen behind it.

    Args:
        columns: how wide it is.
        rows: how high it is.
    """

    def __init__(self, columns: int = 80, rows: int = 50) -> None:
        self.columns = columns
        self._screen = pyte.HistoryScreen(columns, rows, history=1000)
        self._stream = pyte.ByteStream(self._screen)
        self._ours, self._theirs = pty.openpty()
        fcntl.ioctl(self._theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.raw = b""
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, words: Sequence[str], env: Mapping[str, str]) -> None:
        """Start a program of which this is the terminal."""
        self._process = subprocess.Popen(
            list(words),
            stdin=self._theirs,
            stdout=self._theirs,
            stderr=self._theirs,
            env={"TERM": "xterm-256color", **env},
            start_new_session=True,
            preexec_fn=_at_the_terminal,  # noqa: PLW1509  no thread runs yet in there
        )

    @contextmanager
    def stream(self, encoding: str = "utf-8") -> Iterator[TextIO]:
        """Open it for writing, from this very process."""
        with os.fdopen(os.dup(self._theirs), "w", encoding=encoding, errors="backslashreplace") as stream:
            yield stream

    def read(self, seconds: float = 0.0) -> None:
        """Draw what has come, and what comes within some seconds."""
        until = time.monotonic() + seconds
        while select.select([self._ours], [], [], max(0.0, until - time.monotonic()))[0]:
            self.raw += (data := os.read(self._ours, 65536))
            self._stream.feed(data)

    def lines(self) -> list[str]:
        """Give what stands on the screen, and what has scrolled off it above."""
        above = ["".join(line[x].data for x in range(self.columns)) for line in self._screen.history.top]
        return [line.rstrip() for line in (*above, *self._screen.display)]

    @property
    def text(self) -> str:
        """All of it."""
        return "\n".join(self.lines()).rstrip()

    @property
    def cursor_is_hidden(self) -> bool:
        """Whether nobody can see where the cursor is."""
        return bool(self._screen.cursor.hidden)

    def wait_for(self, condition: Callable[[str], bool], limit: float = 60.0) -> str:
        """Wait until the screen is so, and give it."""
        until = time.monotonic() + limit
        while True:
            ended = self._process is not None and self._process.poll() is not None
            self.read(0.02)
            if condition(self.text):
                return self.text
            assert time.monotonic() < until, self.text
            assert not ended, self.text

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        os.write(self._ours, _CTRL_C)

    def write(self, text: str) -> None:
        """Type."""
        os.write(self._ours, text.encode())

    def status(self, limit: float = 60.0) -> int:
        """Wait for the program's end, and give its exit status."""
        assert self._process is not None
        until = time.monotonic() + limit
        while self._process.poll() is None:
            self.read(0.02)
            assert time.monotonic() < until, self.text
        self.read(0.05)
        return self._process.returncode

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._ours)
        os.close(self._theirs)


def _at_the_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    heed()
