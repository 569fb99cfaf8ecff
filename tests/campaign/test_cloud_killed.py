"""The local cloud itself is killed: at every step of its work, and at a hundred moments under many requests."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from crashes import CrashBox

from campaign.conftest import SOAK, record
from cloudship.keys import mint
from cloudship.local import control
from cloudship.local.endpoint import Endpoint
from cloudship.local.machines.base import MachineState
from cloudship.local.machines.none import NoneDriver

KILLS, CLOUDS = 100, 10 if SOAK else 1
CLIENTS = 3
ROOM = 25  # droplets that a new account may have
PUBLIC = [mint(f"k{number}").public for number in range(40)]
LOST = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)


@dataclass
class Ledger:
    """What clients asked for, and what they were told."""

    created: dict[str, int | None] = field(default_factory=dict)  # name: id, None while nothing was answered
    deleted: dict[str, bool] = field(default_factory=dict)  # name: whether it was answered
    settled: set[str] = field(default_factory=set)  # seen by a judgement before
    tags: set[str] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)


class Caller:
    """A client that keeps a ledger."""

    def __init__(self, found: Endpoint, ledger: Ledger) -> None:
        self._url, self.ledger = found.url, ledger
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {found.token}"
        self._session.trust_env = False

    def __call__(self, method: str, path: str, body: Any = None) -> requests.Response:
        return self._session.request(method, f"{self._url}/v2/{path}", json=body, timeout=20)

    def every(self, path: str, key: str) -> list[dict[str, Any]]:
        """List all pages; nothing changes meanwhile."""
        found, page = list[dict[str, Any]](), 1
        while True:
            told = self("GET", f"{path}?per_page=200&page={page}").json()
            found, page = found + told[key], page + 1
            if len(found) >= told["meta"]["total"]:
                return found

    def create(self, name: str) -> int | None:
        """Make a droplet with two tags of its own."""
        asked = {"name": name, "size": "s-1vcpu-1gb", "image": "ubuntu-20-04-x64", "tags": [f"{name}-a", f"{name}-b"]}
        self.ledger.created[name] = None
        answer = self("POST", "droplets", asked)
        if answer.status_code != 202:  # the account is full
            del self.ledger.created[name]
            return None
        number = int(answer.json()["droplet"]["id"])
        self.ledger.created[name] = number
        return number

    def delete(self, name: str, number: int) -> None:
        """Destroy it; one that is busy is left."""
        self.ledger.deleted[name] = False
        answer = self("DELETE", f"droplets/{number}")
        if answer.status_code == 204:
            self.ledger.deleted[name] = True
        elif answer.status_code == 422 and not self.ledger.deleted[name]:  # another client may have been first
            self.ledger.deleted.pop(name, None)

    def act(self, number: int, kind: str) -> None:
        """Ask for an action, and wait for its end."""
        answer = self("POST", f"droplets/{number}/actions", {"type": kind})
        while answer.status_code in (200, 201) and answer.json()["action"]["status"] == "in-progress":
            answer = self("GET", f"actions/{answer.json()['action']['id']}")

    def tag(self, name: str) -> None:
        """Make a tag."""
        if self("POST", "tags", {"name": name}).status_code == 201:
            self.ledger.tags.add(name)

    def key(self, public: str) -> None:
        """Make a key."""
        if self("POST", "account/keys", {"name": "k", "public_key": public}).status_code == 201:
            self.ledger.keys.add(public)


def wrong(caller: Caller, directory: Path) -> list[str]:
    """Say what is wrong with a cloud that has come back; empty when all is as clients were told."""
    ledger, droplets = caller.ledger, caller.every("droplets", "droplets")
    names = [one["name"] for one in droplets]
    found = [f"{name} is there {names.count(name)} times" for name in set(names) if names.count(name) > 1]
    found += [f"{name} was never asked for" for name in names if name not in ledger.created]
    for name, number in ledger.created.items():
        if number is not None and name not in ledger.deleted and name not in names:
            found.append(f"{name} is gone")
        if ledger.deleted.get(name) and name in names:
            found.append(f"{name} was destroyed and is there")
    for one in droplets:
        addresses = [network["ip_address"] for network in one["networks"]["v4"]]
        if one["status"] not in ("active", "off") or len(addresses) != 1:
            found.append(f"{one['name']} is {one['status']} with {addresses}")
        if sorted(one["tags"]) != [f"{one['name']}-a", f"{one['name']}-b"]:
            found.append(f"{one['name']} carries {one['tags']}")
    acts = caller("GET", "actions?per_page=200").json()["actions"]  # the newest
    found += [f"{act} never ends" for act in acts if act["status"] == "in-progress"]
    for one in droplets:
        made = [act["status"] for act in acts if act["type"] == "create" and act["resource_id"] == one["id"]]
        if made != ["completed"] and one["name"] not in ledger.settled:
            found.append(f"{one['name']} was made by {made}")
    ledger.settled.update(names)  # older actions leave the first page
    if len({one["networks"]["v4"][0]["ip_address"] for one in droplets}) != len(droplets):
        found.append("two droplets have one address")
    found += [f"tag {name} is gone" for name in ledger.tags - {one["name"] for one in caller.every("tags", "tags")}]
    keys = [one["public_key"] for one in caller.every("account/keys", "ssh_keys")]
    found += [f"a key is there {keys.count(one)} times" for one in ledger.keys if keys.count(one) != 1]
    return found + _machines(droplets, directory)


def _machines(droplets: list[dict[str, Any]], directory: Path) -> list[str]:
    machines = NoneDriver(directory)
    states = {"active": MachineState.RUNNING, "off": MachineState.STOPPED}
    found = [f"{one} has a body and is no droplet" for one in machines.known() - {one["id"] for one in droplets}]
    return found + [
        f"{one['name']} is {one['status']}, its machine {machines.state(one['id'])}"
        for one in droplets
        if machines.state(one["id"]) is not states[one["status"]]
    ]


@pytest.fixture
def box(tmp_path: Path) -> Iterator[CrashBox]:
    """A local cloud without machines; gone at the end."""
    found = CrashBox(tmp_path / "cloud", "none")
    yield found
    found.kill()
    control.reset(found.directory)


@pytest.mark.parametrize("seed", range(20, 20 + CLOUDS))
def test_a_hundred_kills_at_any_moment_cost_nothing_that_was_answered(box: CrashBox, seed: int) -> None:
    """Three clients ask for all that there is; what they were told holds, and nothing is there twice or by halves."""
    dice = random.Random(seed)  # noqa: S311  reproducible, not secret
    ledger, failures = Ledger(), dict[str, list[str]]()
    for number in range(KILLS):
        found = box.start()
        assert found is not None, box.log()
        if bad := wrong(Caller(found, ledger), box.directory):
            failures[f"before kill {number}"] = bad
        asked = len(ledger.created) + dice.randrange(4)
        clients = [_client(Caller(found, ledger), dice.random(), f"{number}-{index}") for index in range(CLIENTS)]
        end = time.monotonic() + 5.0  # a full account takes no more
        while len(ledger.created) <= asked and time.monotonic() < end:
            time.sleep(0.002)
        time.sleep(dice.random() * 0.03)  # the moment of the kill is what is tested
        box.kill()
        for one in clients:
            one.join()
    found = box.start()
    assert found is not None
    failures["at the end"] = wrong(Caller(found, ledger), box.directory)
    assert [] == [f"{name}: {bad}" for name, bad in failures.items() if bad]
    assert len(ledger.created) > KILLS
    assert any(number is None for number in ledger.created.values()), "no kill met a create that was under way"
    record("C1 local cloud killed at any moment", cases=KILLS, points=KILLS)


def _client(caller: Caller, seed: float, mark: str) -> threading.Thread:
    def work() -> None:
        dice = random.Random(seed)  # noqa: S311  reproducible, not secret
        mine: dict[str, int] = {}
        try:
            for number in range(1000):
                mine = _one(caller, dice, f"n{mark}-{number}", mine)
        except LOST:
            return

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def _one(caller: Caller, dice: random.Random, name: str, mine: dict[str, int]) -> dict[str, int]:
    """Ask for one thing or another; droplets of earlier servers are taken on too, so that the account is never full."""
    if not mine:
        taken = caller.every("droplets", "droplets")
        mine = {one["name"]: one["id"] for one in taken if dice.random() < 1 / CLIENTS}
    full = len(mine) > ROOM // CLIENTS - 1
    choice = "delete" if full else dice.choice(("create", "create", "delete", "act", "tag", "key"))
    if choice == "create" and (made := caller.create(name)) is not None:
        return {**mine, name: made}
    if choice == "tag":
        caller.tag(name)
    elif choice == "key":
        caller.key(dice.choice(PUBLIC))
    elif choice == "act" and mine:
        caller.act(dice.choice(list(mine.values())), dice.choice(("power_off", "power_on", "reboot")))
    elif choice == "delete" and mine:
        chosen = dice.choice(list(mine))
        caller.delete(chosen, mine[chosen])
        return {key: value for key, value in mine.items() if key != chosen}
    return mine


Life = dict[str, Callable[[CrashBox, Caller, dict[str, int]], Any]]


def _created(_box: CrashBox, caller: Caller, mine: dict[str, int]) -> None:
    name = f"life{len(caller.ledger.created)}"
    if (number := caller.create(name)) is not None:
        mine.clear()
        mine[name] = number


def _does(kind: str) -> Callable[[CrashBox, Caller, dict[str, int]], None]:
    def act(_box: CrashBox, caller: Caller, mine: dict[str, int]) -> None:
        for number in mine.values():
            caller.act(number, kind)

    return act


def _deleted(_box: CrashBox, caller: Caller, mine: dict[str, int]) -> None:
    for name, number in mine.items():
        caller.delete(name, number)


LIFE: Life = {
    "create": _created,
    "power_off": _does("power_off"),
    "power_on": _does("power_on"),
    "reboot": _does("reboot"),
    "delete": _deleted,
}
RESTART: Life = {"stop": lambda box, _caller, _mine: box.stop(), "start": lambda box, _caller, _mine: box.start()}


def test_a_kill_at_every_step_of_a_droplets_life_leaves_it_once_or_not_at_all(box: CrashBox) -> None:
    """Whatever the server was about to write, run or remove: the next one finishes or undoes it."""
    caller, failures = _caller(box, Ledger()), dict[str, list[str]]()
    steps = _steps(box, caller)
    for moment, count in steps.items():
        for step in range(1, count + 1):
            caller = _killed_at(box, caller, moment, step)
            if bad := wrong(caller, box.directory):
                failures[f"{moment} step {step}"] = bad
            mine = {one["name"]: one["id"] for one in caller.every("droplets", "droplets")}
            _deleted(box, caller, mine)
    assert {} == failures
    assert all(steps.values())
    record("C2 local cloud killed at every step", cases=sum(steps.values()), points=sum(steps.values()))


def _steps(box: CrashBox, caller: Caller) -> dict[str, int]:
    """Watch one life that goes well, and count the steps of each of its moments."""
    mine: dict[str, int] = {}
    counts = {name: len(box.fuse.watch(partial(act, box, caller, mine))) for name, act in LIFE.items()}
    _created(box, _caller(box, caller.ledger), mine)
    return counts | {name: len(box.fuse.watch(partial(act, box, caller, mine))) for name, act in RESTART.items()}


def _killed_at(box: CrashBox, caller: Caller, moment: str, step: int) -> Caller:
    """Lead a new droplet to a moment of its life, kill the server at one step of it, and begin the next one."""
    mine: dict[str, int] = {}
    for name, act in LIFE.items():
        if name == moment or (moment in RESTART and name == "power_off"):
            break
        act(box, caller, mine)
    if moment == "start":
        box.stop()
    box.fuse.set(step)
    with suppress(*LOST):
        (LIFE | RESTART)[moment](box, caller, mine)
    box.fuse.set(0)
    return _caller(box, caller.ledger)


def _caller(box: CrashBox, ledger: Ledger) -> Caller:
    found = box.start()
    assert found is not None, box.log()
    return Caller(found, ledger)
