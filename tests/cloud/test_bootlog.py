"""The first boot as it is told: two voices, and who may listen; the connection is a small fake."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from cloudship import bootlog, keys, tags
from cloudship.errors import HostKeyMismatch, KeyMissing, ShellUnreachable
from cloudship.models import Cloud, Droplet, DropletStatus, PhaseTime, Timeouts
from cloudship.ship import Ship
from cloudship.waiting import Clock

EVENTS = (
    {"stage": "apt", "state": "running", "text": "", "seconds": None},
    {"stage": "apt", "state": "output", "text": "Unpacking git", "seconds": None},
    {"stage": "apt", "state": "done", "text": "", "seconds": 6.18},
    {"stage": "bootstrap", "state": "failed", "text": "apt-get failed", "seconds": None},
)


class Droplets:
    """Says what cloud-init and the bootstrap say."""

    def __init__(self, status: int, events: Sequence[dict[str, Any]] = EVENTS) -> None:
        self.status, self.events = status, events

    def stream(self, command: str, *, line: Callable[[str], None]) -> int:
        """Follow one of the two."""
        if "cloud-init-output.log" in command:
            line("Cloud-init v. 24 running 'init'")
            line("status: done")
            return 0
        for event in self.events:
            line(json.dumps(event))
        return self.status


def test_both_voices_are_told_line_by_line_and_the_bootstrap_decides() -> None:
    """Each line says whose it is; the status is the bootstrap's."""
    said: list[str] = []
    assert 1 == bootlog.follow(Droplets(1), said.append)  # type: ignore[arg-type]
    assert {"cloud-init  Cloud-init v. 24 running 'init'", "cloud-init  status: done"} < set(said)
    assert [
        "apt         running",
        "apt         Unpacking git",
        "apt         done after 6.2 s",
        "bootstrap   failed: apt-get failed",
    ] == [line for line in said if not line.startswith("cloud-init")]
    assert 0 == bootlog.follow(Droplets(0), said.append)  # type: ignore[arg-type]


def test_a_program_that_never_arrives_is_said_and_ends_it() -> None:
    """Cloud-init ended without it: nobody waits for ever."""
    said: list[str] = []
    assert 1 == bootlog.follow(Droplets(bootlog.ABSENT, ()), said.append)  # type: ignore[arg-type]
    assert any("the user-data did not arrive" in line for line in said)
    assert ("bootstrap", "no JSON") == bootlog.told("no JSON")


def test_it_connects_as_soon_as_sshd_answers_and_while_the_host_key_is_rotated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Refused, then with the key before the rotation, then with the pinned one; a stranger who stays is named."""
    answers: list[Exception] = [ShellUnreachable("refused"), HostKeyMismatch("another key"), ShellUnreachable("reset")]

    def connect(_address: str, **_more: Any) -> str:
        if answers:
            raise answers.pop(0)
        return "in"

    monkeypatch.setattr(bootlog.Shell, "connect", connect)
    clock = Clock(sleep=lambda _seconds: None)
    files = keys.LaunchFiles(tmp_path, "a" * 10)
    heard: list[Any] = []
    found: Any = bootlog.arrived("10.0.0.7", files, timeouts=Timeouts(), clock=clock, notify=heard.append)
    assert ("in", ["refused", "another key", "reset"]) == (found, [event.last for event in heard])
    answers += [HostKeyMismatch("another key")] * 100
    with pytest.raises(HostKeyMismatch):
        bootlog.arrived("10.0.0.7", files, timeouts=Timeouts(), clock=clock)


@pytest.fixture
def ship(client: Any) -> Ship:
    """A ship that another machine launched."""
    launched = tags.launch_tags("web", "a" * 10, "ann", None, None)
    told = {"id": 7, "name": "web", "status": DropletStatus.ACTIVE, "image": "x"}
    more = {"image_name": "X", "size": "s", "region": "r", "price_hourly": 0.0, "ip_address": IPv4Address("10.0.0.7")}
    made = datetime(2026, 1, 1, tzinfo=timezone.utc)
    assert client.cloud is Cloud.LOCAL
    return Ship(client, Droplet(**told, **more, created_at=made, tags=frozenset(launched)))  # type: ignore[arg-type]


def test_without_the_keys_of_the_launch_it_says_whose_it_is(ship: Ship) -> None:
    """For every way in: what is missing, who launched it, and how to get in all the same; waiting does not help."""
    ways: tuple[Callable[[], object], ...] = (
        lambda: ship.follow_boot(print),
        ship.logs,
        lambda: ship.run("true"),
        ship.openssh,
        lambda: ship.deploy("."),
    )
    for way in ways:
        with pytest.raises(KeyMissing, match="cannot log in to web, which ann launched: it holds no key") as caught:
            way()
        assert (False, True) == (caught.value.retryable, "ssh root@10.0.0.7" in str(caught.value.next_step))
    ship.files.save_identity(keys.mint("x"))
    with pytest.raises(KeyMissing, match="pins no host key"):
        ship.logs()
    ship.files.pin(["ssh-ed25519 AAAA"])
    assert "root@10.0.0.7" == ship.openssh()[-1]


def test_a_notebook_shows_state_url_and_times_and_when_it_is_gone(ship: Ship) -> None:
    """What is foreign is escaped; after `down` nobody is told that it runs."""
    ship.timeline = (PhaseTime(name="boot", seconds=7.0), PhaseTime(name="push", seconds=0.5))
    shown = ship._repr_html_()
    for part in ("<b>web</b>", "<td>active</td>", 'href="http://10.0.0.7/"', "<td>7.00 s</td>", "<td>7.50 s</td>"):
        assert part in shown
    ship.down()
    assert ("gone", True) == (ship.state, "<td>gone</td>" in ship._repr_html_())
    assert "<Ship web gone http://10.0.0.7/>" == repr(ship)
