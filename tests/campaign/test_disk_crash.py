"""
T3: the client's machine crashes at every write, and its disk keeps what a file system has promised, and no more.

Every act on the state folder is recorded with what reached the disk; for each prefix and each way of losing what was
not synced, a fresh process finds the folder that such a crash leaves, and the cloud as it was at that moment.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from campaign import disk
from campaign.conftest import SOAK, Field, record, told
from campaign.crash import SCENARIOS, Machine, Ran, State, settled
from campaign.disk import MODELS
from cloudship import durable

SHARDS = 8
AGAIN = 5  # in every fifth case the ship is launched again before it is taken down
_CHOSEN = tuple(name for name, scenario in SCENARIOS.items() if SOAK or scenario.before != "killed")


@pytest.fixture(scope="session")
def machine(field_of_cases: Field) -> Machine:
    """Give a worker a machine."""
    return Machine(field_of_cases, field_of_cases.app)


def _states(machine: Machine) -> list[State]:
    return [state for name in _CHOSEN for state in machine.states(name)]


def test_there_are_as_many_states_as_there_were(ground: Field, machine: Machine) -> None:
    """A recorder that sees fewer writes would prove less."""
    del ground
    states = _states(machine)
    assert len({(one.scenario, one.stop) for one in states}) >= 80
    assert len(states) >= 150
    assert len({one.model.name for one in states}) >= 5


@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_crash_anywhere_leaves_what_a_fresh_process_can_work_with(
    ground: Field, machine: Machine, shard: int
) -> None:
    """`list` and `down`, or another `up`, end well and leave nothing, although listings lag behind the lost launch."""
    del ground
    wrong, cases = {}, _states(machine)[shard :: SHARDS * (1 if SOAK else 3)]
    for number, state in enumerate(cases):
        found = machine.judge(state, again=number % AGAIN == 0)
        if found:
            wrong[str(state)] = found
    record("T3 crash of the client's machine", cases=len(cases), points=len({(s.scenario, s.stop) for s in cases}))
    assert not wrong, told(wrong)


def test_whoever_could_log_in_still_can(ground: Field, machine: Machine) -> None:
    """From the call that names a key, or a host key, on, no crash takes that key from this machine."""
    del ground
    assert [] == _lost_keys(machine.trace("up"))


@pytest.mark.parametrize("name", ["up", "down"])
def test_what_has_ended_is_on_the_disk(ground: Field, machine: Machine, name: str) -> None:
    """A crash after `up` or `down` has ended takes nothing back: keys, pins, configuration, and their removal."""
    del ground
    played = machine.trace(name).played()
    expected = settled(played.left(MODELS[0]))
    assert [] == [model.name for model in MODELS if settled(played.left(model)) != expected]


@pytest.mark.parametrize("broken", ["a file's contents", "a file's name"])
def test_keys_that_are_not_synced_would_be_noticed(ground: Field, tmp_path: Path, broken: str) -> None:
    """Without the sync of a file, or of its folder, there is a crash that locks its user out."""
    mutate = _no_sync_of_files if broken == "a file's contents" else _no_sync_of_folders
    aside = Field(ground.box, ground.app, tmp_path)
    assert [] != _lost_keys(Machine(aside, ground.app, mutate).trace("up"))


def _no_sync_of_files() -> None:
    plain: Callable[[Path, str], None] = durable._write_new

    def unsynced(path: Path, text: str) -> None:
        durable.os.fsync, kept = (lambda _descriptor: None), durable.os.fsync
        try:
            plain(path, text)
        finally:
            durable.os.fsync = kept

    durable._write_new = unsynced


def _no_sync_of_folders() -> None:
    durable._sync_folder = lambda _path: None


def _lost_keys(ran: Ran) -> list[str]:
    """Name every crash after which a key that the droplet lets in, or is known by, is not here any more."""
    return [
        f"{State('up', stop, model)}: {name} is lost"
        for stop in ran.stops()
        for model in MODELS
        for name, text in _needed(ran, disk.marks(ran.prefix(stop)))
        if text not in _files(ran, stop, model).get(name, b"")
    ]


def _needed(ran: Ran, happened: list[str]) -> list[tuple[str, bytes]]:
    """Say what must be in which file after these things happened."""
    early = _files(ran, ran.acts_before("before api POST account/keys/ #1"), MODELS[0])
    temporary = early["known_hosts"].split()[2]
    made = next(one for one in disk.marks(ran.acts) if one.startswith("made ssh")).split()[2].encode()
    needed = []
    if "before api POST account/keys/ #1" in happened:
        needed.append(("id_ed25519", early["id_ed25519"]))
    if "before api POST droplets/ #1" in happened and "after ssh sh -s switch #1" not in happened:
        needed.append(("known_hosts", temporary))
    if "before ssh sh -s switch #1" in happened:
        needed.append(("known_hosts", made))
    return needed


def _files(ran: Ran, stop: int | None, model: disk.Model) -> dict[str, bytes]:
    return {Path(path).name: data or b"" for path, (_, data) in ran.played(stop).left(model).items()}
