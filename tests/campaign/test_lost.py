"""T6: the answer to a create is lost, in every way, while listings lag: exactly one droplet, and none after `down`."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from campaign import oracle
from campaign.cloudbox import SHIP
from campaign.conftest import Field, record, told
from campaign.points import Point
from cloudship import tags

LOSSES: dict[str, dict[str, Any] | None] = {
    "reset": {"kind": "reset", "effect": "after"},
    "timeout": {"kind": "silence", "effect": "after"},
    "500": {"kind": "status", "status": 500, "effect": "after"},
    "502": {"kind": "status", "status": 502, "effect": "after"},
    "truncated": {"kind": "truncated"},
    "killed": None,
}
LAGS = (0, 1, 10, 60)  # seconds
KINDS = ("droplets_create", "sshKeys_create")
CASES = tuple(itertools.product(LOSSES, LAGS, (False, True), KINDS))


@pytest.mark.parametrize("shard", range(8))
def test_lost_answers(ground: Field, shard: int) -> None:
    """The launch finds what it made and goes on, or, where it was killed, `down` finds it."""
    wrong = {}
    cases = CASES[shard::8]
    for loss, lag, name_too, operation in cases:
        place = ground.place()
        fault = LOSSES[loss]
        if fault is not None:
            ground.box.knobs.fault(**fault, operation=operation)
        if lag:
            _lag(ground, operation, lag, name_too=name_too)
        with ground.impatient():
            ended = ground.up(place, _killed_after(operation) if fault is None else None)
        found = _exactly_one(ground, lag) if fault is not None else []
        if fault is not None and ended.status != 0:
            found.append(f"up ended with {ended.status}: {ended.output[-500:]}")
        found += oracle.judge(ground.box, place, ended)
        if found:
            wrong[f"{loss}, lag {lag} s, by name too: {name_too}, {operation}"] = found
    record("T6 lost answers", cases=len(cases), points=len(cases))
    assert not wrong, told(wrong)


def _lag(ground: Field, operation: str, seconds: int, *, name_too: bool) -> None:
    if operation == "sshKeys_create":
        ground.box.knobs.fault("listing_lag", resource="keys", seconds=seconds)
    else:
        ground.box.knobs.fault("listing_lag", seconds=seconds, by="all" if name_too else "tag")


def _killed_after(operation: str) -> Callable[[Point], None]:
    path = "droplets/" if operation == "droplets_create" else "account/keys/"

    def act(here: Point) -> None:
        if here == Point(f"api POST {path}", 1, "after"):
            os.kill(os.getpid(), signal.SIGKILL)

    return act


def _exactly_one(ground: Field, lag: int) -> list[str]:
    ground.box.knobs.advance(lag + 1)
    now = ground.box.account().droplets - ground.box.baseline.droplets
    ours = [one for _, _, carried in now if (one := tags.read(carried)) and one.name == SHIP]
    return [] if len(now) == len(ours) == 1 else [f"{len(now)} droplets are there"]
