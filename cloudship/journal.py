"""
What is about to be created, written down and on the disk before the call that creates it.

It only speeds recovery: everything in it can be found in the account by tags and names. A torn line, as a crash
leaves it, is passed over.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from cloudship import durable
from cloudship.models import Kind

INTENT, DONE, REFUSED, ENDED = "intent", "done", "refused", "ended"
_KINDS = frozenset(("", *(kind.value for kind in Kind)))


@dataclass(frozen=True)
class Entry:
    """One line."""

    at: float  # unix time
    what: str  # INTENT before a create, DONE or REFUSED after it, ENDED when the launch needs no recovery any more
    launch: str
    cloud: str  # the account there too, as `Endpoint.mark` names it; the cloud alone stands for any of its accounts
    kind: str = ""
    label: str = ""  # the name that was asked for, or the id that was got
    tags: str = ""  # that were asked for with it, parted by blanks
    price: float = 0.0  # USD an hour, of a droplet


_FIELDS = frozenset(field.name for field in fields(Entry))


@dataclass(frozen=True)
class Asked:
    """A thing that was asked for, by a launch that has not ended: it may exist, listed or not."""

    launch: str
    kind: Kind
    label: str  # the name that was asked for
    at: float  # unix time
    id: str | None = None  # None: nobody has read the answer
    tags: tuple[str, ...] = ()  # that a create makes even where its droplet never comes to be
    price: float = 0.0  # USD an hour


class Journal:
    """
    The journal of one user on one machine.

    Args:
        path: the file; it and its folder are for the user alone.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def intend(
        self, launch: str, account: str, kind: Kind, label: str, tags: Sequence[str] = (), price: float = 0.0
    ) -> None:
        """Write down what is about to be created; on return it is on the disk."""
        self._write(Entry(time.time(), INTENT, launch, account, kind.value, label, " ".join(tags), price))

    def done(self, launch: str, account: str, kind: Kind, label: str) -> None:
        """Write down what was created."""
        self._write(Entry(time.time(), DONE, launch, account, kind.value, label))

    def refused(self, launch: str, account: str, kind: Kind, label: str) -> None:
        """Write down that the answer was a clear no: there is nothing to look for."""
        self._write(Entry(time.time(), REFUSED, launch, account, kind.value, label))

    def ended(self, launch: str, account: str) -> None:
        """Write down that a launch answers, or is proved gone."""
        self._write(Entry(time.time(), ENDED, launch, account))

    def entries(self) -> tuple[Entry, ...]:
        """Read all that is whole."""
        try:
            lines = durable.read(self._path).splitlines()
        except OSError:
            return ()
        return tuple(entry for line in lines if (entry := _read(line)) is not None)

    def asked(self, account: str, also: str | None = None) -> tuple[Asked, ...]:
        """
        Work out what may exist: asked for on an account, not refused, and of a launch that has not ended.

        Args:
            account: as `Endpoint.mark` names it, or a cloud for all accounts there.
            also: a launch of which all counts, though it has ended: it is to be taken down.
        """
        found: dict[tuple[str, str], Asked] = {}
        for entry in self.entries():
            place = (entry.launch, entry.kind)
            if entry.what == ENDED and entry.launch == also:
                continue
            if entry.what == ENDED:  # whoever proved that: the account's token may have changed since
                found = {key: one for key, one in found.items() if one.launch != entry.launch}
            elif not _is_of(entry, account):
                continue
            elif entry.what == INTENT and entry.kind:
                asked_with = tuple(entry.tags.split())
                found[place] = Asked(
                    entry.launch, Kind(entry.kind), entry.label, entry.at, tags=asked_with, price=float(entry.price)
                )
            elif entry.what == DONE and place in found:
                found[place] = replace(found[place], id=entry.label)
            elif entry.what == REFUSED:
                found.pop(place, None)
        return tuple(found.values())

    def tags(self, account: str, launches: Collection[str]) -> frozenset[str]:
        """Name the tags that launches asked for on an account, ended or not: not all are theirs alone."""
        asked = (one for one in self.entries() if one.what == INTENT and one.launch in launches)
        return frozenset(tag for one in asked if _is_of(one, account) for tag in one.tags.split())

    def elsewhere(self, account: str) -> frozenset[str]:
        """Name the launches whose things were asked for on other accounts, and never on this one."""
        asked = [one for one in self.entries() if one.what == INTENT]
        return frozenset(one.launch for one in asked) - {one.launch for one in asked if _is_of(one, account)}

    def made(self, account: str, kind: Kind) -> dict[int, str]:
        """
        Name the droplets, or the keys, that were ever made on an account, by id.

        A droplet that comes back after it was proved gone has lost its tags, and a listing may lag behind what is
        there; the id is what it is known by then.
        """
        labels: dict[str, str] = {}
        found: dict[int, str] = {}
        for entry in self.entries():
            if not _is_of(entry, account) or entry.kind != kind.value:
                continue
            if entry.what == INTENT:
                labels[entry.launch] = entry.label
            elif entry.what == DONE and entry.label.isdecimal() and entry.launch in labels:
                found[int(entry.label)] = labels[entry.launch]
        return found

    def _write(self, entry: Entry) -> None:
        durable.folder(self._path.parent)
        durable.append(self._path, json.dumps(asdict(entry)).encode())


def _is_of(entry: Entry, account: str) -> bool:
    """Whether a line may be about an account; who names the cloud alone means every account there."""
    (cloud, _, mark), (asked, _, wanted) = entry.cloud.partition("/"), account.partition("/")
    return cloud == asked and (mark == wanted or not mark or not wanted)


def _read(line: str) -> Entry | None:
    try:
        told = json.loads(line)
        entry = Entry(**{key: value for key, value in told.items() if key in _FIELDS})  # a newer one may say more
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
    texts = (entry.what, entry.launch, entry.cloud, entry.kind, entry.label, entry.tags)
    whole = all(isinstance(text, str) for text in texts) and all(map(_is_number, (entry.at, entry.price)))
    return entry if whole and entry.kind in _KINDS else None


def _is_number(told: object) -> bool:
    try:
        return isinstance(told, (int, float)) and math.isfinite(told)
    except OverflowError:
        return False
