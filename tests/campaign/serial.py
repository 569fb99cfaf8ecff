"""Whether what commands at once came to is what they could have come to one after the other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from campaign.case import Ended

STATUSES = frozenset((0, 1, 2))  # of commands that nobody interrupts
_HELD = re.compile(
    r"its launch by \w+ since \d{4}|is being (launched|taken down|given more time) "
    r"(on this machine by process \d+ of \w+,|by \w+) since \d{4}-\d\d-\d\d"
)
_TAKEN = re.compile(r"was taken down from elsewhere|[Dd]roplet \d+ is gone")
_NO_SHIP = re.compile(r"There is no ship |This machine cannot log in to ")
_ENDED = re.compile(r"has ended: its time was over at \d{4}-")
_EXISTS = re.compile(r"is already running at \S+: \w+'s, launched at \d{4}-")


def judged(verbs: Sequence[str], ended: Sequence[Ended], *, before: int, after: int, together: bool) -> list[str]:
    """
    Say what is wrong with how commands at once ended; empty when nothing is.

    Args:
        verbs: what was done at once.
        ended: how each ended.
        before: how many droplets of the ship there were; its time was over.
        after: how many there are.
        together: whether all of it was on one machine, where nobody looks at a ship while another changes it.
    """
    wrong = [
        f"{verb} ended with {one.status}, and said nothing of who or why: {one.output[-500:]}"
        for verb, one in zip(verbs, ended, strict=True)
        if one.status not in STATUSES or not _explained(verb, one)
    ]
    wrong += [f"{verb} showed a traceback" for verb, one in zip(verbs, ended, strict=True) if "Traceback" in one.output]
    if after > 1:
        wrong.append(f"there are {after} droplets")
    statuses = [one.status for one in ended]
    if not is_serial(tuple(zip(verbs, statuses, strict=True)), before, after):
        wrong.append(f"in no order {[*verbs]} end with {statuses} and lead from {before} to {after} droplets")
    extended = ("extend", 0) in zip(verbs, statuses, strict=True)
    if extended and together and "down" not in verbs and after == 0:
        wrong.append("it was given more time, and reaped")
    if set(verbs) <= {"up", "list"} and "up" in verbs and before == 0 and (after, statuses.count(0)) == (0, 0):
        wrong.append("nobody won")
    return wrong


def _explained(verb: str, ended: Ended) -> bool:
    """Whether somebody who lost was told: who is at it and since when, or what became of the ship."""
    if ended.status == 0:
        return True
    if ended.status == 2:
        known = {"up": (_EXISTS, _ENDED), "deploy": (_ENDED,)}.get(verb, ())
        return any(one.search(ended.output) for one in known)
    patterns = (_HELD, _TAKEN, *((_NO_SHIP,) if verb in ("deploy", "extend") else ()))
    return any(one.search(ended.output) for one in patterns)


def is_serial(acts: tuple[tuple[str, int], ...], before: int, after: int) -> bool:
    """Whether there is an order in which acts, each with its exit status, lead from a number of droplets to another."""

    @cache
    def leads(done: int, there: int) -> bool:
        if done == (1 << len(acts)) - 1:
            return min(there, 1) == after
        return any(
            leads(done | 1 << number, then)
            for number, (verb, status) in enumerate(acts)
            if not done >> number & 1
            for then in _after(verb, status, there)
        )

    return leads(0, before)


def _after(verb: str, status: int, there: int) -> tuple[int, ...]:
    """Say what an act makes of no ship, one whose time is over (1) or one that lives (2), where it ends so."""
    if status == 1:
        return (there,)  # it lost, and changed nothing
    lawful = {
        "up": ((0, 0, 2), (2, 1, 1), (2, 2, 2)),
        "down": ((0, 0, 0), (0, 1, 0), (0, 2, 0)),
        "reap": ((0, 0, 0), (0, 1, 0), (0, 1, 1), (0, 2, 2)),  # it stays where somebody else is at it
        "deploy": ((0, 2, 2), (2, 1, 1)),
        "extend": ((0, 1, 2), (0, 2, 2)),
        "list": ((0, 0, 0), (0, 1, 1), (0, 2, 2)),
    }
    return tuple(then for ends, was, then in lawful[verb] if (ends, was) == (status, there))
