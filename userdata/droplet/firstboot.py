"""The first boot as others see it: its journal, and waiting for the site that it brings."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Dict, Iterator, Optional

from droplet import command, journal
from droplet.journal import DONE, FAILED, OUTPUT, Journal, StageError
from droplet.layout import STATE

JOURNAL = STATE / "boot.jsonl"
_RESULTS = (Path("/run/cloud-init/result.json"), Path("/run/cloud-init/disabled"))
LAST = "bootstrap"  # the stage that ends the journal
UNIT = "cloudship-bootstrap.service"
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
    if _is_up() or not is_under_way():
        return
    with told.stage("first boot", "nginx is still being installed"):
        deadline = time.monotonic() + LIMIT
        while not _is_up():
            if time.monotonic() > deadline:
                raise StageError(f"the first boot did not end within {LIMIT:g} s")
            time.sleep(0.02)


def follow() -> Iterator[Dict]:
    """Give the events of the first boot as they come; one that was killed or cut off has an end here too."""
    last: Optional[Dict] = None
    for event in journal.follow(JOURNAL, LAST, limit=LIMIT, dead=_death):
        last = event
        yield event
    if last is None or last["stage"] != LAST or last["state"] not in (DONE, FAILED):
        text = _death() or f"it did not end within {LIMIT:g} s"
        yield {"at": time.time(), "stage": LAST, "state": FAILED, "text": text, "seconds": None}


def _death() -> Optional[str]:
    """Say how the first boot ended without a word; None while it may still say one."""
    begun = JOURNAL.exists()  # looked at first: what began after that is not dead
    told = _unit()
    state = told.get("ActiveState")
    if state == "failed":
        killed = told.get("Result") in ("oom-kill", "signal")
        why = ": it was killed, most likely because memory ran out" if killed else ""
        return f"it ended with status {told.get('ExecMainStatus', '?')} ({told.get('Result', 'unknown')}){why}"
    if state == "inactive" and begun:
        return "it was cut off, as by a reboot"
    # Looked at again: cloud-init may have started it, and ended, since the first look.
    if _is_idle(told) and _cloud_init_ended() and _is_idle(_unit()):
        return "it never began: cloud-init ended without starting it"
    return None


def _unit() -> Dict[str, str]:
    return command.properties(UNIT, "ActiveState,Job,Result,ExecMainStatus")


def _is_idle(told: Dict[str, str]) -> bool:
    return told.get("ActiveState") == "inactive" and told.get("Job", "0") in ("0", "")


def _cloud_init_ended() -> bool:
    if any(one.exists() for one in _RESULTS):
        return True
    return command.output(["systemctl", "show", "-p", "ActiveState", "--value", "cloud-final"]).strip() == "failed"


def _is_up() -> bool:
    events = journal.read(JOURNAL)
    ends = [event["text"] for event in events if event["stage"] == LAST and event["state"] == FAILED]
    if ends:
        if shutil.which("nginx") and command.output(["systemctl", "is-active", "nginx"]).strip() == "active":
            return True  # somebody has mended it since
        said = [event["text"] for event in events if event["state"] == OUTPUT]
        raise StageError(f"the first boot failed: {ends[-1]}", said[-_GUILTY:])
    return any(event["stage"] == _SITE and event["state"] == DONE for event in events)


def is_under_way() -> bool:
    """Whether the first boot is still at work."""
    shown = command.output(["systemctl", "show", "-p", "ActiveState", "--value", UNIT])
    return shown.strip() == "activating"
