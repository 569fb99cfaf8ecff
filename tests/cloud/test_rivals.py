"""Several at one ship at once: who may go on, who is refused and told why, and what is found again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from orders import order

from cloudship import extending, fleet, inventory, locking, reach, reaper, records, tags, teardown
from cloudship.client import Client
from cloudship.errors import ConfigError, ShipBusy, WaitHopeless
from cloudship.models import Cloud, Receipt, Timeouts
from cloudship.readiness import active
from cloudship.waiting import Clock

LAUNCH = "0123456789"


def _ship(client: Client, carried: tuple[str, ...], launch: str = LAUNCH) -> int:
    asked = order(tags.droplet_name("web", launch), carried)
    return client.create_droplet(asked)


def _held(doing: str) -> AbstractContextManager[None]:
    folder = records.files_root(Cloud.LOCAL) / "web"
    return locking.alone(folder, "web", now=1_700_000_000, doing=doing)


@pytest.fixture
def reached(client: Client, monkeypatch: pytest.MonkeyPatch) -> Client:
    """The one cloud within reach."""
    monkeypatch.setattr(reach, "asked", lambda *_, **__: (client,))
    return client


@pytest.mark.parametrize(
    ("kind", "stays"),
    [(SystemExit, False), (asyncio.CancelledError, False), (ValueError, False), (KeyboardInterrupt, True)],
)
def test_an_interrupt_stops_only_a_teardown_that_an_interrupt_began(
    reached: Client, monkeypatch: pytest.MonkeyPatch, kind: type[BaseException], stays: bool
) -> None:
    """Whatever else leaves the block, the first Ctrl-C is the first."""
    _ship(reached, tags.launch_tags("web", LAUNCH, "me", None, None))
    real, interrupts = reached.delete_droplet, [KeyboardInterrupt]

    def destroy(number: int) -> None:
        if interrupts:
            raise interrupts.pop()
        real(number)

    monkeypatch.setattr(reached, "delete_droplet", destroy)
    with pytest.raises(KeyboardInterrupt), fleet.get("web"):
        raise kind
    assert stays == bool(reached.droplets())


@pytest.mark.parametrize("act", [lambda: fleet.down("web"), lambda: fleet.get("web").down()], ids=["down", "Ship.down"])
def test_a_teardown_beside_a_launch_on_this_machine_is_refused(reached: Client, act: Callable[[], Receipt]) -> None:
    """It is told who launches, and since when; the ship stays."""
    number = _ship(reached, tags.launch_tags("web", LAUNCH, "me", None, None))
    with (
        _held(locking.LAUNCHED),
        pytest.raises(ShipBusy, match=r"launched on this machine by process \d+ .* since 2023-"),
    ):
        act()
    assert number == reached.droplet(number).id


def test_a_sweep_leaves_alone_what_somebody_is_at(reached: Client) -> None:
    """An expired ship that is being given more time on this machine stays, with the reason; that is no failure."""
    number = _ship(reached, tags.launch_tags("web", LAUNCH, "me", 1_600_000_000, None))
    with _held(locking.EXTENDED):
        (done,) = fleet.reap(owner="me")
    assert (False, ()) == (done.taken, done.left)
    assert "given more time on this machine by process" in done.reason
    assert number == reached.droplet(number).id
    (done,) = fleet.reap(owner="me")
    assert done.taken


def test_a_sweep_sees_again_what_it_has_the_lock_for(client: Client) -> None:
    """More time that was given while it waited for its turn counts."""
    number = _ship(client, tags.launch_tags("web", LAUNCH, "me", 1_600_000_000, None))

    class Late:
        def __init__(self, _name: str) -> None:
            extending.until(client, client.droplet(number), int(time.time()) + 900)

        def __enter__(self) -> None:
            pass

        def __exit__(self, *_: object) -> None:
            pass

    rule = reaper.Rule("me", time.time())
    (done,) = reaper.reap(client, rule, lambda *_: pytest.fail("it lives"), dry_run=False, alone=Late)  # type: ignore[arg-type,return-value]
    assert not done.taken


def test_where_nothing_can_be_written_a_teardown_goes_on(tmp_path: Path) -> None:
    """Nobody can launch from there either: there is nobody to keep away."""
    (tmp_path / "lock").mkdir()
    with pytest.raises(ConfigError), locking.alone(tmp_path, "web", now=0):
        pass
    with locking.alone_if_possible(tmp_path, "web", now=0, doing=locking.TAKEN_DOWN):
        assert not (tmp_path / "holder.json").exists()


@pytest.mark.parametrize("lost", ["cloudship:ship:web", "cloudship:by:me"])
def test_a_ship_that_lost_a_tag_to_a_teardown_elsewhere_is_taken_down(
    client: Client, tmp_path: Path, lost: str
) -> None:
    """A tag goes from everything at once: name and launch still say whose it is, and nothing of it stays."""
    carried = tags.launch_tags("web", LAUNCH, "me", None, None)
    _ship(client, tuple(tag for tag in carried if tag != lost))
    assert 1 == len(inventory.of_ship(client, "web"))
    book = records.journal()
    done = teardown.down(client, "web", journal=book, files_root=tmp_path, timeouts=Timeouts(listed=1, destroy=5))
    assert 1 == sum(one.kind.value == "droplet" for one in done.destroyed)
    assert {tags.SHARED} == set(client.tags())


def test_a_launch_whose_droplet_was_taken_away_waits_no_longer(client: Client) -> None:
    """It was there, and is neither there nor listed: that does not become active any more."""
    number = _ship(client, tags.launch_tags("web", LAUNCH, "me", None, None))
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 1:
            Client.delete_droplet(client, number)

    plain = client.droplet

    def without_address(droplet_id: int) -> object:
        return plain(droplet_id).model_copy(update={"ip_address": None})

    client.droplet = without_address  # type: ignore[method-assign,assignment]
    with pytest.raises(WaitHopeless, match=f"Droplet {number} is gone"):
        active(client, number, timeouts=Timeouts(active=60), clock=Clock(sleep=sleep))
    assert 1 == len(waited)
