"""
One way down: rollback, `Ship.down`, the command and the plugin all end here.

A ship is found by its tags and key names alone, so any machine with the token can take it down; where the journal
knows of things just asked for, they are waited for, since listings lag behind creates. What is destroyed carries our
tags *and* passes our own reading of them; gone means 404 on the id and absent from the listing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from cloudship import about, checkouts, locking, records, tags
from cloudship.client import TRANSIENT, Client
from cloudship.errors import (
    Abandoned,
    CloudError,
    CloudshipError,
    Conflict,
    LeftBehind,
    NotFound,
    ShipBusy,
    Terminated,
)
from cloudship.events import Destroying, Gone, Noted, Notify, Remained, nobody
from cloudship.inventory import Found, known_here, others_carry, settled
from cloudship.journal import Asked, Journal
from cloudship.keys import LaunchFiles
from cloudship.models import Cloud, Destroyed, Droplet, Key, Kind, Left, Receipt, Timeouts
from cloudship.waiting import REAL, Clock, Pace, Pending, Ready, retrying, until

T = TypeVar("T")
Stays = Callable[[Droplet | Key], str | None]  # why an object is not to go after all; None: it goes
MINIMUM_SECONDS, MINIMUM_COST = 60.0, 0.01  # what DigitalOcean bills at least, since 2026-01-01
_PASSING = (Conflict, *TRANSIENT)
_GOING = Pace(first=1.0, factor=1.2, longest=5.0)  # most are gone at the first look; some take minutes
_KEYS = Pace(first=0.1, factor=3.0, longest=7.0)  # the listing of keys takes ten calls a minute


def down(
    client: Client,
    name: str,
    *,
    journal: Journal,
    files_root: Path,
    timeouts: Timeouts | None = None,
    clock: Clock = REAL,
    notify: Notify = nobody,
    launch: str | None = None,
    stays: Stays | None = None,
) -> Receipt:
    """
    Destroy a ship, or one launch of it, and prove it gone; nothing there is success too.

    Args:
        client: the account.
        name: the ship.
        journal: where launches that have ended are noted.
        files_root: where the files of launches lie.
        timeouts: `destroy` limits each object.
        clock: the time.
        notify: hears what is destroyed.
        launch: take down only this launch.
        stays: asked of each object right before it is destroyed, for who takes down what may still change its mind.

    Raises:
        LeftBehind: something could not be proved gone; it names it and its price.
        ShipBusy: something is to stay after all, with the reason; so does all that would have followed it.
    """
    limits = timeouts or Timeouts()
    with about.phase(about.INVENTORY):
        known = known_here(journal, client, files_root, name, launch)
        try:
            found = settled(client, name, launch, known, limits, clock, notify)
        except CloudError as error:
            if not known.asked:
                raise
            raise _unseen(client.cloud, name, launch, known.asked, error) from error
    with about.phase(about.DESTROY):
        work = _destroyed(_Teardown(client, limits, clock, notify, stays), name, launch, found)
    touched = found.launches | {one.launch for one in known.asked} | ({launch} if launch else set()) | known.here
    strange = known.elsewhere - found.launches
    for kept in sorted(strange):
        text = f"launch {kept} of {name} was made with another token; its login stays: {files_root / name / kept}"
        notify(Noted(text=text))
    for ended in touched - strange:
        _forget(LaunchFiles(files_root / name / ended, ended), name, client.mark, journal, notify)
    return _receipt(client.cloud, name, found, work, client.now(clock))


def _destroyed(work: _Teardown, name: str, launch: str | None, found: Found) -> _Teardown:
    """Destroy what was found, one after the other; gives back what did it, with how that went."""
    for droplet in found.droplets:
        price = work.cloud.billed(droplet.price_hourly)
        work.attempt(Kind.DROPLET, str(droplet.id), partial(work.droplet, droplet), price)
    for tag in (*found.tags, *sorted(work.ends.difference(found.tags))) if not work.left else ():
        work.attempt(Kind.TAG, tag, partial(work.tag, tag, frozenset(one.id for one in found.droplets)))
    # Last, as they came first: their names lead whoever goes on from here, on any machine, to their launches' tags. A
    # droplet that only seems to stay leads nobody there.
    lead = bool(work.left)
    for key in found.keys:
        if lead:
            work.leave(Kind.KEY, str(key.id), "it leads to what stays")
        else:
            work.attempt(Kind.KEY, str(key.id), partial(work.key, key))
    if work.left:
        raise _left_behind(name, launch if found.others else None, work)
    return work


def _forget(files: LaunchFiles, name: str, account: str, journal: Journal, notify: Notify) -> None:
    """Take a launch that is proved gone off this machine's records; nothing of them costs anything."""
    try:
        journal.ended(files.launch, account)
        checkouts.forget(files, name=name)
    except CloudshipError as error:  # they lie where nothing can be written, or there is no git to untie a checkout
        notify(Noted(text=f"{name} is gone, yet this machine's records of it stay: {error}", warning=True))


def take_down(
    client: Client,
    name: str,
    *,
    launch: str | None = None,
    timeouts: Timeouts | None = None,
    clock: Clock = REAL,
    notify: Notify = nobody,
    stays: Stays | None = None,
) -> Receipt:
    """Destroy as `down` does, with what this machine keeps of launches."""
    return down(
        client,
        name,
        journal=records.journal(),
        files_root=records.files_root(client.cloud),
        timeouts=timeouts,
        clock=clock,
        notify=notify,
        launch=launch,
        stays=stays,
    )


def take_down_alone(client: Client, name: str, *, clock: Clock = REAL, **more: Any) -> Receipt:
    """
    Take down as `take_down` does, while nobody else on this machine is at the ship.

    Raises:
        ShipBusy: somebody is; with who and since when.
    """
    with about.ship(name), about.phase(about.DESTROY), alone_at(client.cloud, name, clock=clock):
        return take_down(client, name, clock=clock, **more)


def alone_at(
    cloud: Cloud, name: str, *, clock: Clock = REAL, doing: str = locking.TAKEN_DOWN
) -> AbstractContextManager[None]:
    """Hold the lock of a ship, as far as this machine can."""
    folder = records.files_root(cloud) / name
    return locking.alone_if_possible(folder, name, now=clock.wall(), doing=doing)


def finishing(act: Callable[[], T], notify: Notify = nobody) -> T:
    """
    Carry a teardown to its end although the first interrupt comes meanwhile; then the interrupt is raised.

    A teardown may be begun again anywhere, so that is what happens. The second interrupt is raised at once.
    """
    try:
        return act()
    except (KeyboardInterrupt, Terminated) as interrupt:
        notify(Noted(text="interrupted; the teardown is finished first", warning=True))
        act()
        raise interrupt from None


def after(error: BaseException | None, act: Callable[[], T], notify: Notify = nobody) -> T:
    """Carry out the teardown that an error asks for: to its end, unless that is an interrupt, whose second stops it."""
    return act() if isinstance(error, (KeyboardInterrupt, Terminated, Abandoned)) else finishing(act, notify)


class _Teardown:
    """Destroys one object after the other; a failure of one does not stop the next."""

    def __init__(self, client: Client, limits: Timeouts, clock: Clock, notify: Notify, stays: Stays | None) -> None:
        self._client, self._limits, self._clock, self._notify = client, limits, clock, notify
        self.cloud = client.cloud
        self._stays = stays
        self.destroyed: list[Destroyed] = []
        self.left: list[Left] = []
        self.reasons: list[str] = []
        self.passing = False  # whether it may go better another time
        self.ends: set[str] = set()  # tags of ends that droplets carried at the last look, which may be later ones

    def attempt(self, kind: Kind, number: str, act: Callable[[], None], price: float = 0.0) -> None:
        """Destroy one object, and remember how that went."""
        if kind is not Kind.TAG:
            self._notify(Destroying(kind=kind.value, id=number))
        try:
            act()
        except _StillCarriedError:
            return
        except CloudshipError as error:
            if isinstance(error, ShipBusy) and not self.destroyed:
                raise  # all of it stays, which is no failure; a part that stays is one
            self.passing |= error.retryable
            self.leave(kind, number, str(error), price)
        else:
            self.destroyed.append(Destroyed(kind=kind, id=number))
            if kind is not Kind.TAG:
                self._notify(Gone(kind=kind.value, id=number))

    def leave(self, kind: Kind, number: str, why: str, price: float = 0.0) -> None:
        """Remember, and tell, that an object stays."""
        left = Left(kind=kind, id=number, price_hourly=price)
        self.left.append(left)
        self.reasons.append(f"{left}: {why}")
        self._notify(Remained.of(left))

    def droplet(self, droplet: Droplet) -> None:
        """Destroy a droplet: asked until it is taken, looked for until it is gone, asked again if it stays."""
        taken: list[bool] = []  # from then on it is going, whatever its tags say

        def gone(_limit: float) -> Ready[None] | Pending:
            if not _absent(lambda: self._look(droplet, judged=bool(taken))):
                _ignoring_absence(lambda: self._client.delete_droplet(droplet.id))
                taken.append(True)
                if not _absent(lambda: self._client.droplet(droplet.id)):
                    return Pending("the droplet still answers")
            listed = {one.id for one in self._client.droplets(name=droplet.name)}
            return Pending("the droplet is still listed") if droplet.id in listed else Ready(None)

        self._until(f"droplet {droplet.id} to be gone", gone, _GOING)

    def _look(self, droplet: Droplet, *, judged: bool) -> None:
        seen = self._client.droplet(droplet.id)
        if not judged:
            self._ask(seen, f"droplet {droplet.id}")
        self.ends.update(tags.expiries(seen.tags))

    def _ask(self, seen: Droplet | Key, what: str) -> None:
        """Raise `ShipBusy` where an object is to stay after all."""
        if self._stays is not None and (why := self._stays(seen)) is not None:
            raise ShipBusy(f"{what} was to go and stays: {why}")

    def key(self, key: Key) -> None:
        """Remove a key."""
        if self._stays is not None:
            _ignoring_absence(lambda: self._ask(self._client.ssh_key(key.id), f"key {key.id}"))

        def gone(_limit: float) -> Ready[None] | Pending:
            _ignoring_absence(lambda: self._client.delete_key(key.id))
            listed = {one.id for one in self._client.ssh_keys()}
            return Pending("the key is still listed") if key.id in listed else Ready(None)

        self._until(f"key {key.id} to be gone", gone, _KEYS)

    def tag(self, tag: str, mine: frozenset[int]) -> None:
        """Remove a tag, unless another launch has begun to carry it since the inventory was taken."""
        if not tag.startswith(f"{tags.SHARED}:launch:") and others_carry(self._client, tag, mine):
            raise _StillCarriedError

        def gone(_limit: float) -> Ready[None] | Pending:
            _ignoring_absence(lambda: self._client.delete_tag(tag))
            return Pending("the tag is still listed") if tag in self._client.tags() else Ready(None)

        self._until(f"tag {tag} to be gone", gone, _GOING)

    def _until(self, name: str, look: Callable[[float], Ready[None] | Pending], pace: Pace) -> None:
        until(
            name,
            look,
            limit=self._limits.destroy,
            attempt_limit=self._limits.request,
            on=_PASSING,
            pace=pace,
            clock=self._clock,
            notify=self._notify,
        )


class _StillCarriedError(Exception):
    """A tag that stays, because others need it; it never leaves this module."""


def retire_tag(
    client: Client, tag: str, droplet_id: int, *, timeouts: Timeouts | None = None, clock: Clock = REAL
) -> None:
    """
    Take a tag off a droplet, and away where nobody else carries it.

    In one call where that is possible: a tag that was taken off, and not yet away, would be nobody's to find. Asked
    for again where the API stumbles: taking away is not making.
    """
    shared = others_carry(client, tag, {droplet_id})

    def take_off() -> None:
        _ignoring_absence(lambda: client.detach_tag(tag, droplet_id) if shared else client.delete_tag(tag))

    retrying(f"taking {tag} off", take_off, on=_PASSING, limit=(timeouts or Timeouts()).visible, clock=clock)


def cost(price_hourly: float, seconds: float) -> float:
    """Compute what a droplet cost, in USD, billed by the second with the minimum that DigitalOcean has."""
    if price_hourly <= 0:
        return 0.0
    return max(MINIMUM_COST, price_hourly * max(seconds, MINIMUM_SECONDS) / 3600)


def _absent(read: Callable[[], object]) -> bool:
    try:
        read()
    except NotFound:
        return True
    return False


def _ignoring_absence(act: Callable[[], None]) -> None:
    try:
        act()
    except NotFound:
        return


def _receipt(cloud: Cloud, name: str, found: Found, work: _Teardown, now: float) -> Receipt:
    lived = [now - one.created_at.timestamp() for one in found.droplets]
    prices = [cloud.billed(one.price_hourly) for one in found.droplets]
    return Receipt(
        name=name,
        destroyed=tuple(work.destroyed),
        searched=(cloud,),
        seconds_lived=max(lived) if lived else None,
        cost=sum(cost(price, seconds) for price, seconds in zip(prices, lived, strict=True)),
    )


def _unseen(cloud: Cloud, name: str, launch: str | None, asked: Sequence[Asked], cause: CloudError) -> LeftBehind:
    """Name what may be left where the API does not even say what there is, nor whether others of the name are there."""
    error = LeftBehind(f"What {name} made may still be there: {cause}", next_step=command(name, launch, cloud))
    left = [Left(kind=one.kind, id=one.id or one.label, price_hourly=one.price) for one in asked]
    error.left, error.retryable = tuple(reversed(left)), cause.retryable
    return error


def _left_behind(name: str, launch: str | None, work: _Teardown) -> LeftBehind:
    """Name what stays, and what takes it away: of one launch alone where another of the ship is there."""
    error = LeftBehind(
        f"Not everything of {name} could be proved gone",
        evidence=work.reasons,
        next_step=command(name, launch, work.cloud),
    )
    error.left, error.retryable = tuple(work.left), work.passing
    return error


def command(name: str, launch: str | None, cloud: Cloud) -> str:
    """Write what takes a ship down, or one launch of it alone."""
    alone = f" --launch {launch}" if launch else ""
    return f"cloudship down {name}{alone} --cloud {cloud.value}"
