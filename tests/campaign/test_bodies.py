"""T7, the bodies: whatever one thing in an answer becomes, nothing is left, and nobody sees a traceback."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from campaign import oracle
from campaign.case import Ended
from campaign.conftest import SOAK, Field, not_one_ship, record, told
from campaign.mutation import changing_answers
from cloudship import tags

SHARDS, BODIES = 8, 4000 if SOAK else 2000
MAKING = ("up", "up", "down", "reap")  # each with a ship of its own
ASKING = ("list", "show", "extend", "reap --dry-run")  # all of them about one that stays
VERBS = (*MAKING, *(ASKING * 7)[:27])  # of so many cases in a row; a case of these takes a tenth of the time


def _verb(number: int) -> str:
    """Say whose answers a case changes."""
    return VERBS[number // SHARDS % len(VERBS)]


def _words(ground: Field, verb: str) -> list[str]:
    if verb in ("show", "reap --dry-run"):
        return [*verb.split(), *([ground.ship] if verb == "show" else []), "--json", "--cloud", "local"]
    return ground.words(verb)


def _ask(ground: Field, verb: str, number: int, calls: int, place: Path) -> Ended:
    """Run a verb, one of whose answers is changed, or all from one on."""
    luck = random.Random(number)  # noqa: S311  the same cases every time
    at, times = luck.randrange(calls), luck.choice([1, 1, None])
    return ground.do(_words(ground, verb), place, changing_answers(at, times, luck), later=verb == "reap")


def _calls(ground: Field, verb: str, place: Path) -> int:
    """Count the answers of a verb about the ship that is there, when nothing is done to them."""
    ground.box.knobs.clear_requests()
    ended = ground.do(_words(ground, verb), place, lambda: None)
    assert ended.status == 0, ended.output
    return len(ground.box.knobs.requests())


def _wrong(ended: Ended) -> list[str]:
    found = [] if ended.status in (0, 1, 2) else [f"it ended with {ended.status}: {ended.output[-400:]}"]
    found += [f"a traceback: {ended.output[-600:]}"] if "Traceback (most" in ended.output else []
    found += [f"unforeseen: {ended.output[-400:]}"] if "did not foresee" in ended.output else []
    return found


@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_command_that_changes_something_reads_changed_bodies(ground: Field, shard: int) -> None:
    """A launch, a teardown, a sweep: after `down` the account is what it was."""
    statuses, wrong, calls = set(), {}, {verb: len(ground.calls_of(verb)) for verb in MAKING}
    numbers = [one for one in range(shard, BODIES, SHARDS) if _verb(one) in MAKING]
    for number in numbers:
        verb, place = _verb(number), ground.place()
        ground.prepare(verb, place)
        ended = _ask(ground, verb, number, calls[verb], place)
        statuses.add(ended.status)
        if found := _wrong(ended) + oracle.judge(ground.box, place, ended):
            wrong[f"{verb}, case {number}"] = [*found, ended.output[-300:]]
    record("T7 changed bodies", cases=len(numbers), points=sum(calls.values()))
    assert not wrong, told(wrong)
    assert statuses >= {0, 1}, "some changes matter, and some do not"


def _endless(ground: Field) -> list[str]:
    """Say so where the ship has lost its end."""
    before = {one for one, _, _ in ground.box.baseline.droplets}
    ours = [tags.of(one) for one in ground.box.client.droplets() if one.id not in before]
    return [] if all(one is not None and one.expires for one in ours) else ["the ship has no end any more"]


@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_command_that_asks_reads_changed_bodies(ground: Field, shard: int) -> None:
    """A listing, a look, more time, a sweep that only tells: the ship stays, with an end, and no other object goes."""
    place = ground.place()
    launched = ground.up(place, None, "--ttl", "1h")
    assert launched.status == 0, launched.output
    statuses, wrong, calls = set(), {}, {verb: _calls(ground, verb, place) for verb in ASKING}
    numbers = [one for one in range(shard, BODIES, SHARDS) if _verb(one) in ASKING]
    for number in numbers:
        verb = _verb(number)
        ended = _ask(ground, verb, number, calls[verb], place)
        statuses.add(ended.status)
        if found := _wrong(ended) + not_one_ship(ground) + _endless(ground):
            wrong[f"{verb}, case {number}"] = [*found, ended.output[-300:]]
    record("T7 changed bodies", cases=len(numbers), points=sum(calls.values()))
    left = oracle.judge(ground.box, place, launched)
    assert not wrong, told(wrong)
    assert [] == left
    assert statuses >= {0, 1}, "some changes matter, and some do not"
