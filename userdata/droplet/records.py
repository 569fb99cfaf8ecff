"""
What is written down about releases: who made each, how it ended, and when which was live.

A release is good with its mark of completion, failed with its mark of failure, and with neither was cut off.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, fields
from typing import Any, Dict, List, Optional, Tuple

from droplet import journal
from droplet.layout import Layout, replace_text

RECORD, COMPLETE, FAILED = "release.json", "complete.json", "failed.json"
LIVE, KEPT, FAILURE, CUT_OFF, UNDER_WAY = "live", "kept", "failed", "cut off", "under way"


@dataclass(frozen=True)
class Request:
    """Who asks for a release, of what."""

    commit: str  # what git archives
    by: str = "unknown"
    action: str = "push"
    shown: Optional[str] = None  # what people see in the commit's place


@dataclass(frozen=True)
class Record:
    """What a release is; all that starting it again needs to know."""

    commit: str  # as people see it
    by: str
    action: str
    at: float  # unix time of its beginning
    kind: str = ""
    why: str = ""
    base: Optional[int] = None  # the release it was copied from
    health_path: str = "/"
    health_status: Optional[int] = None
    health_timeout: float = 60.0
    watch: float = 0.0
    drain: float = 30.0

    def save(self, layout: Layout, number: int) -> None:
        """Write it into the release's folder."""
        replace_text(layout.release(number) / RECORD, json.dumps(asdict(self)), 0o644)

    @classmethod
    def load(cls, layout: Layout, number: int) -> Record:
        """Read it back; a release that was cut off before it was written gives an empty one."""
        told = _read(layout, number, RECORD) or {"commit": "", "by": "unknown", "action": "unknown", "at": 0.0}
        known = {field.name for field in fields(cls)}
        return cls(**{key: value for key, value in told.items() if key in known})


def complete(layout: Layout, number: int) -> None:
    """Mark a release as good: it was built, and it answered."""
    _write(layout, number, COMPLETE, {"at": time.time()})


def fail(layout: Layout, number: int, reason: str) -> None:
    """Mark a release as failed, also one that was good before: nothing rolls back to it."""
    _write(layout, number, FAILED, {"at": time.time(), "failure": reason})


def good(layout: Layout) -> Tuple[int, ...]:
    """List the releases that may be live, oldest first."""
    found = (number for number in layout.numbers() if (layout.release(number) / COMPLETE).exists())
    return tuple(number for number in found if not (layout.release(number) / FAILED).exists())


def state(layout: Layout, number: int, live: Optional[int]) -> str:
    """Say how a release stands."""
    folder = layout.release(number)
    if number == live:
        return LIVE
    if (folder / FAILED).exists():
        return FAILURE
    return KEPT if (folder / COMPLETE).exists() else CUT_OFF


def went_live(layout: Layout, number: int, action: str, by: str) -> None:
    """Add a line to the history of what was live."""
    event = {"at": time.time(), "number": number, "action": action, "by": by}
    with layout.history.open("a", encoding="utf-8") as file:
        file.write(json.dumps(event) + "\n")
        file.flush()
        os.fsync(file.fileno())


def history(layout: Layout) -> List[Dict[str, Any]]:
    """Read what was live, oldest first."""
    return journal.read(layout.history)


def overview(layout: Layout, under_way: Optional[int] = None) -> List[Dict[str, Any]]:
    """Tell all releases, newest first, as the client shows them."""
    live, past = layout.live(), history(layout)
    return [_told(layout, number, live, under_way, past) for number in reversed(layout.numbers())]


def _told(
    layout: Layout, number: int, live: Optional[int], under_way: Optional[int], past: List[Dict[str, Any]]
) -> Dict[str, Any]:
    record, folder = Record.load(layout, number), layout.release(number)
    failed = _read(layout, number, FAILED)
    stands = state(layout, number, live)
    backs = [event for event in past if event["number"] == number and event["action"] == "rollback"]
    return {
        "number": number,
        "state": UNDER_WAY if stands == CUT_OFF and number == under_way else stands,
        "kind": record.kind,
        "commit": record.commit,
        "by": record.by,
        "at": rfc3339(record.at),
        "action": record.action,
        "base": record.base,
        "seconds": seconds(journal.read(folder / "log.jsonl")),
        "failure": failed["failure"] if failed else None,
        "rolled_back_to_at": rfc3339(backs[-1]["at"]) if backs else None,
        "rolled_back_to_by": backs[-1]["by"] if backs else None,
    }


def seconds(events: List[Dict[str, Any]]) -> Dict[str, float]:
    """Add up how long each stage took."""
    found: Dict[str, float] = {}
    for event in events:
        if event["seconds"] is not None:
            found[event["stage"]] = round(found.get(event["stage"], 0.0) + event["seconds"], 3)
    return found


def rfc3339(at: float) -> str:
    """Write a unix time as people and programs read it, in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def _write(layout: Layout, number: int, name: str, told: Dict[str, Any]) -> None:
    replace_text(layout.release(number) / name, json.dumps(told), 0o644)


def _read(layout: Layout, number: int, name: str) -> Optional[Dict[str, Any]]:
    try:
        told = json.loads((layout.release(number) / name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return dict(told)
