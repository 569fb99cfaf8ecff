"""A ship whose launch was broken off before its droplet had a host key of its own: nothing is sent to it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from orders import order

from cloudship import tags
from cloudship.client import Client
from cloudship.errors import ShellUnreachable, ShipBusy, WaitTimeout
from cloudship.keys import mint
from cloudship.models import Timeouts
from cloudship.ship import Ship
from cloudship.ssh import Shell

LAUNCH = "0123456789"
SENDING: dict[str, Callable[[Ship, Path], object]] = {
    "run": lambda ship, _: ship.run("id"),
    "logs": lambda ship, _: ship.logs(),
    "deploy": lambda ship, app: ship.deploy(app),
    "rollback": lambda ship, _: ship.rollback(),
    "env": lambda ship, _: ship.set_env({"A": "b"}),
    "ssh": lambda ship, _: ship.openssh(),
    "show": lambda ship, _: ship.status(),
}


@pytest.fixture
def ship(client: Client) -> Ship:
    """Such a ship, in the middle of its launch."""
    pending = int(time.time()) + 900
    asked = order(tags.droplet_name("web", LAUNCH), tags.launch_tags("web", LAUNCH, "me", None, pending))
    found = Ship(client, client.droplet(client.create_droplet(asked)), timeouts=Timeouts(ssh=0.1))
    found.files.save_identity(mint("client"))
    found.files.pin((), mint("temporary").public)
    return found


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note every address that is connected to; nobody answers there."""
    seen: list[str] = []

    def connect(address: str, **_more: object) -> Shell:
        seen.append(address)
        raise ShellUnreachable("nobody is there")

    monkeypatch.setattr(Shell, "connect", connect)
    return seen


@pytest.mark.parametrize("verb", SENDING)
@pytest.mark.parametrize("made", [False, True], ids=["only the temporary key", "both keys"])
def test_nothing_is_sent_before_the_host_key_is_its_own(
    ship: Ship, connected: list[str], flask_app: Path, verb: str, made: bool
) -> None:
    """Whoever has the temporary key could stand in for it: nobody is connected to, and the way out is named."""
    ship.files.pin((mint("own").public,) if made else (), mint("temporary").public)
    with pytest.raises(ShellUnreachable, match="no host key of its own yet") as caught:
        SENDING[verb](ship, flask_app)
    assert "cloudship down web" in str(caught.value.next_step)
    assert [] == connected


@pytest.mark.parametrize("verb", ["deploy", "rollback", "env"])
def test_a_launch_under_way_is_not_released_to(ship: Ship, connected: list[str], flask_app: Path, verb: str) -> None:
    """It waits for its own first release to answer: another one would make it fail; who it is, and since when."""
    ship.files.pin((mint("own").public,))
    with pytest.raises(ShipBusy, match=r"web is being launched by me since \d{4}-"):
        SENDING[verb](ship, flask_app)
    assert [] == connected


def test_its_first_boot_can_be_followed(ship: Ship, connected: list[str]) -> None:
    """From the first second that sshd answers: it only reads, and what it reads is believed by nobody."""
    with pytest.raises(WaitTimeout, match="nobody is there"):
        ship.follow_boot(lambda line: None)
    assert {ship.ip_address} == set(connected)


def test_once_the_key_is_its_own_it_is_spoken_to(ship: Ship, connected: list[str]) -> None:
    """The mark of the temporary key is gone with it."""
    ship.files.pin((mint("own").public,))
    with pytest.raises(ShellUnreachable, match="nobody is there"):
        ship.run("id")
    assert [ship.ip_address] == connected
