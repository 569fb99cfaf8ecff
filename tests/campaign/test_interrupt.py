"""T2: SIGINT once, SIGINT twice and SIGTERM at points of a launch: once leaves nothing, twice ends at once."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable

import pytest

from campaign import oracle
from campaign.conftest import SOAK, Field, record, told
from campaign.points import Point, kill_at

SHARDS, CASES = 8, 850 if SOAK else 200
WAYS = ("once", "twice", "terminated")
STATUS = {"once": 130, "twice": 130, "terminated": 143}
SECONDS = 4.0  # of a whole case; the second signal may take two of them


def _cases(ground: Field) -> list[tuple[str, Point]]:
    every = [(way, point) for way in WAYS for point in ground.trace("up")]
    return random.Random(2).sample(every, min(CASES, len(every)))  # noqa: S311  the same sample every time


def _twice(point: Point) -> Callable[[Point], None]:
    """Send the first signal at a point, and the second at the next boundary after it."""
    sent: list[Point] = []

    def act(here: Point) -> None:
        if here == point or len(sent) == 1:
            sent.append(here)
            os.kill(os.getpid(), signal.SIGINT)

    return act


@pytest.mark.parametrize("shard", range(SHARDS))
def test_interrupts(ground: Field, shard: int) -> None:
    """Exit status and time are right, nothing is left after one, and after two `down` clears what is."""
    wrong = {}
    cases = _cases(ground)[shard::SHARDS]
    for way, point in cases:
        place = ground.place()
        number = signal.SIGTERM if way == "terminated" else signal.SIGINT
        ended = ground.up(place, _twice(point) if way == "twice" else kill_at(point, number))
        found = [] if ended.status == STATUS[way] else [f"it ended with {ended.status}: {ended.output[-400:]}"]
        if way != "twice":
            found += oracle.difference(ground.box)
        if ended.seconds > SECONDS:
            found.append(f"it took {ended.seconds:.1f} s")
        found += oracle.judge(ground.box, place, ended)
        if found:
            wrong[f"{way} {point}"] = found
    record("T2 interrupts", cases=len(cases), points=len({str(point) for _, point in cases}))
    assert not wrong, told(wrong)
