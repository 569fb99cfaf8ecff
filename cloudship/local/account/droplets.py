"""Droplets: what is known of them. Their bodies are the affair of `bodies.py`."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from cloudship.local.account import catalogue
from cloudship.local.account.clock import CloudClock
from cloudship.local.account.keys import Keys
from cloudship.local.account.store import Store
from cloudship.local.account.tags import Tags
from cloudship.local.errors import Refusal, not_found, unprocessable
from cloudship.local.machines.base import MachineSpec

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS droplets (
        id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, status TEXT NOT NULL,
        address TEXT NOT NULL UNIQUE, created_at TEXT NOT NULL, asked TEXT NOT NULL, image TEXT NOT NULL,
        public_keys TEXT NOT NULL)""",
    (
        "INSERT OR IGNORE INTO sqlite_sequence (name, seq) SELECT 'droplets', 400000000"
        " WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'droplets')"
    ),
    # A delete that was taken but takes its time: not forgotten when the server dies meanwhile.
    "CREATE TABLE IF NOT EXISTS dying (droplet_id INTEGER PRIMARY KEY REFERENCES droplets (id) ON DELETE CASCADE)",
)
NEW, ACTIVE, OFF = "new", "active", "off"
LIMIT = 25  # as a new account has it
USER_DATA_LIMIT = 64 * 1024
_NAME = re.compile(r"[a-zA-Z0-9]?[a-z0-9A-Z.\-]*[a-z0-9A-Z]")
_NAMES_AT_ONCE = 10
_VPC = "5a4981aa-9653-4bd1-bef5-d6bff52042e4"  # one default network for all, as an account has at first


class Droplets:
    """The droplets of the account."""

    def __init__(self, store: Store, keys: Keys, tags: Tags, clock: CloudClock) -> None:
        self._store, self._keys, self._tags, self._clock = store, keys, tags, clock
        self._subnet: IPv4Network | None = None

    def settle(self, subnet: IPv4Network) -> list[int]:
        """Take the machines' network, and give the droplets that had to move into it."""
        self._subnet = subnet
        with self._store.changing():
            rows = self._store.rows("SELECT id, address FROM droplets ORDER BY id")
            moved = [row["id"] for row in rows if IPv4Address(row["address"]) not in subnet]
            for one in moved:
                self._store.run("UPDATE droplets SET address = ? WHERE id = ?", str(self._free_address()), one)
        return moved

    def create(
        self,
        asked: dict[str, Any],
        images: list[dict[str, Any]],
        admit: Callable[[dict[str, Any], int], None],
    ) -> list[int]:
        """
        Check a request and record its droplets, all or none; they are new and have no body yet.

        Args:
            asked: the request's body.
            images: what may be asked for.
            admit: refuses what limits and capacity do not allow; is told how many there are.
        """
        names = _names(asked)
        image = _image(asked.get("image"), images)
        if catalogue.size(str(asked.get("size"))) is None:
            raise unprocessable("You specified an invalid size for Droplet creation.")
        asked = {**asked, "region": _region(asked.get("region"))}
        public_keys = self._public_keys(_list(asked, "ssh_keys"))
        _list(asked, "tags")
        _check_user_data(asked.get("user_data"))
        with self._store.changing():
            admit(asked, len(self.ids()))
            return [self._record(name, asked, image, public_keys) for name in names]

    def get(self, droplet_id: int) -> dict[str, Any]:
        """Show one droplet."""
        return self._shown(self._row(droplet_id))

    def all(self, *, tag: str | None = None, name: str | None = None) -> list[dict[str, Any]]:
        """List the droplets, by tag or by exact name whatever the case."""
        rows = self._store.rows("SELECT * FROM droplets ORDER BY id")
        if tag is not None:
            carriers = set(self._tags.droplets(tag))
            rows = [row for row in rows if row["id"] in carriers]
        if name is not None:
            rows = [row for row in rows if row["name"].lower() == name.lower()]
        return [self._shown(row) for row in rows]

    def still(self, ids: Iterable[int]) -> list[dict[str, Any]]:
        """Show those droplets of a list that are there still."""
        wanted = set(ids)
        return [
            self._shown(row) for row in self._store.rows("SELECT * FROM droplets ORDER BY id") if row["id"] in wanted
        ]

    def ids(self, status: str | None = None) -> list[int]:
        """List ids, of one status where that is said."""
        rows = self._store.rows("SELECT id, status FROM droplets ORDER BY id")
        return [row["id"] for row in rows if status in (None, row["status"])]

    def status(self, droplet_id: int) -> str:
        """Say the status of a droplet."""
        return str(self._row(droplet_id)["status"])

    def set_status(self, droplet_id: int, status: str) -> None:
        """Record another status."""
        self._store.run("UPDATE droplets SET status = ? WHERE id = ?", status, droplet_id)

    def forget(self, droplet_id: int) -> None:
        """Remove a droplet from the account; its tags stay, as with DigitalOcean."""
        self._store.run("DELETE FROM droplets WHERE id = ?", droplet_id)

    def doom(self, droplet_id: int) -> None:
        """Record that a droplet is being destroyed."""
        self._store.run("INSERT OR IGNORE INTO dying (droplet_id) VALUES (?)", droplet_id)

    def spare(self, droplet_id: int) -> None:
        """Take back that a droplet is being destroyed."""
        self._store.run("DELETE FROM dying WHERE droplet_id = ?", droplet_id)

    def doomed(self) -> frozenset[int]:
        """Name the droplets that are being destroyed."""
        return frozenset(row["droplet_id"] for row in self._store.rows("SELECT droplet_id FROM dying"))

    def region(self, droplet_id: int) -> str:
        """Say where a droplet is."""
        return str(json.loads(self._row(droplet_id)["asked"])["region"])

    def networks(self, droplet_id: int) -> dict[str, Any]:
        """Show a droplet's networks as the machine itself knows them, also before the account does."""
        return self._networks(self._row(droplet_id))

    def user_data(self, droplet_id: int) -> str:
        """Give the user-data a droplet was made with."""
        return json.loads(self._row(droplet_id)["asked"]).get("user_data") or ""

    def public_keys(self, droplet_id: int) -> list[str]:
        """Give the public keys a droplet was made with."""
        return list(json.loads(self._row(droplet_id)["public_keys"]))

    def at(self, address: str) -> int | None:
        """Find the droplet that has an address."""
        row = self._store.row("SELECT id FROM droplets WHERE address = ?", address)
        return None if row is None else int(row["id"])

    def spec(self, droplet_id: int) -> MachineSpec:
        """Say what body a droplet needs."""
        row = self._row(droplet_id)
        asked = json.loads(row["asked"])
        size = catalogue.size(asked["size"]) or {}
        return MachineSpec(
            droplet_id=droplet_id,
            hostname=row["name"],
            image=json.loads(row["image"])["slug"],
            vcpus=size["vcpus"],
            memory_mib=size["memory"],
            disk_gib=size["disk"],
            address=IPv4Address(row["address"]),
            user_data=asked.get("user_data") or "",
            public_keys=tuple(json.loads(row["public_keys"])),
        )

    def _row(self, droplet_id: int) -> sqlite3.Row:
        row = self._store.row("SELECT * FROM droplets WHERE id = ?", droplet_id)
        if row is None:
            raise not_found()
        return row

    def _record(self, name: str, asked: dict[str, Any], image: dict[str, Any], keys: list[str]) -> int:
        droplet_id = self._store.run(
            "INSERT INTO droplets (name, status, address, created_at, asked, image, public_keys)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            name,
            NEW,
            str(self._free_address()),
            self._clock.now(),
            json.dumps(asked),
            json.dumps(image),
            json.dumps(keys),
        )
        for tag in asked.get("tags") or []:
            self._tags.attach(tag, droplet_id)
        return droplet_id

    def _free_address(self) -> IPv4Address:
        subnet = self._network
        taken = {row["address"] for row in self._store.rows("SELECT address FROM droplets")}
        hosts = (subnet.network_address + offset for offset in range(2, subnet.num_addresses - 1))
        for address in hosts:  # the first host is the gateway
            if str(address) not in taken:
                return address
        raise Refusal(503, "service_unavailable", "The local cloud has no free address left.")

    @property
    def _network(self) -> IPv4Network:
        assert self._subnet is not None  # noqa: S101  `settle` comes before any droplet
        return self._subnet

    def _networks(self, row: sqlite3.Row) -> dict[str, Any]:
        netmask, gateway = str(self._network.netmask), str(self._network[1])
        public = {"ip_address": row["address"], "netmask": netmask, "gateway": gateway, "type": "public"}
        return {"v4": [public], "v6": []}

    def _public_keys(self, identifiers: list[Any]) -> list[str]:
        found, unknown = [], []
        for one in identifiers:
            try:
                found.append(self._keys.get(str(one))["public_key"])
            except Refusal:
                unknown.append(str(one))
        if unknown:
            raise unprocessable(f"{', '.join(unknown)} are invalid key identifiers for Droplet creation.")
        return found

    def _shown(self, row: sqlite3.Row) -> dict[str, Any]:
        asked = json.loads(row["asked"])
        size = catalogue.size(asked["size"]) or {}
        return {
            "id": row["id"],
            "name": row["name"],
            "memory": size["memory"],
            "vcpus": size["vcpus"],
            "disk": size["disk"],
            "disk_info": [{"type": "local", "size": {"amount": size["disk"], "unit": "gib"}}],
            "locked": False,
            "status": row["status"],
            "kernel": None,
            "created_at": row["created_at"],
            "features": ["droplet_agent"],
            "backup_ids": [],
            "next_backup_window": None,
            "snapshot_ids": [],
            "image": json.loads(row["image"]),
            "volume_ids": [],
            "size": size,
            "size_slug": asked["size"],
            "networks": {"v4": [], "v6": []} if row["status"] == NEW else self._networks(row),
            "region": catalogue.region(asked["region"]),
            "tags": self._tags.of(row["id"]),
            "vpc_uuid": _VPC,
        }


def _names(asked: dict[str, Any]) -> list[str]:
    names = asked["names"] if "names" in asked else [asked.get("name")]
    if not isinstance(names, list) or not 0 < len(names) <= _NAMES_AT_ONCE:
        raise unprocessable(f"names must be a list of 1 to {_NAMES_AT_ONCE}")
    for name in names:
        if not isinstance(name, str) or len(name) > 255 or not _NAME.fullmatch(name):  # noqa: PLR2004
            raise unprocessable("Only valid hostname characters are allowed. (a-z, A-Z, 0-9, . and -)")
    return names


def _image(asked: Any, images: list[dict[str, Any]]) -> dict[str, Any]:
    for image in images:
        if asked in (image["slug"], image["id"], str(image["id"])):
            return image
    raise unprocessable("You specified an invalid image for Droplet creation.")


def _region(asked: Any) -> str:
    """Take a region, or a prefix such as `nyc`, or none at all, as DigitalOcean does."""
    wanted = str(asked or "nyc3")
    for slug in (wanted, *sorted(catalogue.REGIONS, reverse=True)):
        if slug in catalogue.REGIONS and slug.startswith(wanted):
            return slug
    raise unprocessable("You specified an invalid region for Droplet creation.")


def _list(asked: dict[str, Any], key: str) -> list[Any]:
    found = asked.get(key) or []
    if not isinstance(found, list):
        raise unprocessable(f"{key} must be a list")
    return found


def _check_user_data(text: Any) -> None:
    if text is not None and not isinstance(text, str):
        raise unprocessable("user_data must be a string")
    if text and len(text.encode()) > USER_DATA_LIMIT:
        raise unprocessable("User data exceeds the limit of 64KB")
