"""
From built to live: start beside, probe, switch; the same for a push, a changed environment and a way back.

Until the switch nothing that visitors see has changed. The switch is one rename of the link `current`.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import ContextManager, Dict, Iterator, List, Optional

from droplet import builds, command, firstboot, launch, nginx, probe, records, unit
from droplet.app import STATIC
from droplet.journal import Journal, StageError
from droplet.layout import ENVIRONMENT, USER, Layout, replace_link, replace_text
from droplet.process import Processes
from droplet.records import Record

KEEPS_VALUES = ("env", "rollback", "watch")  # their values count from then on; a push has taken those stored
_WARM = 2.0  # seconds
_PROGRAM = "/usr/local/sbin/cloudship-droplet"


def start(layout: Layout, number: int, record: Record, journal: Journal) -> None:
    """
    Start a release beside the live one, and wait until it answers as it should.

    Raises:
        StageError: it does not; with its own last lines.
    """
    folder = layout.release(number)
    processes = Processes.load(folder)
    if not processes.web:
        return
    address, known = first_address(), unit.restarts(number)  # of one that still runs: it may have died long ago
    with journal.stage("start", unit.name(number)):
        try:
            unit.start_web(number, processes.port, folder)
        except StageError:
            if unit.death(number, known=known) is None:  # else the probe says how it ended, with its own last lines
                raise
        if layout.live() is None:
            unit.prioritize(number, 0)
    try:
        with _patient(layout, number), journal.stage("probe", f"GET {record.health_path}") as say:
            got = probe.until_healthy(
                layout.socket(number),
                record.health_path,
                address,
                status=record.health_status,
                limit=record.health_timeout,
                dead=lambda: unit.death(number, known=known),
            )
            say(f"it answers {got}")
            if layout.live() is not None:  # else nobody notices a worker that comes later
                _warm(layout, number, record, int(processes.environment.get("WEB_CONCURRENCY", "1")))
            _alive(number, known)
    except StageError as error:
        hint = " (nothing listens on its PORT)" if processes.port and not _listens(processes.port) else ""
        where = f"http://{address}{record.health_path}"
        message = f"the app does not answer as it should at {where}: {error}{hint}"
        raise StageError(message, unit.last_lines(number)) from error


def _patient(layout: Layout, number: int) -> ContextManager[None]:
    """Let a release that is not ready in time, and us, come further forward."""

    def promote() -> None:
        builds.step_forward()
        unit.prioritize(number, builds.NICE_SOON)

    return builds.patient(promote) if layout.live() is not None else nullcontext()  # it stands behind nobody


def _alive(number: int, known: int) -> None:
    """Look once more: its children may have answered for a process that is dead."""
    reason = unit.death(number, known=known)
    if reason:
        raise StageError(reason)


def _warm(layout: Layout, number: int, record: Record, workers: int) -> None:
    probe.warm(layout.socket(number), record.health_path, first_address(), count=2 * workers, limit=_WARM)


def make_live(layout: Layout, number: int, journal: Journal, *, action: str, by: str) -> None:
    """Switch to a release that answers; what comes after the switch is done by a process of its own."""
    firstboot.await_site(journal)
    before = layout.live()
    _settle_afterwards(number, before, action)
    unit.prioritize(number, 0)
    builds.step_forward()
    with journal.stage("switch"):
        switch(layout, number, action=action, by=by)


def switch(layout: Layout, number: int, *, action: str, by: str) -> None:
    """Make a release the live one: one rename; all else here only follows it."""
    before = layout.live()
    links = [(layout.current, number)]
    if before is not None and before != number:
        # What is gone back from may be dead: it takes the place of the one before only when that one is live.
        links.insert(1 if action == "watch" else 0, (layout.previous, before))
    kind = "static" if Record.load(layout, number).kind == STATIC else "app"
    nginx.check(kind)
    led = {link: Path(os.readlink(str(link))) if link.is_symlink() else None for link, _ in links}
    for link, leads_to in links:
        replace_link(link, layout.release(leads_to))
    try:
        nginx.serve(kind)
    except StageError:
        _lead_back(led)
        raise
    records.went_live(layout, number, action, by)
    if action in KEEPS_VALUES:
        keep_values(layout, number)


def _lead_back(led: Dict[Path, Optional[Path]]) -> None:
    """Lead the links where they led before: a release that nginx does not serve is not live."""
    for link, target in reversed(list(led.items())):
        if target is None:
            link.unlink()
        else:
            replace_link(link, target)


def keep_values(layout: Layout, number: int) -> None:
    """Take the values of a release as the app's own: what comes next starts from them."""
    own = (layout.release(number) / launch.SECRETS).read_text(encoding="utf-8")
    if values_text() != own:
        replace_text(ENVIRONMENT, own, 0o640)


def values_text() -> str:
    """Read the app's values as they are stored."""
    return ENVIRONMENT.read_text(encoding="utf-8") if ENVIRONMENT.exists() else "{}"


def values_of(layout: Layout, number: int) -> Dict[str, str]:
    """Read the values that a release was given."""
    return launch.read(str(layout.release(number) / launch.SECRETS))


def give_values(layout: Layout, number: int, text: str) -> None:
    """Write a release's values where its processes read them, and nobody else."""
    replace_text(layout.release(number) / launch.SECRETS, text, 0o640)
    shutil.chown(str(layout.release(number) / launch.SECRETS), "root", USER)


def first_address() -> str:
    """Name the address under which visitors are most likely to come."""
    shown = [one for one in command.output(["hostname", "-I"]).split() if ":" not in one]
    return shown[0] if shown else "localhost"


def free_port() -> int:
    """Find a free port on the loopback."""
    with socket.socket() as probing:
        probing.bind(("127.0.0.1", 0))
        return int(probing.getsockname()[1])


@contextmanager
def synced(layout: Layout, number: int) -> Iterator[None]:
    """
    Bring a release's files to the disk while it starts, so that a power cut after the switch finds them.

    The first one is brought there afterwards: all that Debian's packages wrote goes with it, and nobody has yet seen
    a page that could be missing.
    """
    if layout.live() is None:
        yield
        return
    with subprocess.Popen(sync(layout, number)):
        yield


def sync(layout: Layout, number: int) -> List[str]:
    """Give the words that bring a release's files to the disk."""
    return ["sync", "-f", str(layout.release(number))]


def _settle_afterwards(number: int, before: Optional[int], action: str) -> None:
    """Start what waits for our lock and then looks after the switch, or after us where we die before it."""
    name = f"cloudship-settle-{number}-{os.getpid()}"
    words = [_PROGRAM, "settle", str(number), str(before or 0), action]
    command.run(
        ["systemd-run", "--quiet", "--no-block", "--collect", f"--nice={builds.NICE_BEGIN}", f"--unit={name}", *words]
    )


def _listens(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0
