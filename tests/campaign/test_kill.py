"""T1: killed at every point of a command, nothing is left, and the next command makes good what was begun."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from campaign import oracle
from campaign.conftest import SOAK, Field, not_one_ship, record, told
from campaign.points import Point, kill_at

SHARDS = 8
VERBS = ("up", "down", "deploy", "reap")


def _points(ground: Field) -> list[tuple[str, Point]]:
    return [(verb, point) for verb in VERBS for point in ground.trace(verb)]


def test_there_are_as_many_points_as_there_were(ground: Field) -> None:
    """A campaign that has lost its points would pass and prove nothing."""
    found = _points(ground)
    assert len(found) >= 200
    assert {"api POST droplets/", "journal intent droplet", "git push"} <= {one.boundary for _, one in found}
    for verb, least in (("up", 110), ("down", 34), ("deploy", 14), ("reap", 50)):
        assert len(ground.trace(verb)) >= least, verb


@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_kill_anywhere_leaves_nothing_after_down(ground: Field, shard: int) -> None:
    """SIGKILL; a deploy and a sweep are then done once more, and come to their end; then `down`."""
    wrong = {}
    cases = _points(ground)[shard::SHARDS]
    for verb, point in cases:
        place = ground.place()
        ground.prepare(verb, place)
        ended = getattr(ground, verb)(place, kill_at(point, signal.SIGKILL))
        found = _done_again(ground, verb, place)
        found += oracle.judge(ground.box, place, ended)
        if ended.status != -signal.SIGKILL:
            found.append(f"it was not killed, but ended with {ended.status}: {ended.output[-300:]}")
        if found:
            wrong[f"{verb} {point}"] = found
    record("T1 kill, then down", cases=len(cases), points=len(cases))
    assert not wrong, told(wrong)


def _done_again(ground: Field, verb: str, place: Path) -> list[str]:
    """Say what is wrong when a deploy or a sweep that was killed is done once more."""
    if verb not in ("deploy", "reap"):
        return []
    found = not_one_ship(ground) if verb == "deploy" else []
    again = getattr(ground, verb)(place)
    found += [] if again.status == 0 else [f"{verb} ended with {again.status}: {again.output[-600:]}"]
    return found + (not_one_ship(ground) if verb == "deploy" else oracle.difference(ground.box))


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


@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_launch_killed_anywhere_is_taken_down_from_another_machine_before_it_is_listed(
    ground: Field, shard: int
) -> None:
    """As when a pull request is closed whose job is cancelled: nothing is there any more when the listings show it."""
    wrong, cases = {}, ground.trace("up")[shard :: SHARDS * (1 if SOAK else 4)]
    for point in cases:
        place, elsewhere = ground.place(), ground.place()
        ground.box.knobs.fault("listing_lag", seconds=60)
        ended = ground.up(place, kill_at(point, signal.SIGKILL))
        down = ground.down(elsewhere)
        ground.box.knobs.clear_faults()
        ground.box.knobs.advance(120)
        found = [] if down.status == 0 else [f"down ended with {down.status}: {down.output[-600:]}"]
        found += oracle.difference(ground.box)
        found += oracle.judge(ground.box, place, ended)
        if found:
            wrong[str(point)] = found
    record("T1 kill, then down elsewhere", cases=len(cases), points=len(cases))
    assert not wrong, told(wrong)
