"""What a fork starts: the words of every program, which anybody on the machine can read while it runs."""

from __future__ import annotations

import mmap
import os
import sys
from collections.abc import Sequence
from typing import Any

_ROOM = 1 << 18  # bytes; a case starts a dozen programs
_WORDS_AT = {"subprocess.Popen": 1, "os.exec": 1, "os.posix_spawn": 1, "os.system": 0}  # where an audit event has them


class Started:
    """
    Memory that a fork shares with who made it: it needs no file, of which a case may have none, and outlives a kill.

    Make it before the fork, `watch` in it, and ask for the `words` after it.
    """

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, _ROOM)

    def watch(self) -> None:
        """Note what this process starts from now on."""
        sys.addaudithook(self._hear)

    def words(self) -> str:
        """Give what was started, a program a line."""
        return self._shared[:].rstrip(b"\0").decode("utf-8", "replace")

    def _hear(self, event: str, told: Sequence[Any]) -> None:
        if event in _WORDS_AT:
            self._shared.write(_line(told[_WORDS_AT[event]]))


def _line(words: Any) -> bytes:
    every = [words] if isinstance(words, (str, bytes)) else words
    return b" ".join(os.fsencode(one) for one in every) + b"\n"
