"""The first seconds after a switch: whether visitors get errors that they did not get before."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, List, Optional

ACCESS = Path("/var/log/nginx/cloudship.log")  # time, release, status, the app's own status: see nginx/
FEWEST = 3  # errors that make a case; one may be anybody's
SHARE = 0.1  # of all answers
CRASHES = 2  # workers that die; one may have taken too long for its server, or too much memory
_LOOK_BACK = 256 * 1024  # bytes of the log that tell how it was before


@dataclass(frozen=True)
class Answers:
    """What a release answered."""

    count: int = 0
    errors: int = 0  # of the app's own, 500 to 599

    @property
    def share(self) -> float:
        """How much of it was errors."""
        return self.errors / self.count if self.count else 0.0


def count(lines: Iterable[str], release: int) -> Answers:
    """Count a release's answers in lines of the log; those that nginx gave by itself are not its own."""
    answers = errors = 0
    for line in lines:
        words = line.split()
        if len(words) < 4 or words[1] != str(release) or words[3] == "-":
            continue
        answers += 1
        errors += words[3].startswith("5")  # also where the release before answered in its place
    return Answers(answers, errors)


def verdict(before: Answers, after: Answers) -> Optional[str]:
    """Say why a release is to go back; None: it is no worse than the one before."""
    if after.errors < FEWEST or after.share < SHARE or after.share < 2 * before.share:
        return None
    return f"{after.errors} of its first {after.count} answers were errors (5xx)"


class Log:
    """The log, from here on; it is held open, so that lines are counted also when it is rotated meanwhile."""

    def __init__(self, path: Path = ACCESS) -> None:
        self._path = path
        self._file = path.open("rb") if path.exists() else None
        self._start = self._file.seek(0, os.SEEK_END) if self._file else 0

    def close(self) -> None:
        """Let go of it."""
        if self._file:
            self._file.close()

    def before(self, release: int) -> Answers:
        """Count what a release answered until now, as far as it is worth looking back."""
        begin = max(0, self._start - _LOOK_BACK)
        return count(self._lines(begin, self._start - begin), release)

    def since(self, release: int) -> Answers:
        """Count what a release answered from here on."""
        return count([*self._lines(self._start, -1), *self._rotated()], release)

    def _lines(self, begin: int, size: int) -> List[str]:
        if not self._file:
            return []
        self._file.seek(begin)
        return self._file.read(size).decode("utf-8", "replace").splitlines()

    def _rotated(self) -> List[str]:
        """Read the file that has taken the place of the one we hold."""
        try:
            with self._path.open("rb") as now:
                same = self._file and os.path.sameopenfile(now.fileno(), self._file.fileno())
                return [] if same else now.read().decode("utf-8", "replace").splitlines()
        except OSError:
            return []
