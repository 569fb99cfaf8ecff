"""How long things take: at once, as in a cloud, or as long as a test says."""

from __future__ import annotations

import math
from dataclasses import dataclass

# Chosen in the order of what a droplet takes in a data centre, for tests that must not rely on haste; not measured.
_REALISTIC = (20.0, 2.0, 5.0, 3.0)
MOST = 3600.0  # seconds


@dataclass(frozen=True)
class Transitions:
    """Seconds of the account's time that each transition takes at least; a machine may take longer."""

    shown: str = "immediate"
    active: float = 0.0  # new to active
    address: float = 0.0  # active to having an address
    action: float = 0.0  # in-progress to completed
    delete: float = 0.0  # a delete that was taken to the droplet being gone

    @property
    def immediate(self) -> bool:
        """Whether nothing waits."""
        return self.active == self.address == self.action == self.delete == 0.0

    @classmethod
    def parse(cls, text: str) -> Transitions:
        """
        Read `immediate`, `realistic`, or seconds for each transition.

        Raises:
            ValueError: it is none of these.
        """
        if text == "immediate":
            return cls()
        if text == "realistic":
            return cls("realistic", *_REALISTIC)
        try:
            seconds = float(text)
        except ValueError:
            seconds = math.nan
        if not 0 <= seconds <= MOST:
            raise ValueError(f"transitions: {text!r} is neither immediate, realistic nor seconds up to {MOST:g}")
        return cls(f"{seconds:g}", seconds, seconds, seconds, seconds)
