"""
After a switch, in a process of its own that no push waits for: workers and timers follow, the first seconds are
watched, the old release drains and stops, and what nobody needs is removed.

It is started before the switch and waits for the lock, so it also cleans up after a release program that was killed.
"""

from __future__ import annotations

import shutil
import time
from contextlib import contextmanager
from typing import Callable, Iterator, Optional

from droplet import builds, command, environment, formation, golive, lock, records, unit, watching
from droplet.journal import Journal, StageError
from droplet.layout import Config, Layout
from droplet.process import Processes
from droplet.records import Record

KEPT = 5  # good releases, the live one among them
FAILED_KEPT = 3  # failed ones, for a look
LOW = 0.1  # of the disk: from there on failed releases keep their log only
LEAST = 64 << 20  # bytes that a release needs at least
_TRASH = ".trash-"
_LOOK = 0.25  # seconds between two looks
_SEARCH = 1.0  # seconds between two searches of the system's journal, each of which takes longer than all else here
_END = 5.0  # seconds that a process has to end, before it is helped
_LAST = 35.0  # seconds until systemd has ended any: its `TimeoutStopSec`, and a moment

Say = Callable[[str], None]


def settle(config: Config, number: int, before: Optional[int], action: str) -> None:
    """Look after a switch from one release to another."""
    layout = config.layout
    journal = Journal(layout.release(number) / "log.jsonl")
    if before is None:
        command.output(golive.sync(layout, number))
    if before is None or before == number or not layout.release(before).is_dir():
        _follow(layout, number, action)
        return
    with lock.settling(layout, before):
        log = watching.Log()
        _follow(layout, number, action)
        watched = Record.load(layout, number).watch if action != "rollback" else 0.0
        reason = _watch(layout, number, before, log, watched)
        log.close()
        if reason:
            _go_back(layout, number, before, reason, journal)
        else:
            _retire(layout, before, Record.load(layout, number).drain, journal)
    with lock.settling(layout, number), _alone(layout), journal.stage("clean"):
        clean(layout)


@contextmanager
def _alone(layout: Layout) -> Iterator[lock.Lock]:
    """Keep others waiting, and not for ever: what we stand back for may never leave a core."""
    with lock.alone(layout) as held, builds.patient(lambda: builds.step_forward(builds.NICE_SOON)):
        yield held


def _follow(layout: Layout, number: int, action: str) -> None:
    with _alone(layout):
        if layout.live() == number and action in golive.KEEPS_VALUES:
            golive.keep_values(layout, number)
        formation.converge(layout)
        clean(layout)


def _watch(layout: Layout, number: int, before: int, log: watching.Log, limit: float) -> Optional[str]:
    """Look at a release's first seconds, and say why it is to go back; None: it stays, or it is not live any more."""
    deadline, earlier, began = time.monotonic() + limit, log.before(before), time.time()
    has_web, due = bool(Processes.load(layout.release(number)).web), time.monotonic() + _SEARCH
    while limit and layout.live() == number:
        over = time.monotonic() >= deadline
        reason = watching.verdict(earlier, log.since(number))
        # After the count: who dies causes errors, and the death is the better answer.
        reason = (unit.death(number) if has_web else None) or reason
        if reason is None and has_web and (over or time.monotonic() >= due):
            reason, due = _crashed(number, began), time.monotonic() + _SEARCH
        if reason or over:
            return reason
        time.sleep(_LOOK)
    return None


def _crashed(number: int, since: float) -> Optional[str]:
    """Say that workers of a release die, whose server makes new ones; None: they do not."""
    crashes = unit.crashes(number, since)
    return f"{crashes} of its workers died" if crashes >= watching.CRASHES else None


def _go_back(layout: Layout, number: int, before: int, reason: str, journal: Journal) -> None:
    """Return to the release before, which still runs; the one that went wrong is failed from now on."""
    with _alone(layout) as held:
        if layout.live() != number or before not in records.good(layout) or not _answers(layout, before):
            return
        held.tell(before, "cloudship")
        for line in unit.last_lines(number):
            journal.tell("guilty", "output", line)
        told = f"{reason}, so release {before} is live again"
        golive.switch(layout, before, action="watch", by="cloudship")
        records.fail(layout, number, told)
        journal.tell("watch", "failed", told)
        formation.converge(layout)
    with lock.settling(layout, number):
        _retire(layout, number, Record.load(layout, before).drain, journal)


def _answers(layout: Layout, number: int) -> bool:
    return not Processes.load(layout.release(number)).web or unit.is_running(number)


def _retire(layout: Layout, number: int, limit: float, journal: Journal) -> None:
    """Let a release that is not live any more finish what it began, and stop it, unless it comes back meanwhile."""
    if layout.live() == number or not Processes.load(layout.release(number)).web:
        return
    with journal.stage("drain", f"release {number}"):
        quiet = unit.drain(layout.socket(number), limit=limit, stop=lambda: layout.live() == number)
        _stop(layout, number)
        if not _ends(number, _END):
            _hasten(layout, number, kill=not quiet)
            _ends(number, _LAST)
        _stop(layout, number)


def _stop(layout: Layout, number: int) -> None:
    """Stop a release under the lock, where nobody can make it live at the same time."""
    with _alone(layout):
        if layout.live() != number:
            unit.stop_web([number])


def _hasten(layout: Layout, number: int, *, kill: bool) -> None:
    """Help a release to its end: nobody waits for it any more, or the time to answer is over."""
    with _alone(layout):
        if layout.live() == number or not _is_ending(number):
            return
        if kill:
            unit.kill(number)
        else:
            unit.prioritize(number, builds.NICE_SOON)


def _ends(number: int, limit: float) -> bool:
    """Wait until a release's web process has ended; false: it has not within the limit, in seconds."""
    deadline = time.monotonic() + limit
    while ending := _is_ending(number):
        if time.monotonic() > deadline:
            break
        time.sleep(_LOOK)
    return not ending


def _is_ending(number: int) -> bool:
    return unit.present().get(unit.name(number)) == "deactivating"


def clean(layout: Layout) -> None:
    """Remove releases and environments that nobody needs: each is renamed first, so that none is half there."""
    live, good = layout.live(), records.good(layout)
    others = [number for number in layout.numbers() if number not in good and number != live]
    for number in (*good[:-KEPT], *others[:-FAILED_KEPT]):
        if number != live and not lock.is_settling(layout, number):
            layout.release(number).rename(layout.releases / f"{_TRASH}{number}")
    for folder in layout.releases.glob(f"{_TRASH}*"):
        shutil.rmtree(str(folder), ignore_errors=True)
    if is_low(layout):
        for number in others[-FAILED_KEPT:]:
            strip(layout, number)
    environment.clean(layout)


def is_low(layout: Layout) -> bool:
    """Whether the disk is nearly full."""
    usage = shutil.disk_usage(str(layout.home))
    return usage.free < LOW * usage.total


def demand_room(layout: Layout) -> None:
    """
    Refuse a release that the disk has no room for, before anything of it is there.

    Python writes what it compiled without looking whether all of it fitted: what is half there would break every
    later start with the same packages.

    Raises:
        StageError: there is less than the least.
    """
    free = shutil.disk_usage(str(layout.home)).free
    if free < LEAST:
        said = command.output(["df", "-h", "--output=target,size,used,avail", str(layout.home)]).splitlines()
        raise StageError(
            f"No space left on the droplet's disk: {free >> 20} MiB are free, {LEAST >> 20} are needed", said
        )


def strip(layout: Layout, number: int) -> None:
    """Leave of a failed release only what says why."""
    for name in ("tree", "site", "generated", "public"):
        place = layout.release(number) / name
        if place.is_symlink():
            place.unlink()
        elif place.is_dir():
            shutil.rmtree(str(place), ignore_errors=True)
