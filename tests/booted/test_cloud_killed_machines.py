"""The local cloud is killed while it makes, stops, restarts and destroys real machines, at every step of that."""

from __future__ import annotations

import random
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests
from booted.traces import Host
from campaign.conftest import SOAK, record
from crashes import CrashBox

from cloudship.local import control

LIVES = 1000 if SOAK else 2  # each has a kill in every one of its moments; no more than there are steps
LOST = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
ASKED = {"name": "web", "size": "s-1vcpu-512mb-10gb", "image": "ubuntu-20-04-x64"}


class Life:
    """One droplet after the other, in a cloud that is killed again and again."""

    def __init__(self, box: CrashBox) -> None:
        self.box, self.host = box, Host(box.directory)
        self.acknowledged: set[int] = set()  # droplets that must be there
        self.destroyed: set[int] = set()  # and those that must not
        self.start()

    def start(self) -> None:
        """Begin the next server."""
        found = self.box.start()
        assert found is not None, self.box.log()
        self._url, self._token = found.url, found.token

    def call(self, method: str, path: str, body: Any = None) -> requests.Response:
        """Ask the API."""
        headers = {"Authorization": f"Bearer {self._token}"}
        return requests.request(method, f"{self._url}/v2/{path}", json=body, headers=headers, timeout=60)

    def droplets(self) -> dict[int, dict[str, Any]]:
        """List what there is."""
        return {one["id"]: one for one in self.call("GET", "droplets").json()["droplets"]}

    def create(self) -> None:
        """Make one, and wait for its action."""
        answer = self.call("POST", "droplets", ASKED).json()
        self.acknowledged.add(answer["droplet"]["id"])
        self._ended(answer["links"]["actions"][0]["id"])

    def act(self, kind: str) -> None:
        """Ask it of each, and wait."""
        for number in self.droplets():
            self._ended(self.call("POST", f"droplets/{number}/actions", {"type": kind}).json()["action"]["id"])

    def delete(self) -> None:
        """Destroy each."""
        for number in self.droplets():
            self.acknowledged.discard(number)
            if self.call("DELETE", f"droplets/{number}").status_code == 204:
                self.destroyed.add(number)

    def _ended(self, action: int) -> None:
        while self.call("GET", f"actions/{action}").json()["action"]["status"] == "in-progress":
            time.sleep(0.005)

    def wrong(self) -> list[str]:
        """Say what is wrong with a cloud that has come back."""
        droplets = self.droplets()
        found = [f"droplet {one} is gone" for one in self.acknowledged - set(droplets)]
        found += [f"droplet {one} was destroyed and is there" for one in self.destroyed & set(droplets)]
        found += [
            f"{one['id']} is {one['status']}" for one in droplets.values() if one["status"] not in ("active", "off")
        ]
        running = sum(one["status"] == "active" for one in droplets.values())
        if len(droplets) > 1:
            found.append(f"there are {len(droplets)}: {sorted(droplets)}")
        return found + self.unsettled(running)

    def unsettled(self, running: int) -> list[str]:
        """Compare the host with what so many machines are; a container that just begins is two processes."""
        deadline = time.monotonic() + 60
        while (now := self.host.traces()) != self.host.expected(running):
            if time.monotonic() > deadline:
                return [f"{running} run, and there is {dict(now)}"]
            time.sleep(0.02)
        return []

    def answers(self) -> list[str]:
        """See that what is active really boots."""
        active = [one for one in self.droplets().values() if one["status"] == "active"]
        return [f"droplet {one['id']} does not answer" for one in active if not _reached(one)]


def _reached(droplet: dict[str, Any]) -> bool:
    address = droplet["networks"]["v4"][0]["ip_address"]
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection((address, 22), timeout=1) as connection:
            connection.settimeout(5)
            if connection.recv(4) == b"SSH-":
                return True
        time.sleep(0.02)
    return False


MOMENTS: dict[str, Callable[[Life], None]] = {
    "create": Life.create,
    "power_off": lambda life: life.act("power_off"),
    "power_on": lambda life: life.act("power_on"),
    "reboot": lambda life: life.act("reboot"),
    "stop": lambda life: life.box.stop(),
    "start": lambda life: life.box.start(),  # type: ignore[dict-item,return-value]
    "delete": Life.delete,
}


@pytest.fixture
def life(machines: Path, tmp_path: Path) -> Iterator[Life]:
    """A cloud that boots machines; whatever happened to it, a stop ends everything."""
    box = CrashBox(tmp_path / "cloud", "nspawn")
    found = Life(box)
    yield found
    box.kill()
    assert control.stop(box.directory)
    deadline = time.monotonic() + 60
    while found.host.traces() and time.monotonic() < deadline:  # the kernel gives a loop device back a moment later
        time.sleep(0.02)
    left = found.host.traces()
    control.reset(box.directory)
    assert Counter() == left


def test_a_kill_at_every_step_leaves_each_machine_once_or_not_at_all(life: Life) -> None:
    """Disk, namespace, cable, group, container: made and removed; the next server finishes or undoes what was begun."""
    steps = _steps(life)
    assert all(steps.values()), steps
    dice, failures, kills = random.Random(7), dict[str, list[str]](), 0  # noqa: S311  reproducible, not secret
    orders = {name: dice.sample(range(1, count + 1), count) for name, count in steps.items()}
    for number in range(min(LIVES, max(steps.values()))):
        for name, act in MOMENTS.items():
            step = orders[name][number % len(orders[name])]
            if bad := _killed(life, name, act, step):
                failures[f"{name} step {step} of {steps[name]}"] = bad
            kills += 1
            if name == "start" and (bad := life.answers()):
                failures[f"after {name} step {step}"] = bad
        life.delete()  # what outlived its delete
    record("C3 local cloud killed at every step of a machine", cases=kills, points=sum(steps.values()))
    assert {} == failures
    assert kills == len(MOMENTS) * min(LIVES, max(steps.values()))


def _steps(life: Life) -> dict[str, int]:
    """Watch one life that goes well, and count the steps of each of its moments."""
    counts = {}
    for name, act in MOMENTS.items():
        counts[name] = len(life.box.fuse.watch(lambda act=act: act(life)))  # type: ignore[misc]
        if name == "start":
            life.start()
    return counts


def _killed(life: Life, name: str, act: Callable[[Life], None], step: int) -> list[str]:
    """Kill the server at one step, or right after its last, and judge the next one."""
    if name == "start":
        life.box.stop()
    elif name == "create":
        life.delete()
    life.box.fuse.set(step)
    with suppress(*LOST):
        act(life)
    life.box.fuse.set(0)
    life.start()
    if name == "create" and not life.droplets():
        life.create()  # it never was: the rest of its life needs one
    # cloud-init does nothing twice: a first boot that is cut off can leave a machine without host keys, on any cloud.
    return life.wrong() + (life.answers() if name == "create" else [])


@pytest.mark.parametrize("_", range(60 if SOAK else 1))
def test_kills_at_any_moment_of_many_machines_at_once(life: Life, _: int) -> None:
    """Machines that are being made, restarted and destroyed side by side when the server dies."""
    dice = random.Random(_)  # noqa: S311  reproducible, not secret
    for _round in range(4):
        with suppress(*LOST):
            names = [f"m{number}" for number in range(2)]
            made = life.call("POST", "droplets", {**ASKED, "name": None, "names": names}).json()["droplets"]
            life.acknowledged |= {one["id"] for one in made}
        time.sleep(dice.random() * 0.4)  # the moment is what is tested
        life.box.kill()
        life.start()
        found = [one for one in life.wrong() if not one.startswith("there are")]
        assert [] == found
        life.delete()
        assert [] == life.unsettled(0)
    record("C3 local cloud killed beside many machines", cases=_round + 1, points=1)
