"""
The create protocol: the API has no idempotency key, so a create is asked for once and then looked for.

Intent on the disk; one POST, repeated only where the API says that it had no effect; after an unclear outcome the
launch is looked for by name and tag for as long as a listing may lag. One found is adopted; of several the first is
kept and the others are destroyed.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from cloudship import tags
from cloudship.client import TRANSIENT, Client
from cloudship.errors import (
    BadAnswer,
    CloudError,
    Conflict,
    NotFound,
    RateLimited,
    ServerFault,
    TryAgain,
    Unreachable,
    WaitTimeout,
)
from cloudship.events import Noted, Notify, nobody
from cloudship.journal import Journal
from cloudship.models import Droplet, DropletRequest, Key, Kind, Timeouts
from cloudship.waiting import REAL, Clock, Pace, Pending, Ready, retrying, until

T = TypeVar("T")
UNCLEAR = (ServerFault, Unreachable, BadAnswer, Conflict)  # the last: a repeated one would meet its own first effect
_LOOKING = Pace(first=0.3, factor=1.7, longest=3.0)
_REFUSED_FOR_NOW = (RateLimited, TryAgain)  # had no effect, and DigitalOcean says itself to try again


def create_key(
    client: Client,
    journal: Journal,
    *,
    name: str,
    launch: str,
    public_key: str,
    timeouts: Timeouts,
    clock: Clock = REAL,
    notify: Notify = nobody,
) -> Key:
    """
    Add the launch's SSH key to the account.

    Raises:
        CloudError: it was refused, or did not come into being within the limit for listings.
    """
    journal.intend(launch, client.mark, Kind.KEY, name)

    def post() -> Key:
        return client.create_key(name, public_key)

    try:
        key = retrying("adding the key", post, on=_REFUSED_FOR_NOW, limit=timeouts.visible, clock=clock, notify=notify)
    except UNCLEAR as error:
        notify(Noted(text=f"adding the key ended unclearly ({error}); looking for it", warning=True))
        key = _found_key(client, name, timeouts, clock, notify, error)
    except CloudError:
        journal.refused(launch, client.mark, Kind.KEY, name)
        raise
    journal.done(launch, client.mark, Kind.KEY, str(key.id))
    return key


def create_droplet(
    client: Client,
    journal: Journal,
    request: DropletRequest,
    *,
    launch: str,
    timeouts: Timeouts,
    price: float = 0.0,
    clock: Clock = REAL,
    notify: Notify = nobody,
) -> int:
    """
    Make the launch's droplet, exactly one, and give its id.

    Args:
        client: the account.
        journal: hears of it first.
        request: what is asked for.
        launch: whose.
        timeouts: the limits of the waits.
        price: USD an hour, for whoever must name one day what may be left without being able to ask.
        clock: the time.
        notify: hears of what is unclear.

    Raises:
        CloudError: it was refused, or did not come into being within the limit for listings.
    """
    journal.intend(launch, client.mark, Kind.DROPLET, request.name, request.tags, price)

    def post() -> int:
        return client.create_droplet(request)

    try:
        droplet_id = retrying(
            "the create", post, on=_REFUSED_FOR_NOW, limit=timeouts.visible, clock=clock, notify=notify
        )
    except UNCLEAR as error:
        notify(Noted(text=f"the create ended unclearly ({error}); looking for the droplet", warning=True))
        droplet_id = _found_droplet(client, request, launch, timeouts, clock, notify, error)
    except CloudError:
        journal.refused(launch, client.mark, Kind.DROPLET, request.name)
        raise
    journal.done(launch, client.mark, Kind.DROPLET, str(droplet_id))
    return droplet_id


def of_launch(client: Client, name: str, launch: str) -> tuple[Droplet, ...]:
    """Find the droplets of a launch by name and by tag: either listing may lag."""
    both = (*client.droplets(name=name), *client.droplets(tag=tags.launch_tag(launch)))
    ours = {one.id: one for one in both if _is_of(one, launch)}
    return tuple(ours[number] for number in sorted(ours))


def _is_of(droplet: Droplet, launch: str) -> bool:
    found = tags.of(droplet)
    return found is not None and found.launch == launch


def _found_droplet(
    client: Client,
    request: DropletRequest,
    launch: str,
    timeouts: Timeouts,
    clock: Clock,
    notify: Notify,
    cause: Exception,
) -> int:
    found = _listed(
        "droplet", lambda: of_launch(client, request.name, launch), timeouts, clock=clock, notify=notify, cause=cause
    )
    for extra in found[1:]:
        _destroy(client, extra.id, timeouts, clock, notify)
    return found[0].id


def _destroy(client: Client, droplet_id: int, timeouts: Timeouts, clock: Clock, notify: Notify) -> None:
    """Ask for the end of an extra droplet until that is taken: while it is being made the API refuses."""

    def ask(_limit: float) -> Ready[None] | Pending:
        with suppress(NotFound):
            client.delete_droplet(droplet_id)
        return Ready(None)

    until(
        f"the end of extra droplet {droplet_id} to be taken",
        ask,
        limit=timeouts.destroy,
        attempt_limit=timeouts.request,
        on=(Conflict, *TRANSIENT),
        pace=_LOOKING,
        clock=clock,
        notify=notify,
    )


def _found_key(client: Client, name: str, timeouts: Timeouts, clock: Clock, notify: Notify, cause: Exception) -> Key:
    def find() -> tuple[Key, ...]:
        return tuple(one for one in client.ssh_keys() if one.name == name)

    return _listed("key", find, timeouts, clock=clock, notify=notify, cause=cause)[0]


def _listed(
    what: str,
    find: Callable[[], tuple[T, ...]],
    timeouts: Timeouts,
    *,
    clock: Clock,
    notify: Notify,
    cause: Exception,
) -> tuple[T, ...]:
    """Look for what an unclear create may have made, for as long as a listing may lag; else raise what it raised."""

    def look(_limit: float) -> Ready[tuple[T, ...]] | Pending:
        found = find()
        return Ready(found) if found else Pending(f"no {what} of this launch is listed")

    try:
        return until(
            f"the {what} to be listed",
            look,
            limit=timeouts.listed,
            attempt_limit=timeouts.request,
            on=TRANSIENT,
            pace=_LOOKING,
            clock=clock,
            notify=notify,
        )
    except WaitTimeout:
        raise cause from None
