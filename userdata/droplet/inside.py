"""The verbs that look into the live release, or run something in it."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from typing import Callable, Dict, List

from droplet import command, firstboot, formation, journal, layout, maintenance, process, records, unit

_NOT_FOUND = 127  # as shells say it
_COUNT, _SINCE = re.compile(r"[0-9]{1,7}"), re.compile(r"[0-9A-Za-z :.,+-]{1,64}")


def run(words: List[str]) -> int:
    """Become a command in the live release, as the app's user unless root is asked for."""
    root = words[:1] == ["--root"]
    rest = words[1:] if root else words
    rest = rest[1:] if rest[:1] == ["--"] else rest
    where = layout.read_config().layout
    number = where.live()
    if number is None or not rest:
        return wrong("no release is live yet" if rest else "run WHAT?")
    folder = where.release(number)
    planned = process.Processes.load(folder)
    os.chdir(planned.directory)
    env = process.whole_environment(folder, planned) if planned.environment else dict(os.environ)
    env["PATH"] += ":/usr/sbin:/sbin" if root else ""
    if shutil.which(rest[0], path=env["PATH"]) is None:
        sys.stderr.write(f"{rest[0]}: there is no such program on this ship\n")
        return _NOT_FOUND
    whole = [*([] if root else command.as_user(layout.USER)), *rest]
    os.execvpe(whole[0], whole, {**env, "TERM": os.environ.get("TERM", "dumb")})
    return 1


def logs(words: List[str]) -> int:
    """Show what a process said, over all its releases: `[PROCESS] [-n N] [-f] [--since S]`."""
    where = layout.read_config().layout
    number = where.live()
    planned = process.Processes.load(where.release(number)) if number is not None else None
    names = ["web", *sorted(planned.lines if planned else ()), *sorted(planned.jobs if planned else ())]
    asked, options, rest = "web", [], list(words)
    while rest:
        word = rest.pop(0)
        if word == "-f":
            options.append("-f")
        elif word in ("-n", "--since") and rest and (_COUNT if word == "-n" else _SINCE).fullmatch(rest[0]):
            options += [word, rest.pop(0)]
        elif word.startswith("-"):
            return wrong("logs [PROCESS] [-n LINES] [-f] [--since WHEN]")
        else:
            asked = word
    if asked not in (*names, "all"):
        return wrong(f"there is no process {asked!r}; there are: {', '.join([*names, 'all'])}")
    tags = [part for name in (names if asked == "all" else [asked]) for part in ("-t", f"app-{name}")]
    output = "cat" if asked != "all" else "short"
    os.execvp("journalctl", ["journalctl", "-q", "--no-hostname", "-o", output, *options, *tags])
    return 1


def status(words: List[str]) -> int:
    """Tell how the droplet is: bootstrap, releases, processes."""
    del words
    where = layout.read_config().layout
    events = journal.read(firstboot.JOURNAL)
    last = [event for event in events if event["stage"] == firstboot.LAST]
    stages = {event["stage"]: event["seconds"] for event in events if event["state"] == journal.DONE}
    live, every = where.live(), records.overview(where)
    record = records.Record.load(where, live) if live is not None else None
    is_web = record is not None and record.kind != "static"
    told = {
        "bootstrap": {"state": last[-1]["state"] if last else "running", "stages": stages},
        "release": live,
        "releases": [one for one in reversed(every) if one["state"] in (records.LIVE, records.KEPT)],
        "app": {"kind": record.kind if record else None, "why": record.why if record else None},
        "process": "none" if live is None else unit.state(live) if is_web else "running",
        "processes": formation.states(where),
        "maintenance": maintenance.is_closed(where),
    }
    print(json.dumps(told))
    return 0


def start_live(words: List[str]) -> int:
    """Start what the link names, after a reboot: the web process, the others, the timers."""
    del words
    where = layout.read_config().layout
    number = where.live()
    if number is None or where.ended.exists():
        return 0
    planned = process.Processes.load(where.release(number))
    if planned.web:
        unit.start_web(number, planned.port, where.release(number))
    formation.converge(where)
    return 0


def wrong(message: str) -> int:
    """Say what is wrong with how a verb was used."""
    sys.stderr.write(f"{message}\n")
    return 2


VERBS: Dict[str, Callable[[List[str]], int]] = {
    "run": run,
    "logs": logs,
    "status": status,
    "start-live": start_live,
}
