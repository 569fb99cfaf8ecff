"""T4 and T5: every call of every command meets error statuses and broken answers, once, a few times and for ever."""

from __future__ import annotations

import random
from typing import Any

import pytest

from campaign import oracle
from campaign.case import Ended
from campaign.conftest import SOAK, Field, record, told

Case = tuple[str, str, int, dict[str, Any]]  # verb, operation, which of its calls, fault
SHARDS = 8
VERBS = ("up", "down", "deploy", "reap")
REFUSED, SPOILT = (1400, 1400) if SOAK else (304, 244)  # with the 60 ways of test_transport 300 of T5 too
STATUSES: tuple[dict[str, Any], ...] = (
    *({"status": status} for status in (400, 401, 403, 404, 408, 409, 410, 412, 422, 423, 425, 429, 499)),
    *({"status": status} for status in (500, 502, 503, 504)),
    {"status": 422, "message": "Droplet already has a pending event."},
    {"status": 422, "message": "Something went wrong, please try again."},
    *({"status": 429, "headers": {"retry-after": seconds}} for seconds in ("2", "45")),
)
BROKEN: tuple[dict[str, Any], ...] = (
    *({"kind": "reset", "effect": effect} for effect in ("before", "after")),
    *({"kind": "silence", "effect": effect} for effect in ("before", "after")),
    *({"kind": kind} for kind in ("truncated", "wrong_length", "html")),
    {"kind": "slow", "bytes_per_second": 4},
    {"kind": "body"},
    {"kind": "body", "text": "{"},
    {"kind": "body", "text": "[]"},
    {"kind": "body", "text": "null"},
    {"kind": "body", "text": '{"droplet": {"id": "x"}, "droplets": {}, "meta": 7}'},
    {"kind": "body", "base64": "//79"},
    {"kind": "body", "text": "[", "repeat": 100_000},
    {"kind": "body", "text": " ", "repeat": 1_000_000},
    {"kind": "html", "status": 502},
    {"kind": "redirect", "location": "http://127.0.0.1:9/steal", "status": 307},
    {"kind": "redirect", "location": "https://127.0.0.1:9/steal", "status": 301},
)


def _cases(ground: Field, faults: tuple[dict[str, Any], ...], count: int) -> list[Case]:
    every = [
        (verb, operation, skip, {"kind": "status", **fault, "times": times, **({"effect": effect} if effect else {})})
        for verb in VERBS
        for operation, skip in ground.calls_of(verb)
        for fault in faults
        for times in ((1, 3) if fault.get("kind") in ("silence", "slow") else (1, 3, None))  # each costs real time
        for effect in ((None,) if "kind" in fault else ("before", "after"))
    ]
    return random.Random(4).sample(every, min(count, len(every)))  # noqa: S311  the same sample every time


def _blind(ground: Field, fault: dict[str, Any]) -> list[str]:
    """Count the creates: an unclear one is never asked for again."""
    creates = [one for one in ground.box.knobs.requests() if one["operation"] == "droplets_create"]
    may = fault.get("status") == 429 or "please try again" in fault.get("message", "")  # it had no effect, it says
    return [] if may or len(creates) <= 1 else [f"{len(creates)} creates were asked for"]


def _told_badly(ended: Ended) -> list[str]:
    """Say what is wrong with the words of an error: one of the right length, that names its phase."""
    lines = ended.output.splitlines()
    at = next((number for number, line in enumerate(lines) if line.startswith("error")), None)
    if at is None:
        return []
    found = [] if lines[at].startswith("error (phase ") else [f"the error names no phase: {lines[at]}"]
    return found + (["the message is longer than a dozen lines"] if len(lines) - at > 12 else [])


def _carried_out(ground: Field, cases: list[Case]) -> dict[str, list[str]]:
    wrong = {}
    for verb, operation, skip, fault in cases:
        place = ground.place()
        ground.prepare(verb, place)
        ground.box.knobs.clear_requests()
        ground.box.knobs.fault(**fault, operation=operation, skip=skip)
        with ground.impatient():
            ended: Ended = getattr(ground, verb)(place)
        found = [] if ended.status in (0, 1, 2) else [f"it ended with {ended.status}: {ended.output[-400:]}"]
        found += _blind(ground, fault)
        found += _told_badly(ended)
        found += oracle.judge(ground.box, place, ended)
        if found:
            wrong[f"{verb}: {operation} #{skip + 1} {fault}"] = found
    return wrong


@pytest.mark.parametrize("shard", range(SHARDS))
def test_statuses(ground: Field, shard: int) -> None:
    """T4: whatever the API answers, nothing is left, and no create is asked for twice."""
    cases = _cases(ground, STATUSES, REFUSED)[shard::SHARDS]
    wrong = _carried_out(ground, cases)
    record("T4 statuses", cases=len(cases), points=len({one[:3] for one in cases}))
    assert not wrong, told(wrong)


@pytest.mark.parametrize("shard", range(SHARDS))
def test_broken_answers(ground: Field, shard: int) -> None:
    """T5: whatever arrives in place of an answer, nothing is left, and no create is asked for twice."""
    cases = _cases(ground, BROKEN, SPOILT)[shard::SHARDS]
    wrong = _carried_out(ground, cases)
    record("T5 broken answers", cases=len(cases), points=len({one[:3] for one in cases}))
    assert not wrong, told(wrong)
