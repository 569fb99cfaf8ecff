"""Ships that exist: found on every cloud within reach, by what their launches wrote into the account."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack

from cloudship import clouds, locking, reaper, tags, teardown
from cloudship.client import Client
from cloudship.errors import AmbiguousShip, ConfigError, LocalCloudUnavailable, ShipNotFound
from cloudship.events import Notify, nobody
from cloudship.inventory import of_ship
from cloudship.models import Cloud, Destroyed, Reaped, Receipt, Timeouts, ship_name
from cloudship.ship import Ship
from cloudship.waiting import REAL, Clock


def ships(*, cloud: Cloud | str | None = None, timeouts: Timeouts | None = None) -> tuple[Ship, ...]:
    """List the ships of every cloud within reach, or of one."""
    found = [_ships(client) for client in _clients(cloud, timeouts)]
    return tuple(ship for some in found for ship in some)


def get(name: str, *, cloud: Cloud | str | None = None, timeouts: Timeouts | None = None) -> Ship:
    """
    Find one ship.

    Raises:
        ShipNotFound: none of that name on any cloud that answered; with the nearest that there is.
        AmbiguousShip: it is on two clouds.
    """
    _check_name(name)
    clients = _clients(cloud, timeouts)
    found = [ship for client in clients for ship in _ships(client, name)]
    if len({ship.cloud for ship in found}) > 1:
        raise AmbiguousShip(f"{name} is on two clouds", next_step="say which: --cloud local or --cloud digitalocean")
    if found:
        return found[-1]
    near = difflib.get_close_matches(name, [ship.name for client in clients for ship in _ships(client)], n=1)
    searched = ", ".join(client.cloud.value for client in clients) or "no cloud is within reach"
    raise ShipNotFound(
        f"There is no ship {name!r} (searched: {searched})",
        next_step=f"did you mean {near[0]}?" if near else "cloudship list",
    )


def down(
    name: str,
    *,
    cloud: Cloud | str | None = None,
    notify: Notify = nobody,
    timeouts: Timeouts | None = None,
    start_local: clouds.Starter = clouds.start_by_command,
) -> Receipt:
    """
    Take a ship down on every cloud within reach, or on one, and prove it gone; nothing there is success too.

    Raises:
        LeftBehind: something could not be proved gone.
        ShipBusy: somebody on this machine launches it, or takes it down; with who and since when.
        AmbiguousShip: it is on two clouds and none was named.
    """
    _check_name(name)
    clients = _clients(cloud, timeouts, start_local, notify)
    if len(clients) > 1 and sum(bool(of_ship(client, name)) for client in clients) > 1:
        raise AmbiguousShip(f"{name} is on two clouds", next_step="say which: --cloud local or --cloud digitalocean")
    searched = tuple(client.cloud for client in clients)
    if not clients and cloud is not None and Cloud(cloud) is Cloud.LOCAL:
        searched = (Cloud.LOCAL,)  # it was never started: it has answered that nothing is there

    def all_of_them() -> list[Receipt]:
        return [teardown.take_down(client, name, timeouts=timeouts, notify=notify) for client in clients]

    with ExitStack() as held:
        for where in searched:
            held.enter_context(teardown.alone_at(where, name))
        return _joined(name, teardown.finishing(all_of_them, notify), searched)


def reap(
    *,
    owner: str | None = None,
    older_than: float = 0.0,
    dry_run: bool = False,
    cloud: Cloud | str | None = None,
    timeouts: Timeouts | None = None,
    notify: Notify = nobody,
    told: Callable[[Reaped], None] = lambda _one: None,
    clock: Clock = REAL,
) -> tuple[Reaped, ...]:
    """
    Take down what has outlived its time on every cloud within reach, or on one: expired ships and dead launches.

    A ship lives at most its ttl and the time between two such sweeps.

    Args:
        owner: whose; default: what the environment configures, else login and host.
        older_than: seconds; spares what is younger, and never takes what would stay without it.
        dry_run: only say what would go.
        cloud: where.
        timeouts: the limits of all waits.
        notify: hears of what is destroyed.
        told: hears of each launch as it is done with.
        clock: the time.

    Returns:
        What was decided about every launch, and why; `left` names what could not be proved gone.
    """
    whose = configured_owner() if owner is None else owner
    found: list[Reaped] = []
    for client in _clients(cloud, timeouts, notify=notify):
        rule = reaper.Rule(owner=whose, now=clock.wall(), older_than=older_than)

        def take_down(name: str, launch: str, client: Client = client) -> tuple[Destroyed, ...]:
            def one() -> Receipt:
                return teardown.take_down(client, name, launch=launch, timeouts=timeouts, clock=clock, notify=notify)

            return teardown.finishing(one, notify).destroyed

        def alone(name: str, client: Client = client) -> AbstractContextManager[None]:
            return teardown.alone_at(client.cloud, name, clock=clock)

        found += reaper.reap(client, rule, take_down, dry_run=dry_run, told=told, clock=clock, alone=alone)
        if not dry_run:
            reaper.sweep_tags(client, client.now(clock), notify)
    return tuple(found)


def extend(
    name: str,
    seconds: float,
    *,
    cloud: Cloud | str | None = None,
    timeouts: Timeouts | None = None,
    clock: Clock = REAL,
) -> Ship:
    """
    Give a ship more time: added to what it has left, from now on where nothing is left or it had no end.

    Raises:
        ShipNotFound: there is none of that name.
    """
    ship = get(name, cloud=cloud, timeouts=timeouts)
    (client,) = _clients(ship.cloud, timeouts)
    with teardown.alone_at(ship.cloud, name, clock=clock, doing=locking.EXTENDED):
        droplet = client.droplet(ship.droplet_id)
        found = tags.of(droplet)
        expires = found.expires if found is not None else None
        moment = int(max(expires or 0, client.now(clock)) + seconds)
        if moment > tags.LAST:
            raise ConfigError("No tag can name an end that is so far away")
        teardown.extend(client, droplet, moment)
    return get(name, cloud=ship.cloud, timeouts=timeouts)


def configured_owner() -> str:
    """Say whose ships are ours: `CLOUDSHIP_OWNER`, else login and host."""
    from cloudship import config  # heavy, and only a reaper needs it

    return config.load(None).config.owner or tags.default_owner()


def _check_name(name: str) -> None:
    try:
        ship_name(name)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _joined(name: str, receipts: list[Receipt], searched: tuple[Cloud, ...]) -> Receipt:
    lived = [one.seconds_lived for one in receipts if one.seconds_lived is not None]
    return Receipt(
        name=name,
        destroyed=tuple(item for one in receipts for item in one.destroyed),
        searched=searched,
        seconds_lived=max(lived) if lived else None,
        cost=sum(one.cost for one in receipts),
    )


def _clients(
    cloud: Cloud | str | None,
    timeouts: Timeouts | None,
    start_local: clouds.Starter | None = None,
    notify: Notify = nobody,
) -> tuple[Client, ...]:
    chosen = Cloud(cloud) if cloud is not None else None
    found = tuple(
        Client(endpoint, timeouts=timeouts, notify=notify)
        for endpoint in clouds.reachable(chosen, start_local=start_local)
    )
    if not found and chosen is Cloud.LOCAL and clouds.local_sleeps():
        raise LocalCloudUnavailable("The local cloud is stopped, and may hold ships", next_step="cloudship local start")
    return found


def _ships(client: Client, name: str | None = None) -> list[Ship]:
    listed = client.droplets(tag=tags.SHARED)
    return [Ship(client, one) for one in listed if (found := tags.of(one)) and name in (None, found.name)]
