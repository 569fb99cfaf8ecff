"""A ship that was launched once, and is then put back as it was: in the account, and on its machine."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from orders import order

from cloudship import tags

if TYPE_CHECKING:
    from campaign.conftest import Field

HOUR = 3600


class Anchored:
    """
    One such ship: to put it back costs a fifth of a launch.

    Args:
        field: where it was launched.
        ends: whether its time is over.
    """

    def __init__(self, field: Field, *, ends: bool) -> None:
        self._place = field.place()
        ready = field.up(self._place, None, *(("--ttl", "1h") if ends else ()))
        assert ready.status == 0, ready.output
        before, now = field.box.baseline, field.box.account()
        ((self._droplet, self._name, self._tags),) = now.droplets - before.droplets
        ((self._key, self._key_name),) = now.keys - before.keys
        self._memory = _memory_of(field, self._name)
        self._remembered = self._memory.read_bytes()
        self._public = field.box.client.ssh_key(self._key).public_key
        if ends:
            field.box.knobs.advance(2 * HOUR)
        field.box.clean()

    def again(self, field: Field, place: Path) -> None:
        """Put it back, on a machine."""
        key = field.box.client.create_key(self._key_name, self._public).id
        droplet = field.box.client.create_droplet(order(self._name, self._tags, ssh_keys=(key,)))
        self._memory.write_bytes(self._remembered)
        shutil.copytree(self._place, place, symlinks=True, dirs_exist_ok=True)
        journal = place / "state" / "journal.jsonl"
        told = journal.read_text(encoding="utf-8")
        told = told.replace(f'"{self._key}"', f'"{key}"').replace(f'"{self._droplet}"', f'"{droplet}"')
        journal.write_text(told, encoding="utf-8")


def _memory_of(field: Field, droplet: str) -> Path:
    """Say where it stands what the droplet remembers, see `memory`."""
    named = tags.read_droplet_name(droplet)
    assert named is not None
    return field.box.directory / "played" / f"{named.launch}.json"
