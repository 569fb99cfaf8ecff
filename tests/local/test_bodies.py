"""Account and machines stay of one mind, also when the host fails or the server is told to stop."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from cloudship.local.account import Account
from cloudship.local.account.catalogue import images
from cloudship.local.bodies import Bodies
from cloudship.local.errors import Refusal
from cloudship.local.faults.book import FaultBook
from cloudship.local.faults.world import World
from cloudship.local.machines.base import DriverError, MachineSpec, MachineState
from cloudship.local.machines.none import NoneDriver

SUBNET = IPv4Network("127.64.0.0/16")


class Unwilling(NoneDriver):
    """A driver that starts machines only when it is let, or fails with what it is given."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.let = threading.Event()
        self.let.set()
        self.failure: Exception | None = None
        self.stuck: Exception | None = None

    def start(self, spec: MachineSpec) -> None:
        """Wait to be let."""
        self.let.wait(10)
        if self.failure:
            raise self.failure
        super().start(spec)

    def destroy(self, droplet_id: int) -> None:
        """Leave it when the host refuses."""
        if self.stuck:
            raise self.stuck
        super().destroy(droplet_id)


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    """An account in a file."""
    account = Account(tmp_path)
    yield account
    account.close()


def _recorded(account: Account) -> int:
    asked = {"name": "web", "size": "s-1vcpu-1gb", "image": "ubuntu-20-04-x64"}
    account.droplets.settle(SUBNET)
    return account.droplets.create(asked, images({}), lambda _asked, _present: None)[0]


def _made(bodies: Bodies, number: int) -> int:
    """Make a droplet's body, and give its action."""
    work = bodies.begin([number])
    bodies.create(work)
    return work[0].action_id


def test_a_stop_powers_off_what_was_still_being_made(tmp_path: Path, account: Account) -> None:
    """No machine outlives the server."""
    driver = Unwilling(tmp_path)
    bodies = Bodies(account, driver, World(account.clock, FaultBook()))
    driver.let.clear()
    number = _recorded(account)
    _made(bodies, number)
    threading.Timer(0.1, driver.let.set).start()
    bodies.suspend()
    assert MachineState.STOPPED is driver.state(number)
    assert "active" == account.droplets.status(number)


@pytest.mark.parametrize("failure", [DriverError("no"), OSError("disk full")])
def test_a_create_that_fails_is_errored_and_leaves_no_droplet(
    tmp_path: Path, account: Account, failure: Exception
) -> None:
    """As with DigitalOcean: the action is errored, the droplet is 404; also when the host itself refuses."""
    driver = Unwilling(tmp_path)
    driver.failure = failure
    bodies = Bodies(account, driver, World(account.clock, FaultBook()))
    number = _recorded(account)
    action = _made(bodies, number)
    assert "errored" == account.actions.get(action)["status"]
    assert frozenset() == driver.known()
    with pytest.raises(Refusal):
        account.droplets.get(number)
    bodies.suspend()


def test_a_create_cut_off_by_a_crash_is_finished_with_its_action(tmp_path: Path, account: Account) -> None:
    """The action says completed, as the droplet says active."""
    number = _recorded(account)
    action = account.actions.begin("create", number, "nyc3")["id"]
    bodies = Bodies(account, NoneDriver(tmp_path), World(account.clock, FaultBook()))
    bodies.restore()
    assert ("active", "completed") == (account.droplets.status(number), account.actions.get(action)["status"])
    bodies.suspend()


def test_a_create_that_cannot_be_finished_after_a_crash_is_removed(tmp_path: Path, account: Account) -> None:
    """It never was; an active droplet that does not come back is off instead."""
    driver = Unwilling(tmp_path)
    driver.failure = DriverError("no")
    half, whole = _recorded(account), _recorded(account)
    account.droplets.set_status(whole, "active")
    bodies = Bodies(account, driver, World(account.clock, FaultBook()))
    bodies.restore()
    assert ([whole], "off") == (account.droplets.ids(), account.droplets.status(whole))
    assert half not in driver.known()
    bodies.suspend()


def test_only_one_action_at_a_time_is_taken(tmp_path: Path, account: Account) -> None:
    """Of many at once one is begun; the others hear that an event is pending."""
    driver = Unwilling(tmp_path)
    bodies = Bodies(account, driver, World(account.clock, FaultBook()))
    number = _recorded(account)
    _made(bodies, number)
    driver.let.clear()
    begun: list[int] = []
    refused: list[str] = []

    def ask() -> None:
        try:
            begun.append(bodies.act(number, "reboot"))
        except Refusal as refusal:
            refused.append(refusal.message)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    driver.let.set()
    bodies.suspend()
    assert (1, ["Droplet already has a pending event."] * 5) == (len(begun), refused)


def test_what_the_host_will_not_give_up_keeps_no_other_droplet_from_coming_back(
    tmp_path: Path, account: Account
) -> None:
    """A stray that cannot be removed is tried again at the next start."""
    driver = Unwilling(tmp_path)
    number = _recorded(account)
    driver.create(account.droplets.spec(number))
    driver.create(replace(account.droplets.spec(number), droplet_id=7))
    driver.stuck = DriverError("busy")
    account.droplets.set_status(number, "active")
    bodies = Bodies(account, driver, World(account.clock, FaultBook()))
    bodies.restore()
    assert ("active", MachineState.RUNNING) == (account.droplets.status(number), driver.state(number))
    assert 7 in driver.known()
    driver.stuck = None
    bodies.restore()
    assert {number} == driver.known()
    bodies.suspend()


def test_a_droplet_that_could_not_be_destroyed_can_be_asked_for_again(tmp_path: Path, account: Account) -> None:
    """It is neither gone nor busy."""
    driver = Unwilling(tmp_path)
    bodies = Bodies(account, driver, World(account.clock, FaultBook()))
    number = _recorded(account)
    _made(bodies, number)
    driver.stuck = DriverError("busy")
    with pytest.raises(DriverError):
        bodies.destroy(number)
    driver.stuck = None
    bodies.check_free(number)
    bodies.destroy(number)
    assert ([], frozenset()) == (account.droplets.ids(), driver.known())
    bodies.suspend()


def test_droplets_move_where_their_subnet_is_somebody_elses_now(tmp_path: Path, account: Account) -> None:
    """Each gets an address of the new one, with its netmask and gateway; the others keep theirs."""
    numbers = [_recorded(account) for _ in range(2)]
    kept = account.droplets.spec(numbers[0]).address
    assert [] == account.droplets.settle(SUBNET)
    assert numbers == account.droplets.settle(IPv4Network("10.213.7.0/28"))
    shown = [account.droplets.networks(one)["v4"][0] for one in numbers]
    assert ["10.213.7.2", "10.213.7.3"] == [one["ip_address"] for one in shown]
    assert {("255.255.255.240", "10.213.7.1")} == {(one["netmask"], one["gateway"]) for one in shown}
    assert str(kept).startswith("127.64.")


def test_a_delete_while_a_droplet_is_being_made_is_answered_at_once(tmp_path: Path, account: Account) -> None:
    """It hears that an event is pending, and does not wait for the machine; there is no moment before the create's."""
    driver = Unwilling(tmp_path)
    bodies = Bodies(account, driver, World(account.clock, FaultBook()))
    driver.let.clear()
    number = _recorded(account)
    _made(bodies, number)
    with pytest.raises(Refusal, match="pending event"):
        bodies.check_free(number)
    with pytest.raises(Refusal, match="pending event"):
        bodies.act(number, "reboot")
    driver.let.set()
    bodies.suspend()
