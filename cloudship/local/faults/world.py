"""Faults of the account: what is shown, hidden, refused or not carried out, decided when it is made or deleted."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from cloudship.local.account.clock import CloudClock
from cloudship.local.errors import Refusal, not_found, unprocessable
from cloudship.local.faults import values
from cloudship.local.faults.book import FaultBook
from cloudship.local.faults.values import By

NEVER = float("inf")


@dataclass(frozen=True)
class Marks:
    """What was decided about one droplet; moments are the account's time, as unix time."""

    listed_by_name: float = 0.0
    listed_by_tag: float = 0.0
    listed: float = 0.0
    visible: float = 0.0
    address: float = 0.0  # when its address shows
    active: float = 0.0  # when it shows as active
    ssh: bool = True
    fails: bool = False  # its create


class World:
    """
    Decides what of the account is seen.

    Args:
        clock: the account's.
        book: the faults.
    """

    def __init__(self, clock: CloudClock, book: FaultBook) -> None:
        self._clock, self._book = clock, book
        self._lock = threading.Lock()
        self._marks: dict[int, Marks] = {}
        self._unlisted: dict[tuple[str, str], float] = {}  # keys and tags, in small letters

    def made(self, droplet_id: int) -> Marks:
        """Decide about a droplet that is being made."""
        now = self._clock.time()
        marks = Marks()
        lag = self._book.strike((values.ListingLag,), lambda one: one.resource == "droplets")
        if lag is not None:
            until = now + lag.seconds
            marks = replace(
                marks,
                listed_by_name=until if lag.by in (By.NAME, By.ALL) else 0.0,
                listed_by_tag=until if lag.by in (By.TAG, By.ALL) else 0.0,
                listed=until if lag.by is By.ALL else 0.0,
            )
        if (missing := self._book.strike((values.MissingAfterCreate,))) is not None:
            marks = replace(marks, visible=now + missing.seconds)
        if self._book.strike((values.NeverActive,)) is not None:
            marks = replace(marks, active=NEVER)
        if self._book.strike((values.NoIp,)) is not None:
            marks = replace(marks, address=NEVER)
        if (late := self._book.strike((values.IpLate,))) is not None:
            marks = replace(marks, address=now + late.seconds)
        marks = replace(
            marks,
            ssh=self._book.strike((values.NoSsh,)) is None,
            fails=self._book.strike((values.CreateFails,)) is not None,
        )
        with self._lock:
            self._marks[droplet_id] = marks
        return marks

    def address_later(self, droplet_id: int, seconds: float) -> None:
        """Show a droplet's address only a while after its activity."""
        with self._lock:
            marks = self._marks.get(droplet_id, Marks())
            self._marks[droplet_id] = replace(marks, address=max(marks.address, self._clock.time() + seconds))

    def vanish(self, droplet_id: int, seconds: float) -> None:
        """Hide a droplet everywhere for a while."""
        until = self._clock.time() + seconds
        with self._lock:
            marks = self._marks.get(droplet_id, Marks())
            self._marks[droplet_id] = replace(
                marks, visible=until, listed=until, listed_by_name=until, listed_by_tag=until
            )

    def made_named(self, resource: str, name: str) -> None:
        """Decide about a key or a tag that was made, and was not there before."""
        small = name.lower()
        lag = self._book.strike((values.ListingLag,), lambda one: one.resource == resource)
        with self._lock:
            self._unlisted.pop((resource, small), None)  # of one that had this name before
            if lag is not None:
                self._unlisted[resource, small] = self._clock.time() + lag.seconds

    def listed_names(self, resource: str, names: Iterable[str]) -> set[str]:
        """Pick the keys or tags that a listing shows."""
        now = self._clock.time()
        with self._lock:
            return {name for name in names if self._unlisted.get((resource, name.lower()), 0.0) <= now}

    def see(self, droplet_id: int) -> None:
        """
        Look at a droplet by its id.

        Raises:
            Refusal: it is hidden.
        """
        if self._of(droplet_id).visible > self._clock.time():
            raise not_found()

    def is_listed(self, droplet_id: int, *, by: By | None) -> bool:
        """Whether a listing shows a droplet: by name, by tag, or with None the plain one."""
        marks, now = self._of(droplet_id), self._clock.time()
        moment = {By.NAME: marks.listed_by_name, By.TAG: marks.listed_by_tag}.get(by or By.ALL, marks.listed)
        return moment <= now

    def dressed(self, shown: dict[str, Any]) -> dict[str, Any]:
        """Show a droplet as it is to be seen: perhaps not active yet, perhaps without an address."""
        marks, now = self._of(int(shown["id"])), self._clock.time()
        told = shown
        if marks.active > now and shown["status"] == "active":
            told = {**told, "status": "new"}
        if marks.address > now or told["status"] == "new":
            told = {**told, "networks": {"v4": [], "v6": []}}
        return told

    def deleted(self, droplet_id: int) -> bool:
        """Meet a delete; False when it is not to be carried out."""
        fault = self._book.strike((values.DeleteIgnored, values.ComesBack))
        if isinstance(fault, values.ComesBack):
            self.vanish(droplet_id, fault.seconds)
        return fault is None

    def action_errors(self) -> bool:
        """Whether the action that begins now is to end errored."""
        return self._book.strike((values.ActionErrors,)) is not None

    def admit(self, asked: dict[str, Any], present: int, usual: int) -> None:
        """
        Admit a create, as far as limits and capacity go.

        Raises:
            Refusal: in DigitalOcean's words.
        """
        wanted = len(asked["names"]) if isinstance(asked.get("names"), list) else 1
        if self._exceeds(present + wanted, usual):
            raise unprocessable("creating this/these droplet(s) will exceed your droplet limit")
        region, size = asked.get("region"), asked.get("size")
        sold_out = self._book.strike((values.Unavailable,), lambda one: region == one.region or size == one.size)
        if sold_out is not None and sold_out.region == region:
            raise unprocessable("The region you have chosen is not available at the moment, please try again.")
        if sold_out is not None:
            raise unprocessable("Size is not available in this region.")

    def droplet_limit(self, usual: int) -> int:
        """Say how many droplets the account may have now, by what may still strike."""
        waiting = (one.fault for one in self._book.all() if not one.spent)
        return min((one.limit for one in waiting if isinstance(one, values.DropletLimit)), default=usual)

    def refusal_of_token(self, method: str) -> Refusal | None:
        """Say how the token is refused, if it is."""
        if self._book.strike((values.Token,), lambda one: one.state == "revoked") is not None:
            return Refusal(401, "unauthorized", "Unable to authenticate you")
        if method in ("GET", "HEAD"):
            return None
        if self._book.strike((values.Token,), lambda one: one.state == "read_only") is not None:
            return Refusal(403, "forbidden", "You are not authorized to perform this operation")
        return None

    def forget(self) -> None:
        """Forget everything that was decided."""
        with self._lock:
            self._marks.clear()
            self._unlisted.clear()

    def _exceeds(self, droplets: int, usual: int) -> bool:
        """Whether so many are too many; a fault is met only by what is refused or admitted because of it."""
        if self._book.strike((values.DropletLimit,), lambda one: droplets > one.limit) is not None:
            return True
        if droplets <= usual:
            return False
        return self._book.strike((values.DropletLimit,), lambda one: droplets <= one.limit) is None

    def _of(self, droplet_id: int) -> Marks:
        with self._lock:
            return self._marks.get(droplet_id, Marks())
