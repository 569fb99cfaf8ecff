"""Live releases without a build: an earlier one again, or the live one with other values."""

from __future__ import annotations

import json
import re
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from droplet import command, golive, lock, records, release, unit
from droplet.journal import Journal, StageError, as_text
from droplet.layout import ENVIRONMENT, Config, Layout, replace_text
from droplet.process import Processes
from droplet.records import Record, Request

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_COPIED = ("tree", "generated", "site", "public", "environment")

Say = Callable[[str], None]


class RefusedError(Exception):
    """Wrong use; the message is one line."""


def rollback(config: Config, number: Optional[int], by: str, say: Say) -> int:
    """
    Make an earlier release live again, under its own number and with its own values.

    Raises:
        RefusedError: there is no such release to go back to.
        StageError: it does not come up any more; the live one stays.
    """
    layout = config.layout
    with lock.alone(layout, say) as held:
        chosen = target(layout, number)
        held.tell(chosen, by)
        journal = Journal(layout.release(chosen) / "log.jsonl", as_text)
        record = Record.load(layout, chosen)
        running = unit.present().get(unit.name(chosen)) == "active"
        try:
            golive.start(layout, chosen, record, journal)
        except StageError:
            if not running:
                unit.stop_web([chosen])
            raise
        golive.make_live(layout, chosen, journal, action="rollback", by=by)
        return chosen


def target(layout: Layout, number: Optional[int]) -> int:
    """
    Choose the release to go back to: the one asked for, or the last good one before the live one.

    Raises:
        RefusedError: there is none, it is not kept, it failed, or it is live.
    """
    live, good = layout.live(), records.good(layout)
    if live is None:
        raise RefusedError("no release is live yet")
    if number is None:
        earlier = [one for one in good if one < live]
        if not earlier:
            raise RefusedError(f"there is no good release before {live} to go back to")
        return earlier[-1]
    if number == live:
        raise RefusedError(f"release {number} is live already")
    if number not in good:
        known = ", ".join(str(one) for one in reversed(good) if one != live) or "none"
        stands = records.state(layout, number, live) if number in layout.numbers() else "not kept"
        shown = {records.FAILURE: "failed", records.CUT_OFF: "was cut off"}.get(stands, "is not kept")
        raise RefusedError(f"release {number} {shown}; there are: {known}")
    return number


def stored() -> Dict[str, str]:
    """Read the app's values."""
    return {str(name): str(value) for name, value in json.loads(golive.values_text()).items()}


def edited(values: Mapping[str, str], asked: Any) -> Dict[str, str]:
    """
    Apply what is asked to the app's values: `{"set": {name: value}, "unset": [name]}`.

    Raises:
        RefusedError: it is something else, or a name or value cannot be one.
    """
    if not isinstance(asked, dict) or set(asked) - {"set", "unset"}:
        raise RefusedError('say {"set": {NAME: VALUE}, "unset": [NAME]}')
    changes, gone = asked.get("set") or {}, asked.get("unset") or []
    if not isinstance(changes, dict) or not isinstance(gone, list):
        raise RefusedError('say {"set": {NAME: VALUE}, "unset": [NAME]}')
    for name in (*changes, *gone):
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise RefusedError(f"{name!r} is no name for an environment variable")
    for name, value in changes.items():
        if not isinstance(value, str) or "\0" in value:
            raise RefusedError(f"{name}: a value is text without a zero byte")
    kept = {name: value for name, value in values.items() if name not in gone}
    return {**kept, **changes}


def edit_values(config: Config, asked: Any, by: str, say: Say) -> Tuple[Optional[int], str]:
    """
    Change the app's values; the live release is copied and started with them.

    Returns:
        The number of the new release, None when there is none, and what to say then.

    Raises:
        RefusedError: what is asked for cannot be.
        StageError: the app does not come up with them; live release and values stay.
    """
    layout = config.layout
    with lock.alone(layout, say) as held:
        values = edited(stored(), asked)
        live = layout.live()
        if live is not None and values == golive.values_of(layout, live) == stored():
            return None, "nothing has changed"
        text = json.dumps(values)
        if live is None or not Processes.load(layout.release(live)).web:
            replace_text(ENVIRONMENT, text, 0o640)
            return None, "stored; " + ("no release is live yet" if live is None else "a static site reads no values")
        names = sorted({*asked.get("set", {}), *asked.get("unset", [])})
        before = Record.load(layout, live)
        request = Request(before.commit, by, "env", before.commit)
        number = release.attempt(
            layout, held, request, lambda new, journal: _copied(layout, live, new, text, names, journal), base=live
        )
        return number, ""


def _copied(layout: Layout, live: int, number: int, values: str, names: List[str], journal: Journal) -> None:
    old, new = layout.release(live), layout.release(number)
    with journal.stage("copy", f"release {live}, with other values: {', '.join(names)}"):
        there = [str(old / name) for name in _COPIED if (old / name).exists() or (old / name).is_symlink()]
        command.run(["cp", "-a", "--reflink=auto", "--", *there, str(new)])
        (new / "run").mkdir()
        release.own(new / "run")
        golive.give_values(layout, number, values)
        Processes.load(old).moved(layout, live, number, golive.free_port()).save(new)
        asked = Record.load(layout, number)
        made = {"commit": asked.commit, "by": asked.by, "action": asked.action, "at": asked.at, "base": live}
        Record(**{**vars(Record.load(layout, live)), **made}).save(layout, number)
    release.finish(layout, number, journal)
