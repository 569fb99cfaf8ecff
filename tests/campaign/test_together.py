"""T10: commands at one ship at once, stopped at everything that changes something, in orders that are generated."""

from __future__ import annotations

import dataclasses
import itertools
import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from campaign import oracle, schedule, serial
from campaign.anchored import HOUR, Anchored
from campaign.case import Ended
from campaign.conftest import SOAK, Field, record, told
from campaign.schedule import Command, Preempted, Shuffled
from cloudship import rivals, tags
from cloudship.models import Droplet
from cloudship.plan import Plan

SHARDS = 8
PAIRS, CROWDS = (3000, 400) if SOAK else (490, 12)
VERBS = ("up", "down", "deploy", "extend", "reap", "list")
YARD = "yard"  # nothing foreign carries its tag: whoever takes that away at the wrong moment takes it from a ship
MOST_STEPS, PREEMPTIONS = 36, 3
LAGS = (0, 0, 0, 10, 60)  # seconds


@dataclass(frozen=True)
class Case:
    """Commands at once."""

    number: int
    verbs: tuple[str, ...]
    machines: tuple[int, ...]  # on which machine each runs
    ship: bool  # whether there is one before, whose time is over
    lag: int = 0  # seconds until a listing shows a droplet that was made

    def __str__(self) -> str:
        where = ", ".join(f"{verb} on machine {place}" for verb, place in zip(self.verbs, self.machines, strict=True))
        return f"#{self.number} {where}, {'a ship' if self.ship else 'none'} before, lag {self.lag} s"

    def order(self) -> schedule.Order:
        """Say in which order they move: with few pre-emptions, or of more than two in any."""
        dice = random.Random(self.number)  # noqa: S311  the same every time
        if len(self.verbs) > 2 or self.number % 10 == 9:
            return Shuffled(self.number)
        runs = [dice.randrange(MOST_STEPS) for _ in range(dice.randrange(PREEMPTIONS + 1))]
        return Preempted(dice.randrange(2), runs, yielding=dice.random() < 0.5)


def _pairs() -> list[Case]:
    """Take every pair of verbs, on one machine and on two, with and without a ship, in turn."""
    kinds = [
        (pair, machines, ship)
        for pair in itertools.combinations_with_replacement(VERBS, 2)
        for machines in ((0, 0), (0, 1))
        for ship in (False, True)
        if pair != ("list", "list")
    ]
    return [Case(number, *kinds[number % len(kinds)], lag=LAGS[number // 3 % len(LAGS)]) for number in range(PAIRS)]


def _crowds() -> list[Case]:
    """Take four and eight at once, on up to three machines."""
    dice, found = random.Random(10), []  # noqa: S311  the same every time
    for number in range(CROWDS):
        size = (4, 8)[number % 2]
        verbs = tuple(dice.choice(VERBS) for _ in range(size))
        found.append(Case(number, verbs, tuple(dice.randrange(3) for _ in verbs), ship=dice.random() < 0.5))
    return found


@pytest.fixture(scope="module")
def anchored(field_of_cases: Field) -> Anchored:
    """Launch such a ship once for all cases of a worker."""
    return Anchored(dataclasses.replace(field_of_cases, ship=YARD, folder=field_of_cases.place()), ends=True)


@pytest.fixture
def yard(ground: Field) -> Iterator[Field]:
    """Give the field with a ship of another name."""
    return dataclasses.replace(ground, ship=YARD, folder=ground.place())


@pytest.mark.parametrize("shard", range(SHARDS))
def test_two_at_once_end_as_one_after_the_other(yard: Field, anchored: Anchored, shard: int) -> None:
    """One ship or none, as in some order of the two; who loses says who won, since when; and `down` leaves nothing."""
    cases = _pairs()[shard::SHARDS]
    wrong = {str(one): found for one in cases if (found := _found(yard, anchored, one))}
    record("T10 two at once", cases=len(cases), points=len(cases))
    assert not wrong, told(wrong)


@pytest.mark.parametrize("shard", range(4))
def test_a_crowd_ends_as_one_after_the_other(yard: Field, anchored: Anchored, shard: int) -> None:
    """The same of four and of eight, on three machines."""
    cases = _crowds()[shard::4]
    wrong = {str(one): found for one in cases if (found := _found(yard, anchored, one))}
    record("T10 four and eight at once", cases=len(cases), points=len(cases))
    assert not wrong, told(wrong)


def _highest_wins() -> None:
    def compared(plan: Plan, droplet: Droplet, others: tuple[Droplet, ...]) -> None:
        plain(plan, _turned(droplet), tuple(_turned(one) for one in others))

    plain = rivals._compared
    rivals._compared = compared


def _turned(droplet: Droplet) -> Droplet:
    return droplet.model_copy(update={"id": -droplet.id})


def _looks_once() -> None:
    assert callable(rivals.give_way_at_last)
    rivals.give_way_at_last = lambda *_rest: None


@pytest.mark.parametrize("mutate", [_highest_wins, _looks_once])
def test_a_broken_rule_of_rivals_is_noticed(yard: Field, anchored: Anchored, mutate: Callable[[], None]) -> None:
    """Whoever lets the later of two droplets win, or looks for rivals only once, ends with two ships some time."""
    cases = [Case(number, ("up", "up"), (0, 1), ship=False, lag=LAGS[number % len(LAGS)]) for number in range(100)]
    assert any(_found(yard, anchored, one, mutate) for one in cases)
    record("mutants", cases=1, points=1)


def _found(yard: Field, anchored: Anchored, one: Case, mutate: Callable[[], None] = lambda: None) -> list[str]:
    place = yard.place()
    places = [place / f"machine-{number}" for number in range(max(one.machines) + 1)]
    if one.ship:
        anchored.again(yard, places[_home(one)])
    if one.lag:
        yard.box.knobs.fault("listing_lag", seconds=one.lag, by="all" if one.number % 2 else "tag")
    commands = [
        Command(tuple(yard.words(verb)), yard.environment(places[machine]))
        for verb, machine in zip(one.verbs, one.machines, strict=True)
    ]
    ahead = yard.box.knobs.time() - time.time()
    ended = schedule.together(
        yard.box.knobs, commands, one.order(), ahead=ahead, mutate=mutate, reads=one.number % 4 == 3
    )
    yard.box.knobs.advance(one.lag)
    together = len(set(one.machines)) == 1
    wrong = serial.judged(one.verbs, ended, before=int(one.ship), after=_droplets(yard), together=together)
    wrong += _lists(one.verbs, ended)
    if "extend" in one.verbs and not together:
        _let_it_end(yard, place)
    return wrong + _left(yard, places, ended)


def _let_it_end(yard: Field, place: Path) -> None:
    """
    Sweep once its time is over: the tag of an end that was given between a teardown's last look and its delete.

    Nobody can know before that no droplet is about to carry it.
    """
    yard.box.knobs.advance(6 * HOUR)
    swept = yard.run(["reap"], place)
    assert swept.status == 0, swept.output


def _home(one: Case) -> int:
    """Launch the ship before where it is deployed to from: nobody else can log in."""
    return next((machine for verb, machine in zip(one.verbs, one.machines, strict=True) if verb == "deploy"), 0)


def _droplets(yard: Field) -> int:
    """Count the droplets of the ship, and of its name with tags that were taken away."""
    now = yard.box.account().droplets - yard.box.baseline.droplets
    return sum(
        found is not None and found.name == YARD for _, name, _ in now if (found := tags.read_droplet_name(name))
    )


def _lists(verbs: Sequence[str], ended: Sequence[Ended]) -> list[str]:
    """Say what is wrong with what `list` printed: it shows a ship once, and others whole."""
    wrong = []
    for verb, one in zip(verbs, ended, strict=True):
        if verb == "list" and one.status == 0:
            names = [ship["name"] for ship in json.loads(one.output[one.output.index("[") :])]
            wrong += [] if names.count(YARD) <= 2 and names.count("web2") == 1 else [f"list shows {names}"]
    return wrong


def _left(yard: Field, places: Sequence[Path], ended: Sequence[Ended]) -> list[str]:
    """Take the ship down from every machine that has something of it; then nothing of it may be there."""
    output, words = "".join(one.output for one in ended), "".join(one.words for one in ended)
    whole = Ended(0, output, 0.0, words)
    used = [place for place in places if list((place / "state").rglob("id_ed25519"))]
    return [text for place in used or places[:1] for text in oracle.judge(yard.box, place, whole, YARD)]
