"""More time for a ship, beside others who may be taking it down."""

from __future__ import annotations

from contextlib import suppress

from cloudship import standing, tags
from cloudship.client import Client
from cloudship.errors import ConfigError, NotFound, ShipBusy
from cloudship.inventory import is_gone, others_carry
from cloudship.models import Droplet
from cloudship.teardown import retire_tag
from cloudship.waiting import REAL, Clock


def extend(client: Client, droplet: Droplet, seconds: float, clock: Clock = REAL) -> None:
    """
    Let a droplet live longer: by what it has left now and so many seconds, from now on where nothing is left.

    Raises:
        ConfigError: the end would be too far away for a tag; or its launch died, so that it goes in any case.
        ShipBusy: somebody took the droplet down meanwhile.
    """
    now = _seen_again(client, droplet)
    found = tags.of(now)
    if found is not None:
        standing.check_may_live_on(client, found, clock)
    expires = found.expires if found is not None else None
    moment = int(max(expires or 0, client.now(clock)) + seconds)
    if moment > tags.LAST:
        raise ConfigError("No tag can name an end that is so far away")
    until(client, now, moment)


def until(client: Client, droplet: Droplet, expires: int) -> None:
    """
    Let a droplet live until a moment, unix time.

    The new tag comes before the old one goes, and of several the latest counts: broken off anywhere, the ship has an
    end, and never an earlier one than it had.

    Raises:
        ShipBusy: somebody took it down meanwhile.
    """
    wanted = tags.expires_tag(expires)
    try:
        client.attach_tag(wanted, droplet.id)
        for old in tags.expiries(droplet.tags):
            if old != wanted:
                retire_tag(client, old, droplet.id)
    except NotFound:
        if not is_gone(client, droplet):
            raise
    else:
        if not is_gone(client, droplet):
            return
    if not others_carry(client, wanted, {droplet.id}):  # whoever took the droplet down did not know of it
        with suppress(NotFound):
            client.delete_tag(wanted)
    raise _taken_down(droplet)


def _seen_again(client: Client, droplet: Droplet) -> Droplet:
    """Look at it as it is now: it was listed before its lock was ours."""
    try:
        return client.droplet(droplet.id)
    except NotFound as error:
        if not is_gone(client, droplet):
            raise
        raise _taken_down(droplet) from error


def _taken_down(droplet: Droplet) -> ShipBusy:
    return ShipBusy(
        f"{droplet.name} was taken down from elsewhere while it got more time: droplet {droplet.id} is gone",
        next_step="cloudship list shows what runs",
    )
