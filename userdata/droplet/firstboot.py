"""The first boot as others see it: its journal, and waiting for the site that it brings."""

from __future__ import annotations

import shutil
import time

from droplet import command, journal
from droplet.journal import DONE, FAILED, OUTPUT, Journal, StageError
from droplet.layout import STATE

JOURNAL = STATE / "boot.jsonl"
LAST = "bootstrap"  # the stage that ends the journal
LIMIT = 1800.0  # seconds
_SITE = "nginx"  # the stage after which visitors are answered
_GUILTY = 8  # lines


def await_site(told: Journal) -> None:
    """
    Wait until the first boot has nginx up: a release is made beside it as soon as git is there.

    A boot that was cut off is not waited for.

    Raises:
        StageError: the first boot failed; with its last lines.
    """
    if _is_up() or not _is_under_way():
        return
    with told.stage("first boot", "nginx is still being installed"):
        deadline = time.monotonic() + LIMIT
        while not _is_up():
            if time.monotonic() > deadline:
                raise StageError(f"the first boot did not end within {LIMIT:g} s")
            time.sleep(0.02)


def _is_up() -> bool:
    events = journal.read(JOURNAL)
    ends = [event["text"] for event in events if event["stage"] == LAST and event["state"] == FAILED]
    if ends and not shutil.which("nginx"):  # else somebody has mended it since
        said = [event["text"] for event in events if event["state"] == OUTPUT]
        raise StageError(f"the first boot failed: {ends[-1]}", said[-_GUILTY:])
    return any(event["stage"] == _SITE and event["state"] == DONE for event in events)


def _is_under_way() -> bool:
    shown = command.output(["systemctl", "show", "-p", "ActiveState", "--value", "cloudship-bootstrap.service"])
    return shown.strip() == "activating"
