"""The ship that a verb is about; said on the first line which cloud it is on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cloudship.cli.options import State
from cloudship.cli.showing import cost

if TYPE_CHECKING:
    from cloudship import clouds
    from cloudship.enums import Cloud
    from cloudship.events import Notify
    from cloudship.ship import Ship


def trace() -> Notify:
    """Give what hears of requests where no phases are shown: with `-v` it says each, on standard error."""
    from cloudship.display.plain import Plain
    from cloudship.events import nobody

    return Plain(sys.stderr, verbose=True).notify if State.verbose else nobody


def folder() -> Path | None:
    """Say where we are; None in a folder that is gone."""
    try:
        return Path.cwd()
    except OSError:
        return None


def the_ship(name: str, cloud: Cloud | None) -> Ship:
    """
    Find a ship, and name its cloud.

    Raises:
        ShipNotFound: none of that name on any cloud that answered.
    """
    from cloudship import fleet

    ship = fleet.get(name, cloud=cloud, notify=trace())
    price = f", {cost(ship.price_hourly)}" if ship.price_hourly else ""
    print(f"cloud: {ship.cloud.value}{price}", file=sys.stderr)
    return ship


def say_where(cloud: Cloud | None, *, start_local: clouds.Starter | None = None, more: str = "") -> None:
    """
    Say which clouds are searched.

    Args:
        cloud: the one that was asked for.
        start_local: brings a local cloud that was stopped with ships on it back.
        more: what else belongs on that line.
    """
    from cloudship import clouds

    found = ", ".join(one.cloud.value for one in clouds.reachable(cloud, start_local=start_local))
    print(f"cloud: {found or 'none is within reach'}{more}", file=sys.stderr)
