"""The enums that the command line needs before anything heavy is loaded."""

from __future__ import annotations

from enum import Enum


class Cloud(str, Enum):
    """Where a ship can be."""

    LOCAL = "local"  # this machine
    DIGITALOCEAN = "digitalocean"  # costs money

    def billed(self, price: float) -> float:
        """Say what is paid here for what has a price."""
        return 0.0 if self is Cloud.LOCAL else price


class OnFailure(str, Enum):
    """What becomes of a droplet whose launch failed."""

    DESTROY = "destroy"  # everything is taken away again
    KEEP = "keep"  # it stays for a look, and costs until `down`
