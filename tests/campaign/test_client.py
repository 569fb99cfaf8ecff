"""
T9: the machine on which the command line runs is not as it should be.

No home, no git, no ssh, hostile configuration, closed and full streams, few files; a state folder that is read-only, a
link, deleted, or whose files have turned bits, are cut, somebody else's, another kind of thing; a full disk; a laptop
that sleeps. Nothing foreign is touched, no library's traceback is shown, errors are short and say what to do, files are
private, and once the condition is over `down` leaves nothing.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from itertools import product

import pytest

from campaign import oracle, privileges, spoiled
from campaign.client import VERBS, Client, told_well
from campaign.conditions import CONDITIONS, Condition
from campaign.conftest import SOAK, Field, record, told

SHARDS = 4
FLIPS = 200 if SOAK else 24
SLEEPS = 120 if SOAK else 8
_ROOM = [f"{count} pages" for count in range(12)] + [f"{count} files" for count in range(2, 14)]
Judged = Callable[[Client], list[str]]


def _turned(items: list[str], at: int) -> list[str]:
    """Take all of some verbs in the long campaign, else one of them, another one each time."""
    return items if SOAK else [items[at % len(items)]]


def _conditions() -> dict[str, Judged]:
    return {
        f"{condition.name}: {verb}": lambda client, condition=condition, verb=verb: client.judge(condition, verb)
        for at, condition in enumerate(CONDITIONS)
        for verb in _turned([*VERBS], at)
    }


def _spoilings() -> dict[str, Judged]:
    every = list(spoiled.spoilings(FLIPS))
    chosen = every if SOAK else random.Random(9).sample(every, 20)  # noqa: S311  the same sample every time
    return {
        f"{spoiling}: {verb}": lambda client, spoiling=spoiling, verb=verb: client.judge_spoiled(spoiling, verb)
        for at, spoiling in enumerate(chosen)
        for verb in ([*VERBS] if SOAK and "turned" not in spoiling.way else [VERBS[at % len(VERBS)]])
    }


def _sleeps(ground: Field) -> dict[str, Judged]:
    every = [(verb, point) for verb in ("up", "deploy", "down") for point in ground.trace(verb)]
    chosen = every[:: max(1, len(every) * 2 // SLEEPS)]
    return {
        f"asleep {verb} {point}, the clock {'goes on' if counts else 'stops'}": (
            lambda client, verb=verb, point=point, counts=counts: client.judge_asleep(verb, point, counts=counts)
        )
        for (verb, point), counts in product(chosen, (True, False))
    }


def _judged(ground: Field, name: str, cases: dict[str, Judged]) -> dict[str, list[str]]:
    client = Client(ground)
    record(f"T9 {name}", cases=len(cases), points=len(cases))
    return {case: found for case, judge in cases.items() if (found := judge(client))}


def _share(cases: dict[str, Judged], shard: int) -> dict[str, Judged]:
    return dict([*cases.items()][shard::SHARDS])


def test_there_are_as_many_cases_as_there_were() -> None:
    """A campaign that has lost its conditions would pass and prove nothing."""
    assert len(CONDITIONS) >= 38
    assert len(list(spoiled.spoilings(200))) >= 260
    assert len(_conditions()) >= 38
    assert len(_spoilings()) >= 20


@pytest.mark.parametrize("shard", range(SHARDS))
def test_the_machine_is_not_as_it_should_be(ground: Field, shard: int) -> None:
    """Each verb does what it can, or says what is wrong and how to mend it."""
    wrong = _judged(ground, "conditions of the machine", _share(_conditions(), shard))
    assert not wrong, told(wrong)


@pytest.mark.parametrize("shard", range(SHARDS))
def test_the_state_is_spoiled(ground: Field, shard: int) -> None:
    """Ships are found without it, nothing foreign is touched, and `down` copes or says what lies there."""
    wrong = _judged(ground, "spoiled state", _share(_spoilings(), shard))
    assert not wrong, told(wrong)


@pytest.mark.parametrize("shard", range(SHARDS))
def test_the_laptop_sleeps(ground: Field, shard: int) -> None:
    """An hour in the middle of a command: it comes to its end, or takes back what it began."""
    wrong = _judged(ground, "a sleeping laptop", _share(_sleeps(ground), shard))
    assert not wrong, told(wrong)


def test_the_disk_is_full(ground: Field) -> None:
    """At each page and each file that is written: nothing is made whose record has no room."""
    cases = {f"{verb}, room for {room}": (verb, room) for verb in ("up", "deploy", "down") for room in _ROOM}
    chosen = cases if SOAK else dict([*cases.items()][4::11])  # with `down` on a disk without any room

    def work() -> dict[str, list[str]]:
        client = Client(replace(ground, folder=ground.folder / "full"))
        return {name: found for name, words in chosen.items() if (found := client.judge_full(*words))}

    (ground.folder / "full").mkdir()
    wrong = privileges.with_own_mounts(work)
    record("T9 a full disk", cases=len(chosen), points=len(chosen))
    assert not wrong, told(wrong)


def test_two_state_folders_of_one_project(ground: Field) -> None:
    """A ship is everybody's who has the token: listed and taken down from the other one, deployed to from its own."""
    client = Client(ground)
    place = client.prepared("list")
    other = Condition("the other one", environ={"CLOUDSHIP_STATE_DIR": str(place / "other")})
    ended = {verb: client.run(verb, place, other) for verb in VERBS}
    assert {"up": 2, "deploy": 1, "list": 0, "down": 0} == {verb: one.status for verb, one in ended.items()}
    assert "holds no key" in ended["deploy"].output
    assert [] == oracle.difference(ground.box)
    assert [] == client.settled(place, ended["down"])
    record("T9 conditions of the machine", cases=len(VERBS), points=1)


def test_without_ssh_nobody_logs_in(ground: Field) -> None:
    """The two verbs that go on as that program say what to install; `run` keeps the small numbers for its command."""
    client = Client(ground)
    place = client.prepared("list")
    condition = next(one for one in CONDITIONS if one.name == "no ssh")
    condition.spoil(place)
    for verb, more, status in (("ssh", (), 2), ("run", ("--", "true"), 255)):
        ended = client.say([verb, ground.ship, "--cloud", "local", *more], place, condition)
        assert status == ended.status, ended.output
        assert [] == told_well(replace(ended, status=2))
        assert condition.says in ended.output
    assert [] == client.settled(place, ended)
    record("T9 conditions of the machine", cases=2, points=1)


def test_a_client_that_breaks_a_rule_would_be_noticed(ground: Field) -> None:
    """An error that nobody foresaw, files that others can read, and a program of somebody else's each are."""
    client = Client(ground)

    def stumble(_place: object) -> None:
        from cloudship import reach

        reach.asked = lambda *_rest, **_more: 1 // 0  # type: ignore[assignment]

    assert any("did not foresee" in one for one in client.judge(Condition("stumbling", stumble), "list"))
    public = Condition("public", spoil=lambda place: (place / "state").chmod(0o755))
    assert any("open to others" in one for one in client.judge(public, "list"))
    ran = Condition("ran", spoil=lambda place: (place / "ran").touch())
    assert any("was run" in one for one in client.judge(ran, "list"))
