"""A local cloud without machines, in a process of its own, with seven objects that look like ours and are not."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from orders import order

from cloudship import tags
from cloudship.client import Client
from cloudship.keys import mint
from cloudship.local import control
from cloudship.local.handle import LocalCloud
from cloudship.models import Cloud, Droplet, Endpoint, Secret, Timeouts

SHIP = "web"
PAST = 1_600_000_000


@dataclass(frozen=True)
class Account:
    """All that an account holds, as anybody with the token sees it."""

    droplets: frozenset[tuple[int, str, frozenset[str]]]
    keys: frozenset[tuple[int, str]]
    tags: frozenset[str]


@dataclass(frozen=True)
class CloudBox:
    """One such cloud."""

    directory: Path
    knobs: LocalCloud
    client: Client
    baseline: Account

    def account(self) -> Account:
        """Take stock."""
        return self.look()[1]

    def look(self) -> tuple[list[Droplet], Account]:
        """Take stock, and give the droplets in full."""
        droplets = list(self.client.droplets())
        return droplets, _account(self.client, droplets)

    def clean(self) -> None:
        """Take away what a case left, so that the next one is judged by itself."""
        now = self.account()
        for droplet_id, _, _ in now.droplets - self.baseline.droplets:
            self.client.delete_droplet(droplet_id)
        for key_id, _ in now.keys - self.baseline.keys:
            self.client.delete_key(key_id)
        for tag in now.tags - self.baseline.tags:
            self.client.delete_tag(tag)


@contextmanager
def running(directory: Path) -> Iterator[CloudBox]:
    """Run one, and reset it at the end."""
    found = control.start(directory, driver="none")
    try:
        endpoint = Endpoint(cloud=Cloud.LOCAL, url=f"{found.url}/v2/", token=Secret(found.token))
        client = Client(endpoint, timeouts=Timeouts(request=30, visible=1, listed=1))
        _foreign(client)
        yield CloudBox(directory, LocalCloud(found.url, found.token), client, _account(client, client.droplets()))
    finally:
        control.reset(directory)


def _foreign(client: Client) -> None:
    """Make what must never be touched: it shares names, prefixes or tags with the ship."""
    launch, ours = "f" * 10, tags.launch_tags
    foreign_droplet(client, tags.droplet_name(SHIP, launch), ())
    foreign_droplet(client, "half-tagged", (tags.SHARED, tags.ship_tag(SHIP)))
    foreign_droplet(client, tags.droplet_name(f"{SHIP}2", launch), ours(f"{SHIP}2", launch, "me", None, None))
    foreign_droplet(client, tags.droplet_name("other", "e" * 10), ours("other", "e" * 10, "you", PAST, None))
    client.create_key(f"{tags.SHARED}:{SHIP}:not-a-launch", mint("x").public)
    client.create_key(SHIP, mint("x").public)
    client.create_key(tags.key_name(f"{SHIP}2", launch, int(time.time())), mint("x").public)


def foreign_droplet(client: Client, name: str, carried: tuple[str, ...]) -> None:
    """Make a droplet that is not ours."""
    asked = order(name, carried)
    client.create_droplet(asked)


def _account(client: Client, droplets: Iterable[Droplet]) -> Account:
    return Account(
        frozenset((one.id, one.name, one.tags) for one in droplets),
        frozenset((one.id, one.name) for one in client.ssh_keys()),
        frozenset(client.tags()),
    )
