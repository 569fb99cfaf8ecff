"""The account's time: it goes as the machine's does, unless it is advanced or stopped for a test."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timezone

# The latest that it can be advanced to: a year short of what a datetime can say, since time goes on from there.
LATEST = datetime(9999, 1, 1, tzinfo=timezone.utc).timestamp()


class ClosedError(Exception):
    """The local cloud stops; whoever waits on its clock waits no longer."""


class CloudClock:
    """A clock that can be advanced, frozen and waited on; safe to use from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._offset = 0.0
        self._frozen: float | None = None
        self._closed = False

    def time(self) -> float:
        """Say the account's time, as unix time."""
        with self._changed:
            return self._time()

    def now(self) -> str:
        """Write the time as DigitalOcean does."""
        return datetime.fromtimestamp(self.time(), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def frozen(self) -> bool:
        """Whether it stands."""
        with self._changed:
            return self._frozen is not None

    def advance(self, seconds: float) -> None:
        """
        Let time pass at once.

        Raises:
            ValueError: the time that it would be has no date; it stays as it is.
        """
        with self._changed:
            if not self._time() + seconds <= LATEST:
                raise ValueError("the account's time ends with the year 9998")
            if self._frozen is not None:
                self._frozen += seconds
            else:
                self._offset += seconds
            self._changed.notify_all()

    def freeze(self) -> None:
        """Stop; from now on time passes only by `advance`."""
        with self._changed:
            self._frozen = self._time()

    def thaw(self) -> None:
        """Go on from where it stands."""
        with self._changed:
            if self._frozen is not None:
                self._offset, self._frozen = self._frozen - time.time(), None
            self._changed.notify_all()

    def reset(self) -> None:
        """Show the machine's own time again."""
        with self._changed:
            self._offset, self._frozen = 0.0, None
            self._changed.notify_all()

    def sleep_until(self, moment: float) -> None:
        """
        Wait until the account's time is there.

        Raises:
            ClosedError: the local cloud stops first.
        """
        with self._changed:
            while not self._closed and (remaining := moment - self._time()) > 0:
                self._changed.wait(None if self._frozen is not None else remaining)
            if self._time() < moment:
                raise ClosedError

    def close(self) -> None:
        """Let nobody wait any longer."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _time(self) -> float:
        return self._frozen if self._frozen is not None else time.time() + self._offset
