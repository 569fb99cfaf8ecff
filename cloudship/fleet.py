"""Ships that exist: found on every cloud within reach, by what their launches wrote into the account."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TypeVar

from cloudship import about, clouds, extending, locking, reach, reaper, tags, teardown
from cloudship.client import Client
from cloudship.errors import (
    AmbiguousShip,
    CloudError,
    CloudshipError,
    ConfigError,
    LeftBehind,
    ShipNotFound,
    UsageError,
)
from cloudship.events import Notify, nobody, undisturbed
from cloudship.inventory import of_ship
from cloudship.legible import typed
from cloudship.models import Cloud, Destroyed, Kind, Left, Reaped, Receipt, Timeouts, ship_name
from cloudship.ship import Ship
from cloudship.waiting import REAL, Clock

T = TypeVar("T")
_ASLEEP = "the local cloud is stopped, and may hold it: cloudship local start"
_AT_ONCE = Timeouts(request=5, visible=1)  # for who looks in passing


def ships(
    *, cloud: Cloud | str | None = None, timeouts: Timeouts | None = None, notify: Notify = nobody
) -> tuple[Ship, ...]:
    """List the ships of every cloud within reach, or of one."""
    with about.phase(about.INVENTORY):
        found = [_ships(client) for client in reach.asked(cloud, timeouts, notify=notify)]
    return tuple(ship for some in found for ship in some)


def get(
    name: str, *, cloud: Cloud | str | None = None, timeouts: Timeouts | None = None, notify: Notify = nobody
) -> Ship:
    """
    Find one ship.

    Raises:
        ShipNotFound: none of that name on any cloud that answered; with the nearest that there is.
        AmbiguousShip: it is on two clouds.
    """
    _check_name(name)
    with about.ship(name), about.phase(about.INVENTORY):
        return _the_one(name, reach.asked(cloud, timeouts, notify=notify))


def _the_one(name: str, clients: Sequence[Client]) -> Ship:
    found = [ship for client in clients for ship in _ships(client, name)]
    if len({ship.cloud for ship in found}) > 1:
        raise _on_two_clouds(name)
    if found:  # one that was kept for a look is marked as dead, and may be beside the one that answers
        return next((ship for ship in found if ship.pending is None), found[-1])
    near = _nearest(name, [ship for client in clients for ship in _ships(client)])
    searched = ", ".join(client.cloud.value for client in clients) or "no cloud is within reach"
    raise ShipNotFound(
        f"There is no ship {name!r} (searched: {searched})",
        next_step=f"did you mean {near}?" if near else _ASLEEP if clouds.local_sleeps() else "cloudship list",
    )


def likely(name: str, *, owner: str, cloud: Cloud | str | None = None, notify: Notify = nobody) -> tuple[Ship, ...]:
    """
    List an owner's ships of the name that is nearest to one.

    Raises:
        CloudError: a cloud does not say at once.
    """
    with about.phase(about.INVENTORY):
        clients = [client.hasty() for client in reach.asked(cloud, _AT_ONCE, notify=notify)]
        mine = [ship for client in clients for ship in _ships(client) if ship.owner == owner]
    near = _nearest(name, mine)
    return tuple(ship for ship in mine if ship.name == near)


def _nearest(name: str, found: Sequence[Ship]) -> str | None:
    return next(iter(difflib.get_close_matches(name, [ship.name for ship in found], n=1)), None)


@undisturbed
def down(
    name: str,
    *,
    cloud: Cloud | str | None = None,
    launch: str | None = None,
    notify: Notify = nobody,
    timeouts: Timeouts | None = None,
    start_local: clouds.Starter = clouds.start_by_command,
) -> Receipt:
    """
    Take a ship down on every cloud within reach, or on one, and prove it gone; nothing there is success too.

    A cloud that fails on the way stops no other. One that does not even say whether the ship is there does, unless a
    cloud was named: it may be the other ship of that name that was meant.

    Args:
        name: the ship.
        cloud: where.
        launch: only what this launch of it made; others of the name stay.
        notify: hears what is destroyed.
        timeouts: the limits of all waits.
        start_local: brings a local cloud that was stopped with ships on it back.

    Raises:
        ConfigError: no ship can be called so, or no launch.
        LeftBehind: something could not be proved gone.
        CredentialsError: no cloud is within reach, and none was named: nobody has said that nothing is there.
        ShipBusy: somebody on this machine launches it, or takes it down; with who and since when.
        AmbiguousShip: it is on two clouds and none was named.
    """
    _check_name(name)
    if launch is not None and not tags.is_launch(launch):
        raise ConfigError(f"{typed(launch)!r} is no launch: ten digits of 0-9 and a-f")
    with about.ship(name), about.phase(about.INVENTORY):
        clients = reach.asked(cloud, timeouts, start_local, notify)
        reach.check(clients, cloud)
        if len(clients) > 1 and sum(_is_on(client, name) for client in clients) > 1:
            raise _on_two_clouds(name)
    searched = tuple(client.cloud for client in clients)
    if not clients and cloud == Cloud.LOCAL.value:
        searched = (Cloud.LOCAL,)  # it was never started: it has answered that nothing is there

    def one_of_them(client: Client) -> Receipt:
        return teardown.take_down(client, name, launch=launch, timeouts=timeouts, notify=notify)

    def all_of_them() -> list[Receipt]:
        return _on_each(clients, one_of_them)

    with about.ship(name), about.phase(about.DESTROY), ExitStack() as held:
        for where in searched:
            held.enter_context(teardown.alone_at(where, name))
        return _joined(name, teardown.finishing(all_of_them, notify), searched)


@undisturbed
def down_all(
    found: Sequence[Ship],
    *,
    notify: Notify = nobody,
    told: Callable[[Receipt], None] = lambda _one: None,
    timeouts: Timeouts | None = None,
) -> tuple[Receipt, ...]:
    """
    Take down ships as they were listed: each where it is, and no other launch of its name, which may be another's.

    Args:
        found: the ships.
        notify: hears of what is destroyed.
        told: hears of each launch once it is proved gone.
        timeouts: the limits of all waits.

    Raises:
        LeftBehind: some could not be taken down; it names them all, and the others are gone.
    """
    done, failed = [], []
    for ship in {(one.cloud, one.name, one.launch): one for one in found}.values():
        try:
            receipt = _down_as_listed(ship, notify, timeouts)
        except CloudshipError as error:
            failed.append((ship, error))
        else:
            done.append(receipt)
            told(receipt)
    if failed:
        raise _still_there(failed, len(done))
    return tuple(done)


@undisturbed
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

    A ship lives at most its ttl and the time between two such sweeps. A cloud that fails stops no other. Keys without a
    droplet, and tags of moments that have passed, go whoever made them: nothing about them says who.

    Args:
        owner: whose; default: what the environment configures, else login and host.
        older_than: seconds; spares what is younger, and never takes what would stay without it.
        dry_run: only say what would go.
        cloud: where.
        timeouts: the limits of all waits.
        notify: hears of what is destroyed.
        told: hears of each launch, and of each tag, as it is done with.
        clock: the time.

    Returns:
        What was decided about every launch, about droplets of which nobody can say whose they are, and about such tags,
        and why; `left` names what could not be proved gone.

    Raises:
        CredentialsError: no cloud is within reach, and none was named.
    """
    whose = configured_owner() if owner is None else owner
    found: list[Reaped] = []

    def hear(one: Reaped) -> None:
        found.append(one)
        told(one)

    def sweep(client: Client) -> None:
        rule = reaper.Rule(owner=whose, now=clock.wall(), older_than=older_than)
        _swept(client, rule, timeouts, notify, hear, clock, dry_run=dry_run)

    with about.phase(about.INVENTORY):
        clients = reach.asked(cloud, timeouts, notify=notify)
        reach.check(clients, cloud)
    try:
        _on_each(clients, sweep)
    except CloudshipError as error:
        error.left += tuple(left for one in found for left in one.left)
        raise
    return tuple(found)


def extend(
    name: str,
    seconds: float,
    *,
    cloud: Cloud | str | None = None,
    timeouts: Timeouts | None = None,
    notify: Notify = nobody,
    clock: Clock = REAL,
) -> Ship:
    """
    Give a ship more time: added to what it has left, from now on where nothing is left or it had no end.

    Raises:
        ConfigError: the end would be too far away for a tag.
        ShipNotFound: there is none of that name.
        ShipBusy: somebody took it down meanwhile.
    """
    ship = get(name, cloud=cloud, timeouts=timeouts, notify=notify)
    with (
        about.ship(name),
        about.phase(about.EXTEND),
        teardown.alone_at(ship.cloud, name, clock=clock, doing=locking.EXTENDED),
    ):
        (client,) = reach.asked(ship.cloud, timeouts, notify=notify)
        extending.extend(client, ship.droplet, seconds, clock)
    return get(name, cloud=ship.cloud, timeouts=timeouts, notify=notify)


def _on_two_clouds(name: str) -> AmbiguousShip:
    return AmbiguousShip(f"{name} is on two clouds", next_step="say which: --cloud local or --cloud digitalocean")


def configured_owner(tree: Path | None = None) -> str:
    """
    Say whose ships are ours: `CLOUDSHIP_OWNER`, else what the configuration says, else login and host.

    Args:
        tree: a folder whose own configuration counts too.

    Raises:
        ConfigError: there is something in it that cannot be.
    """
    from cloudship import config  # heavy, and only a reaper needs it

    found = config.load(None).config.owner  # what the environment says is said, whatever lies in the folder
    if found is None and tree is not None:
        found = config.load(tree).config.owner
    return tags.owner(found)


def _on_each(clients: Sequence[Client], act: Callable[[Client], T]) -> list[T]:
    """Do something on every cloud, also where one fails; then raise what failed."""
    done, failed = [], []
    for client in clients:
        try:
            done.append(act(client))
        except UsageError:  # it would be wrong everywhere
            raise
        except CloudshipError as error:
            failed.append((client.cloud.value, error))
    if failed:
        raise _failed_together(failed, len(clients))
    return done


def _failed_together(failed: Sequence[tuple[str, CloudshipError]], tried: int) -> CloudshipError:
    """Give the one error there is, with its cloud where there are more; or one that names them all."""
    if len(failed) == 1:
        ((where, only),) = failed
        only.evidence += (f"that was {where}; the other cloud was gone through",) if tried > 1 else ()
        return only
    message = f"It failed on {' and on '.join(where for where, _ in failed)}"
    error = _as_one(message, failed, "the same with --cloud, one after the other")
    error.left = tuple(left for _, one in failed for left in one.left)
    return error


def _as_one(message: str, failed: Sequence[tuple[str, CloudshipError]], next_step: str) -> LeftBehind:
    """Put several errors into one, each with what it was about; what is left is for the caller to say."""
    error = LeftBehind(message, evidence=[f"{what}: {one}" for what, one in failed], next_step=next_step)
    error.retryable = any(one.retryable for _, one in failed)
    return error


def _is_on(client: Client, name: str) -> bool:
    """Whether a cloud has a ship of a name; one that does not say leaves open which ship is meant."""
    try:
        return bool(of_ship(client, name))
    except CloudError as error:
        where = client.cloud.value
        error.evidence += (f"{where} does not say whether {name} is there; nothing was taken down",)
        error.next_step = f"say where it is: cloudship down {name} --cloud local, or --cloud digitalocean"
        raise


def _swept(
    client: Client,
    rule: reaper.Rule,
    timeouts: Timeouts | None,
    notify: Notify,
    told: Callable[[Reaped], None],
    clock: Clock,
    *,
    dry_run: bool,
) -> None:
    """Reap on one cloud."""

    def take_down(name: str, launch: str, stays: teardown.Stays) -> tuple[Destroyed, ...]:
        def one() -> Receipt:
            return teardown.take_down(
                client, name, launch=launch, timeouts=timeouts, clock=clock, notify=notify, stays=stays
            )

        return teardown.finishing(one, notify).destroyed

    def alone(name: str) -> AbstractContextManager[None]:
        return teardown.alone_at(client.cloud, name, clock=clock)

    reaper.reap(client, rule, take_down, dry_run=dry_run, told=told, clock=clock, alone=alone)
    with about.phase(about.INVENTORY):
        reaper.sweep_tags(client, client.now(clock), notify, told=told, dry_run=dry_run)


def _down_as_listed(ship: Ship, notify: Notify, timeouts: Timeouts | None) -> Receipt:
    (client,) = reach.asked(ship.cloud, timeouts, notify=notify)

    def one() -> Receipt:
        return teardown.take_down_alone(client, ship.name, launch=ship.launch, timeouts=timeouts, notify=notify)

    return teardown.finishing(one, notify)


def _still_there(failed: Sequence[tuple[Ship, CloudshipError]], gone: int) -> LeftBehind:
    """Name what could not be taken down; a ship that its error says nothing about may be there as a whole."""
    names = ", ".join(f"{ship.name} on {ship.cloud.value}" for ship, _ in failed)
    message = f"{len(failed)} of {len(failed) + gone} could not be taken down: {names}"
    error = _as_one(message, [(ship.name, one) for ship, one in failed], "cloudship down --all")
    whole = [(Left(kind=Kind.DROPLET, id=str(ship.droplet_id), price_hourly=ship.price_hourly),) for ship, _ in failed]
    error.left = tuple(left for (_, one), ours in zip(failed, whole, strict=True) for left in one.left or ours)
    return error


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


def _ships(client: Client, name: str | None = None) -> list[Ship]:
    listed = client.droplets(tag=tags.SHARED)
    return [Ship(client, one) for one in listed if (found := tags.of(one)) and name in (None, found.name)]
