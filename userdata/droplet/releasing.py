"""The verbs that make releases, go back to one, tell of them, and change how the live one runs."""

from __future__ import annotations

import json
import os
import sys
from typing import Callable, Dict, List, Optional, Tuple

from droplet import (
    builds,
    changing,
    formation,
    hook,
    journal,
    layout,
    lock,
    maintenance,
    process,
    records,
    release,
    settling,
)
from droplet.inside import wrong
from droplet.records import Request


def pushed(words: List[str]) -> int:
    """Release what is pushed; whatever is not 0 rejects the push."""
    del words
    config = layout.read_config()
    try:
        push = hook.read(sys.stdin, os.environ, config)
    except hook.RefusedError as error:
        print(f"cloudship: {error}")
        return 1
    status = _told(lambda: (release.run(config, push.request, say=_say, check=push.check), ""))
    if status == 1 and push.request.action == Request.action:  # else a client says it in its own words
        print(f"cloudship: mend it and push again; the whole log: cloudship releases {config.name} --log")
    return status


def rollback(words: List[str]) -> int:
    """Make an earlier release live again: `[NUMBER] [--by WHO]`."""
    rest, by = _by(words)
    if len(rest) > 1 or (rest and not rest[0].isdigit()):
        return wrong("rollback [NUMBER]")
    number = int(rest[0]) if rest else None
    # Often the live release is what leaves nothing of the cores.
    return _told(lambda: (changing.rollback(layout.read_config(), number, by, _say), " again"), builds.NICE_SOON)


def edit_values(words: List[str]) -> int:
    """Change the app's values: what to set and unset is read as JSON."""
    _, by = _by(words)
    try:
        asked = json.load(sys.stdin)
    except ValueError:
        return wrong('say {"set": {NAME: VALUE}, "unset": [NAME]}')
    said: List[str] = []

    def work() -> Tuple[Optional[int], str]:
        number, text = changing.edit_values(layout.read_config(), asked, by, _say)
        said.append(text)
        return number, ""

    status = _told(work)
    if status == 0 and said[-1]:
        _say(f"cloudship: {said[-1]}")
    return status


def list_values(words: List[str]) -> int:
    """Print the app's values."""
    del words
    print(json.dumps(changing.stored()))
    return 0


def releases(words: List[str]) -> int:
    """Print all releases, newest first."""
    del words
    where = layout.read_config().layout
    held = lock.holder(where)
    print(json.dumps(records.overview(where, held["number"] if held else None)))
    return 0


def release_log(words: List[str]) -> int:
    """Print a release's log, as JSON lines."""
    where = layout.read_config().layout
    numbers = where.numbers()
    number = int(words[0]) if words and words[0].isdigit() else max(numbers, default=0)
    if number not in numbers:
        return wrong(f"there is no release {number}; there are: {', '.join(str(one) for one in numbers) or 'none'}")
    for event in journal.read(where.release(number) / "log.jsonl"):
        journal.as_json(event)
    return 0


def close_or_open(words: List[str]) -> int:
    """Close the site to visitors or open it: `on`, with a message to read, `off` or `status`."""
    where = layout.read_config().layout
    if words[:1] == ["on"]:
        maintenance.close(where, sys.stdin.read())
    elif words[:1] == ["off"]:
        maintenance.reopen(where)
    elif words[:1] != ["status"]:
        return wrong("maintenance on|off|status")
    print("on" if maintenance.is_closed(where) else "off")
    return 0


def scale(words: List[str]) -> int:
    """Say how many of each process run: `[PROCESS=COUNT]...`."""
    where = layout.read_config().layout
    number = where.live()
    if number is None:
        return wrong("no release is live yet")
    if words and (over := _over()):
        return wrong(over)
    try:
        with lock.alone(where):
            found = formation.scale(where, process.Processes.load(where.release(number)), words)
            if words:
                formation.converge(where)
    except formation.ScaleError as error:
        return wrong(str(error))
    print(json.dumps(found))
    return 0


def settle(words: List[str]) -> int:
    """Look after a switch; started by it: NUMBER BEFORE ACTION."""
    builds.stand_back(builds.NICE)
    number, before, action = int(words[0]), int(words[1]) or None, words[2]
    settling.settle(layout.read_config(), number, before, action)
    return 0


def _told(work: Callable[[], Tuple[Optional[int], str]], nice: int = builds.NICE) -> int:
    """Carry out what makes a release live, and say how that went, as the client reads it."""
    if over := _over():
        print(f"cloudship: {over}", flush=True)
        return 2
    if layout.read_config().layout.live() is not None:
        builds.stand_back(nice)
    try:
        number, more = work()
    except (changing.RefusedError, hook.RefusedError) as error:
        print(f"cloudship: {error}", flush=True)
        return 2
    except journal.StageError as error:
        for line in error.lines:
            print(f"  | {line}")
        print(f"cloudship: release failed: {error}", flush=True)
        return 1
    if number is not None:
        print(f"cloudship: release {number} is live{more}", flush=True)
    return 0


def _over() -> str:
    """Say that the ship has come to its end, after which nothing is started any more; empty: it has not."""
    config = layout.read_config()
    more = f"this ship has ended; first give it more time: cloudship extend {config.name} 1h"
    return more if config.layout.ended.exists() else ""


def _by(words: List[str]) -> Tuple[List[str], str]:
    """Take who asks out of the words."""
    if "--by" not in words[:-1]:
        return words, "somebody on the droplet"
    place = words.index("--by")
    return [*words[:place], *words[place + 2 :]], words[place + 1][:80]


def _say(line: str) -> None:
    print(line, flush=True)


VERBS: Dict[str, Callable[[List[str]], int]] = {
    "hook": pushed,
    "rollback": rollback,
    "env-edit": edit_values,
    "env-list": list_values,
    "releases": releases,
    "release-log": release_log,
    "maintenance": close_or_open,
    "scale": scale,
    "settle": settle,
}
