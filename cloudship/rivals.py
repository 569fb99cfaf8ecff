"""
Launches of one ship by several at once: the account decides, and whoever goes away is told who stays, since when.

A name that is in use is refused before anything is made. Two that looked at the same moment both make a droplet: the
lowest id wins. A listing may lag behind a create, so the last look comes right before a launch would call itself done,
and waits for the droplet of a rival whose key is there already: every launch adds its key first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cloudship import inventory, standing, tags
from cloudship.client import TRANSIENT, Client
from cloudship.draft import Draft
from cloudship.errors import CloudshipError, ShipBusy, ShipExists
from cloudship.events import Noted, Notify
from cloudship.models import Droplet, Timeouts
from cloudship.plan import Plan
from cloudship.records import files_root, journal
from cloudship.waiting import Clock, Pace, Pending, Ready, until

_LOOKING = Pace(first=1.0, factor=1.7, longest=8.0)


def make_room(drawn: Draft, take_down: Callable[[str], None], clock: Clock, notify: Notify) -> None:
    """
    Refuse a name that is in use; take away what dead launches left of it.

    A launch whose deadline has passed is dead; so is one made on this machine that has not ended, since we hold the
    lock that it would hold.

    Args:
        drawn: what is to be launched.
        take_down: takes down a launch of the ship.
        clock: the time.
        notify: hears of launches that died.

    Raises:
        ShipExists: it answers.
        ConfigError: it has ended, and is still there.
        ShipBusy: a launch of it is under way.
    """
    plan, client = drawn.plan, drawn.client
    dead = {one.launch for one in inventory.unfinished(journal(), client.mark, plan.name)}
    died = {one.launch for one in inventory.unfinished(journal(), client.cloud.value, plan.name)}  # with any token
    unlisted = inventory.unlisted_here(client, journal(), files_root(plan.cloud), plan.name)
    for droplet in (*inventory.of_ship(client, plan.name), *unlisted):
        found = tags.of(droplet)
        if found is None or found.name != plan.name:
            continue
        if found.pending is None and standing.has_ended(found, client.now(clock)):
            raise standing.ended(found)
        if found.pending is None:
            raise ShipExists(
                f"{plan.name} is already running at http://{droplet.ip_address}/: {found.owner}'s, launched at "
                f"{droplet.created_at:%Y-%m-%d %H:%M:%S} UTC",
                next_step=f"cloudship deploy {plan.name}, cloudship down {plan.name}, or another --name",
            )
        if found.pending > client.now(clock) and found.launch not in died:
            raise inventory.launched_by(plan.name, found.owner, droplet)
        dead.add(found.launch)
    for launch in sorted(dead):
        notify(Noted(text=f"an earlier launch of {plan.name} died; it is taken down and replaced", warning=True))
        take_down(launch)


def give_way(client: Client, plan: Plan, droplet: Droplet) -> None:
    """
    Give way to another launch of the same name that came first: the lowest droplet id wins.

    Raises:
        ShipBusy: there is one; with whose, and since when.
    """
    _compared(plan, droplet, inventory.of_ship(client, plan.name))


def give_way_at_last(
    client: Client, plan: Plan, droplet: Droplet, timeouts: Timeouts, clock: Clock, notify: Notify
) -> None:
    """
    Give way as `give_way` does, now for good: also to a launch whose droplet no listing shows yet.

    Raises:
        ShipBusy: there is one that came first.
    """

    def look(_limit: float) -> Ready[None] | Pending:
        shown = {one.id: one for one in inventory.of_ship(client, plan.name)}
        unseen = _rivals(client, plan, timeouts, clock)
        unseen -= {found.launch for one in shown.values() if (found := tags.of(one)) is not None}
        for launch in sorted(unseen):
            named = client.droplets(name=tags.droplet_name(plan.name, launch))
            shown |= {one.id: one for one in named if inventory.is_of(one, plan.name, launch)}
            unseen -= {launch} if named else set()
        _compared(plan, droplet, tuple(shown.values()))
        return Pending(f"launch {min(unseen)} of {plan.name} has a key and no droplet yet") if unseen else Ready(None)

    until(
        f"other launches of {plan.name} to show their droplets",
        look,
        limit=timeouts.listed * 3,  # a rival is young for one; two machines' clocks may differ by another
        attempt_limit=timeouts.request,
        on=TRANSIENT,
        pace=_LOOKING,
        clock=clock,
        notify=notify,
    )


@contextmanager
def noticing_its_end(client: Client, plan: Plan, droplet: Droplet) -> Iterator[None]:
    """
    Say so when a launch fails because somebody took its droplet away.

    Raises:
        ShipBusy: that happened, whatever it looked like from here.
    """
    try:
        yield
    except ShipBusy:
        raise
    except CloudshipError as error:
        if not inventory.is_gone(client, droplet):
            raise
        taken = ShipBusy(
            f"{plan.name} was taken down from elsewhere while it was being launched: droplet {droplet.id}, there since "
            f"{droplet.created_at:%Y-%m-%d %H:%M:%S} UTC, is gone",
            next_step=f"launch it again; whether somebody else has: cloudship show {plan.name}",
            evidence=[error.message],
        )
        taken.phase = error.phase
        raise taken from error


def whole_again(client: Client, plan: Plan, droplet_id: int) -> Droplet:
    """
    Read a launched droplet, and give back what a teardown elsewhere took of its tags.

    That found nobody who carried them, and removed them from everything a moment later.
    """
    droplet = client.droplet(droplet_id)
    lost = {*plan.tags} - {tags.pending_tag(plan.deadline)} - droplet.tags
    for tag in sorted(lost):
        client.attach_tag(tag, droplet_id)
    return client.droplet(droplet_id) if lost else droplet


def _rivals(client: Client, plan: Plan, timeouts: Timeouts, clock: Clock) -> set[str]:
    """Name the launches of the same ship that began so short a time ago that a listing may not show their droplets."""
    named = (tags.read_key_name(one.name) for one in client.ssh_keys())
    others = [one for one in named if one is not None and one.name == plan.name and one.launch != plan.launch]
    return {one.launch for one in others if client.now(clock) - one.created < timeouts.listed}


def _compared(plan: Plan, droplet: Droplet, others: tuple[Droplet, ...]) -> None:
    for other in others:
        found = tags.of(other)
        if found is not None and found.launch != plan.launch and other.id < droplet.id:
            raise inventory.launched_by(plan.name, found.owner, other)
