"""The faults that wait for their turn; each is counted where it strikes."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar, cast

from cloudship.local.faults.values import Fault

T = TypeVar("T", bound=Fault)


class Entry:
    """One fault in the book, and how often it met and struck."""

    def __init__(self, number: int, fault: Fault) -> None:
        self.number, self.fault = number, fault
        self.met = self.struck = 0
        self._dice = random.Random(fault.seed)  # noqa: S311  reproducible, not secret

    @property
    def spent(self) -> bool:
        """Whether it will strike no more."""
        return self.fault.times is not None and self.struck >= self.fault.times

    def strikes(self) -> bool:
        """Meet one request or object, and decide."""
        self.met += 1
        if self.spent or self.met <= self.fault.skip or self._dice.random() >= self.fault.probability:
            return False
        self.struck += 1
        return True


class FaultBook:
    """All faults of one local cloud, oldest first; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: list[Entry] = []
        self._last = 0

    def add(self, fault: Fault) -> int:
        """Write one down, and give its number."""
        with self._lock:
            self._last += 1
            self._entries.append(Entry(self._last, fault))
            return self._last

    def clear(self, number: int | None = None) -> bool:
        """Forget one, or all; says whether there was any."""
        with self._lock:
            before = len(self._entries)
            self._entries = [one for one in self._entries if number is not None and one.number != number]
            return len(self._entries) < before

    def all(self) -> list[Entry]:
        """List them, the spent ones included."""
        with self._lock:
            return list(self._entries)

    def strike(self, kinds: Sequence[type[T]], fits: Callable[[T], bool] = lambda _one: True) -> T | None:
        """Let the faults of some kinds meet one request or object; the first that strikes is given."""
        with self._lock:
            for entry in self._entries:
                if not isinstance(entry.fault, tuple(kinds)):
                    continue
                fault = cast("T", entry.fault)
                if fits(fault) and entry.strikes():
                    return fault
        return None
