"""The ship that a verb is about; said on the first line which cloud it is on."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cloudship.enums import Cloud
    from cloudship.ship import Ship


def the_ship(name: str, cloud: Cloud | None) -> Ship:
    """
    Find a ship, and name its cloud.

    Raises:
        ShipNotFound: none of that name on any cloud that answered.
    """
    from cloudship import fleet

    ship = fleet.get(name, cloud=cloud)
    print(f"cloud: {ship.cloud.value}", file=sys.stderr)
    return ship
