"""The phases of a launch as they pass: told to whoever listens, and timed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from cloudship import about
from cloudship.events import Event, Notify, Phase, PhaseEnded, PhaseFailed, PhaseStarted
from cloudship.models import PhaseTime
from cloudship.waiting import Clock

TITLES = {
    Phase.PLAN: "Planning",
    Phase.KEY: "Adding the SSH key",
    Phase.CREATE: "Creating the droplet",
    Phase.ACTIVE: "Waiting for it to be active",
    Phase.SSH: "Reaching SSH",
    Phase.HOST_KEY: "Rotating the host key",
    Phase.BOOT: "Installing nginx, git and Python packages",
    Phase.PUSH: "Pushing the code",
    Phase.RELEASE: "Releasing",
    Phase.ANSWER: "Waiting for the app to answer",
}


class Story:
    """
    Tells the phases of one launch, and keeps their times.

    Args:
        notify: hears everything, from whichever thread, one event at a time; one that fails ends the launch, and is
            told nothing more: the teardown that follows speaks too.
        clock: the time.
    """

    def __init__(self, notify: Notify, clock: Clock) -> None:
        self._notify, self._clock = notify, clock
        self._lock = threading.Lock()
        self._is_heard, self._ends_all = True, True
        self.times: list[PhaseTime] = []

    def tell(self, event: Event) -> None:
        """Pass an event on."""
        with self._lock:
            if not self._is_heard:
                return
            try:
                self._notify(event)
            except Exception:
                self._is_heard = False
                if self._ends_all:
                    raise

    def to_its_end(self) -> None:
        """Let whoever listens end nothing from here on: what is left to do has to be done."""
        self._ends_all = False

    @contextmanager
    def phase(self, phase: Phase) -> Iterator[list[str]]:
        """Pass through a phase; what is appended to the list is its outcome."""
        outcome: list[str] = []
        began = self._clock.monotonic()
        self.tell(PhaseStarted(phase=phase.value, title=TITLES[phase]))
        try:
            with about.phase(phase.value):
                yield outcome
        except BaseException as error:
            seconds = self._clock.monotonic() - began
            message = str(error) or ("failed" if isinstance(error, Exception) else "interrupted")
            self.tell(PhaseFailed(phase=phase.value, seconds=seconds, message=message))
            raise
        seconds = self._clock.monotonic() - began
        self.times.append(PhaseTime(name=phase.value, seconds=round(seconds, 3)))
        self.tell(PhaseEnded(phase=phase.value, seconds=seconds, outcome=" ".join(outcome)))
