"""T1: killed at every point of `up` and of `down`, nothing is left, and the next launch makes exactly one ship."""

from __future__ import annotations

import signal

import pytest

from campaign import oracle
from campaign.conftest import Field, not_one_ship, record, told
from campaign.points import Point, kill_at

SHARDS = 8


def _points(ground: Field) -> list[tuple[str, Point]]:
    return [(verb, point) for verb in ("up", "down") for point in ground.trace(verb)]


def test_there_are_as_many_points_as_there_were(ground: Field) -> None:
    """A campaign that has lost its points would pass and prove nothing."""
    found = _points(ground)
    assert len(found) >= 100
    assert {"api POST droplets/", "journal intent droplet", "git push"} <= {one.boundary for _, one in found}


@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_kill_anywhere_leaves_nothing_after_down(ground: Field, shard: int) -> None:
    """SIGKILL, then `down` from a process that has seen nothing."""
    wrong = {}
    cases = _points(ground)[shard::SHARDS]
    for verb, point in cases:
        place = ground.place()
        if verb == "down":
            assert ground.up(place).status == 0
        ended = getattr(ground, verb)(place, kill_at(point, signal.SIGKILL))
        found = oracle.judge(ground.box, place, ended)
        if ended.status != -signal.SIGKILL:
            found.append(f"it was not killed, but ended with {ended.status}: {ended.output[-300:]}")
        if found:
            wrong[f"{verb} {point}"] = found
    record("T1 kill, then down", cases=len(cases), points=len(cases))
    assert not wrong, told(wrong)


@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_launch_after_a_kill_anywhere_makes_exactly_one_ship(ground: Field, shard: int) -> None:
    """SIGKILL, then `up` again: it replaces what the dead launch left, or says that the ship is already there."""
    wrong = {}
    cases = ground.trace("up")[shard::SHARDS]
    for point in cases:
        place = ground.place()
        ground.up(place, kill_at(point, signal.SIGKILL))
        again = ground.up(place)
        found = not_one_ship(ground)
        if again.status != 0 and "is already running" not in again.output:
            found.append(f"up ended with {again.status}: {again.output[-600:]}")
        found += oracle.judge(ground.box, place, again)
        if found:
            wrong[str(point)] = found
    record("T1 kill, then up", cases=len(cases), points=len(cases))
    assert not wrong, told(wrong)
