"""The drivers by name; each is imported only when it is asked for."""

from __future__ import annotations

from pathlib import Path

from cloudship.local.errors import LocalCloudError
from cloudship.local.machines.base import Driver

NAMES = ("nspawn", "none")


def driver(name: str, directory: Path) -> Driver:
    """
    Make the driver of a name.

    Raises:
        LocalCloudError: there is none of that name.
    """
    if name == "nspawn":
        from cloudship.local.machines.nspawn import NspawnDriver

        return NspawnDriver(directory)
    if name == "none":
        from cloudship.local.machines.none import NoneDriver

        return NoneDriver(directory)
    raise LocalCloudError(f"There is no driver {name!r}; known are {', '.join(NAMES)}")
