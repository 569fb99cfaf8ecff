"""
What exists of a ship: asked for by tag, by name and by id, then every object checked by us.

The account is the state; the journal and the files of launches on this machine only say what else to look for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from cloudship import locking, tags
from cloudship.client import Client
from cloudship.errors import CloudError, NotFound, ShipBusy, WaitTimeout
from cloudship.events import Notify
from cloudship.journal import Asked, Journal
from cloudship.models import Droplet, Key, Kind, Timeouts
from cloudship.waiting import Clock, Pace, Pending, Ready, until

T = TypeVar("T")
_LISTING = Pace(first=0.3, factor=2.0, longest=8.0)


@dataclass(frozen=True)
class Known:
    """What this machine knows besides what the account says; it only ever adds to where we look."""

    asked: tuple[Asked, ...] = ()  # may exist without being listed by tag yet; looked for by name and id too
    here: frozenset[str] = frozenset()  # launches whose files lie here, for tags that only their id leads to
    elsewhere: frozenset[str] = frozenset()  # whose files lie here too, while another token made them: not ours to end
    droplets: Mapping[int, str] = field(default_factory=dict)  # ever made, by id: one may come back without tags
    keys: Mapping[int, str] = field(default_factory=dict)  # ever made, by id
    tags: frozenset[str] = frozenset()  # that launches whose files lie here asked for

    def droplets_here(self, name: str) -> tuple[int, ...]:
        """Name the droplets of launches whose files lie here: one that has just answered may not be listed yet."""
        labels = {tags.droplet_name(name, launch) for launch in self.here}
        return tuple(number for number, label in self.droplets.items() if label in labels)

    def keys_here(self, name: str) -> tuple[int, ...]:
        """Name the keys of launches whose files lie here."""
        found = {number: tags.read_key_name(label) for number, label in self.keys.items()}
        return tuple(number for number, one in found.items() if one and one.name == name and one.launch in self.here)


@dataclass(frozen=True)
class Found:
    """What exists of a ship, or of one launch of it."""

    droplets: tuple[Droplet, ...]
    keys: tuple[Key, ...]
    tags: tuple[str, ...]  # the ones that only this ship carries
    others: bool = False  # whether another launch of the ship is there too, which stays

    @property
    def launches(self) -> frozenset[str]:
        """The launches that made these things."""
        droplets = (tags.of(one) or tags.read_droplet_name(one.name) for one in self.droplets)
        keys = (tags.read_key_name(one.name) for one in self.keys)
        return frozenset(one.launch for one in (*droplets, *keys) if one is not None)

    def has(self, asked: Asked) -> bool:
        """Whether something that was asked for is among these."""
        some = Found((), self.keys, ()) if asked.kind is Kind.KEY else Found(self.droplets, (), ())
        return asked.launch in some.launches


def inventory(
    client: Client,
    name: str,
    *,
    launch: str | None = None,
    known: Known = Known(),
) -> Found:
    """
    Find what exists of a ship: asked by tag, then every object checked by us.

    Args:
        client: the account.
        name: the ship.
        launch: only what this launch made.
        known: what this machine knows besides.
    """
    by_tag = client.droplets(tag=tags.SHARED)  # the ship's own tag may have been taken away in the wrong moment
    back = _come_back(client, name, launch, known)
    listed = {one.id: one for one in (*by_tag, *_unlisted(client, known.asked), *back)}
    listed |= _by_id(client.droplet, known.droplets_here(name), listed)
    droplets = tuple(one for one in listed.values() if one in back or is_of(one, name, launch))
    keyed = {one.id: one for one in client.ssh_keys()}
    every = tuple((keyed | _by_id(client.ssh_key, known.keys_here(name), keyed)).values())
    keys = tuple(one for one in every if _is_key_of(one, name, launch))
    kept = {tag for one in listed.values() if one not in droplets for tag in one.tags}
    others = any(_is_key_of(one, name, None) for one in every if one not in keys)
    if others:
        kept.add(tags.ship_tag(name))  # another launch: its key comes first, its droplet may not be listed yet
    others |= any(is_of(one, name, None) for one in listed.values() if one not in droplets)
    launches = {*known.here, *({launch} if launch else ())} | Found(droplets, keys, ()).launches
    asked_for = known.tags.union(*(one.tags for one in known.asked if launch in (None, one.launch)))
    left_over = bool(keys) and not droplets  # of a launch whose droplet went first: nobody says whose tag went with it
    own = _own_tags(client, name, launches, droplets, asked_for, frozenset(kept), left_over=left_over)
    return Found(droplets, keys, own, others)


def unfinished(journal: Journal, account: str, name: str) -> tuple[Asked, ...]:
    """List what launches of a ship asked for on this machine that neither answered nor were proved gone."""
    return tuple(one for one in journal.asked(account) if is_asked_by(one, name, None))


def launched_by(name: str, owner: str, droplet: Droplet) -> ShipBusy:
    """Say who launches a ship, since when."""
    return ShipBusy(
        f"{name} is being launched by {owner} since {droplet.created_at:%Y-%m-%d %H:%M:%S} UTC",
        next_step=f"wait for it, or take it down: cloudship down {name}",
    )


def is_gone(client: Client, droplet: Droplet) -> bool:
    """Whether a droplet is away: by its id, and from the listing; an API that does not answer is no witness."""
    try:
        client.droplet(droplet.id)
    except NotFound:
        with suppress(CloudError):
            return all(one.id != droplet.id for one in client.droplets(name=droplet.name))
    except CloudError:
        pass
    return False


def of_ship(client: Client, name: str) -> tuple[Droplet, ...]:
    """List the droplets of a ship."""
    return tuple(one for one in client.droplets(tag=tags.SHARED) if is_of(one, name, None))


def is_of(droplet: Droplet, name: str, launch: str | None) -> bool:
    """Whether a droplet is a ship's, or one launch's of it."""
    found = tags.of(droplet)
    return found is not None and found.name == name and launch in (None, found.launch)


def _is_key_of(key: Key, name: str, launch: str | None) -> bool:
    found = tags.read_key_name(key.name)
    return found is not None and found.name == name and launch in (None, found.launch)


def is_asked_by(asked: Asked, name: str, launch: str | None) -> bool:
    """Whether a launch of a ship, or one launch of it, asked for a thing."""
    key = tags.read_key_name(asked.label)
    of_ship = key.name == name if key is not None else asked.label == tags.droplet_name(name, asked.launch)
    return of_ship and launch in (None, asked.launch)


def _come_back(client: Client, name: str, launch: str | None, known: Known) -> tuple[Droplet, ...]:
    """Find droplets that this machine made for a ship and that are there although their tags were taken away."""
    labels = {number: label for number, label in known.droplets.items() if _is_named(label, name, launch)}
    if not labels:
        return ()
    return tuple(one for one in client.droplets() if labels.get(one.id) == one.name and tags.of(one) is None)


def _is_named(label: str, name: str, launch: str | None) -> bool:
    found = tags.read_droplet_name(label)
    return found is not None and found.name == name and launch in (None, found.launch)


def _unlisted(client: Client, asked: Sequence[Asked]) -> list[Droplet]:
    """Look for droplets that were asked for by name, and by id where the API gave one."""
    found: list[Droplet] = []
    for one in asked:
        if one.kind is Kind.DROPLET:
            found += client.droplets(name=one.label)
            if one.id is not None and one.id.isdecimal():
                with suppress(NotFound):
                    found.append(client.droplet(int(one.id)))
    return found


def _by_id(read: Callable[[int], T], numbers: Sequence[int], listed: Collection[int]) -> dict[int, T]:
    """Read what no listing shows; what is not there by its id either is gone."""
    found: dict[int, T] = {}
    for number in numbers:
        if number not in listed:
            with suppress(NotFound):
                found[number] = read(number)
    return found


def settled(
    client: Client,
    name: str,
    launch: str | None,
    known: Known,
    limits: Timeouts,
    clock: Clock,
    notify: Notify,
) -> Found:
    """
    Take the inventory, again while something that was asked for a moment ago may only not be listed yet.

    That is what this machine's journal says, and what a young key without a droplet says of a launch elsewhere: whoever
    took that one's tags away now would leave a droplet that nobody could find by them.
    """
    seen: list[Found] = []
    since_last = clock.wall() - max((one.at for one in known.asked), default=0.0)
    ours_until = clock.monotonic() + max(0.0, min(limits.listed, limits.listed - since_last))

    def look(_limit: float) -> Ready[Found] | Pending:
        seen[:] = [inventory(client, name, launch=launch, known=known)]
        missing = [one for one in known.asked if not seen[0].has(one)]
        if missing and clock.monotonic() < ours_until:
            return Pending(f"{missing[0].kind.value} {missing[0].label} is not listed")
        coming = _coming(seen[0], known, client.now(clock) - limits.listed)
        return Pending(f"launch {coming[0]} has a key and no droplet yet") if coming else Ready(seen[0])

    try:
        return until(
            "what was asked for to be listed",
            look,
            limit=limits.listed,
            attempt_limit=limits.request,
            on=(),
            pace=_LISTING,
            clock=clock,
            notify=notify,
        )
    except WaitTimeout:
        return seen[0]


def _coming(found: Found, known: Known, since: float) -> tuple[str, ...]:
    """Name launches elsewhere whose keys are so young, unix time, that no listing may show their droplets yet."""
    here = known.here | {one.launch for one in known.asked}
    there = Found(found.droplets, (), ()).launches
    keys = [named for one in found.keys if (named := tags.read_key_name(one.name)) is not None]
    return tuple(sorted(one.launch for one in keys if one.created > since and one.launch not in here | there))


def _own_tags(
    client: Client,
    name: str,
    launches: Collection[str],
    droplets: tuple[Droplet, ...],
    asked_for: Collection[str],
    kept: frozenset[str],
    *,
    left_over: bool,
) -> tuple[str, ...]:
    """Find the tags that go with these launches: no droplet that stays carries them."""
    carried = frozenset(tag for one in droplets for tag in one.tags)
    mine = {one.id for one in droplets}
    certain = {tag for tag in carried if tag.startswith(tags.OWN)}  # a user's own `cloudship:...` is none of ours
    certain |= {tag for tag in carried if _is_common(tag) and not others_carry(client, tag, mine)}
    wanted = {tags.launch_tag(one) for one in launches} | {tags.ship_tag(name)}
    listed = set(client.tags())
    # A create makes its tags first: they may be there although its droplet never came to be.
    asked_for = {*asked_for, *(_owners(listed) if left_over else ())}
    wanted |= {one for one in listed.intersection(asked_for) if _is_common(one) and not others_carry(client, one, mine)}
    return tuple(sorted((certain | (wanted & listed)) - kept))  # a listing of tags may lag as well


def _is_common(tag: str) -> bool:
    """Whether droplets of other ships may carry a tag too: the owner's, and times that happen to be equal."""
    return tag.startswith(tuple(f"{tags.SHARED}:{part}:" for part in ("by", "expires", "pending")))


def _owners(listed: Collection[str]) -> set[str]:
    return {tag for tag in listed if tag.startswith(f"{tags.SHARED}:by:")}


def others_carry(client: Client, tag: str, mine: Collection[int]) -> bool:
    """Whether other droplets than these carry a tag."""
    return any(one.id not in mine for one in client.droplets(tag=tag))


def known_here(journal: Journal, client: Client, files_root: Path, name: str, launch: str | None) -> Known:
    """Gather what this machine knows of a ship, or of one launch of it."""
    every = launched_here(files_root, name, launch)
    elsewhere = journal.elsewhere(client.mark) & every
    here = every - elsewhere
    return Known(
        asked=tuple(one for one in journal.asked(client.mark, also=launch) if is_asked_by(one, name, launch)),
        here=here,
        elsewhere=elsewhere,
        droplets=journal.made(client.mark, Kind.DROPLET),
        keys=journal.made(client.mark, Kind.KEY),
        tags=journal.tags(client.mark, here),
    )


def launched_here(files_root: Path, name: str, launch: str | None) -> frozenset[str]:
    """
    Name the launches of a ship whose files lie on this machine, unless one is under way: it has its lock.

    Args:
        files_root: where the files of all launches on a cloud lie.
        name: the ship.
        launch: only this one.
    """
    found = _launches_in(files_root / name) if locking.is_free(files_root / name) else frozenset()
    return found if launch is None else found & {launch}


def unlisted_here(client: Client, journal: Journal, files_root: Path, name: str) -> tuple[Droplet, ...]:
    """Read, by their ids, the droplets of launches whose files lie here, for whoever holds the ship's lock."""
    made = journal.made(client.mark, Kind.DROPLET)
    known = Known(here=_launches_in(files_root / name), droplets=made)
    return tuple(_by_id(client.droplet, known.droplets_here(name), ()).values())


def _launches_in(folder: Path) -> frozenset[str]:
    try:
        return frozenset(path.name for path in folder.iterdir() if tags.is_launch(path.name))
    except OSError:  # no launch was ever made here, or what lies there cannot be read
        return frozenset()
