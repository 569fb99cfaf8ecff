"""Which processes run: exactly the live release's, as many of each as asked for, and its scheduled jobs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, Iterable, List, Optional

from droplet import command, lock, unit
from droplet.layout import Layout, replace_text
from droplet.process import Processes

UNITS = Path("/etc/systemd/system")
MOST = 50
_TIMER = """[Unit]
Description=Scheduled job {name}

[Timer]
{when}
AccuracySec=1s
Unit=cloudship-job@{name}.service
"""


class ScaleError(Exception):
    """A process that is not there, or a count that cannot be; the message says what there is."""


def counts(layout: Layout, processes: Processes) -> Dict[str, int]:
    """Say how many of each process are wanted: one, unless somebody said otherwise."""
    asked = _asked(layout)
    return {name: asked.get(name, 1) for name in sorted(processes.lines)}


def scale(layout: Layout, processes: Processes, words: Iterable[str]) -> Dict[str, int]:
    """
    Take down how many of each process are wanted, as in `worker=2`.

    Raises:
        ScaleError: one of them cannot be; nothing is changed.
    """
    asked = {}
    for word in words:
        name, _, count = word.partition("=")
        if name == "web":
            raise ScaleError(
                "web is always 1: its server makes the workers that fit this droplet (value WEB_CONCURRENCY)"
            )
        if name not in processes.lines:
            known = ", ".join(sorted(processes.lines)) or "none: the Procfile of the live release has no other lines"
            raise ScaleError(f"there is no process {name!r}; there are: {known}")
        if not count.isdigit() or int(count) > MOST:
            raise ScaleError(f"{word!r}: write it as {name}=COUNT, at most {MOST}")
        asked[name] = int(count)
    if asked:
        replace_text(layout.scale, json.dumps({**_asked(layout), **asked}), 0o644)
    return counts(layout, processes)


def wanted(layout: Layout, number: int, processes: Processes) -> List[str]:
    """List the units of the live release's processes beside the web."""
    found = counts(layout, processes).items()
    return [unit.worker(number, name, index) for name, count in found for index in range(1, count + 1)]


def converge(layout: Layout) -> None:
    """
    Let exactly the live release's processes run, whatever was interrupted before.

    A web process of another release is left alone while somebody settles it: that one drains and stops it.
    """
    live = layout.live()
    if live is None or layout.ended.exists():
        return
    processes = Processes.load(layout.release(live))
    workers = wanted(layout, live, processes)
    present = unit.present()
    stray = [one for one in present if one not in workers and not _spared(layout, one, live)]
    unit.stop(stray)
    unit.start([one for one in workers if present.get(one) not in ("active", "activating")])
    keep_timers(processes.jobs)


def _spared(layout: Layout, one: str, live: int) -> bool:
    number = unit.release_of(one)
    if number is None or one.startswith("cloudship-worker@"):
        return False
    return number == live or lock.is_settling(layout, number)


def keep_timers(jobs: Dict[str, Dict[str, Any]], folder: Optional[Path] = None) -> None:
    """Let exactly these jobs have timers; one that has not changed keeps its own."""
    place = folder or UNITS
    texts = {f"cloudship-job-{name}.timer": timer(name, job["when"]) for name, job in jobs.items()}
    gone = [path.name for path in place.glob("cloudship-job-*.timer") if path.name not in texts]
    changed = [name for name, text in texts.items() if not _is(place / name, text)]
    if gone:
        command.output(["systemctl", "stop", *gone])
        for name in gone:
            (place / name).unlink()
    for name in changed:
        replace_text(place / name, texts[name], 0o644)
    if gone or changed:
        command.run(["systemctl", "daemon-reload"])
    if changed:
        command.run(["systemctl", "restart", *changed])
    elif texts:
        command.run(["systemctl", "start", *texts])


def timer(name: str, when: Iterable[str]) -> str:
    """Write the timer of a job."""
    return _TIMER.format(name=name, when="\n".join(f"OnCalendar={one}" for one in when))


def states(layout: Layout) -> Dict[str, Dict[str, Any]]:
    """Tell of each process of the live release how many are wanted, and how they are."""
    live = layout.live()
    if live is None:
        return {}
    processes, present = Processes.load(layout.release(live)), unit.present()
    found: Dict[str, Dict[str, Any]] = {}
    if processes.web:
        found["web"] = {"count": 1, "state": _state([present.get(unit.name(live), "inactive")])}
    for name, count in counts(layout, processes).items():
        units = [unit.worker(live, name, index) for index in range(1, count + 1)]
        found[name] = {"count": count, "state": _state([present.get(one, "inactive") for one in units])}
    return found


def _state(all_of_them: List[str]) -> str:
    if not all_of_them:
        return "off"
    if all(one == "active" for one in all_of_them):
        return "running"
    return "partly running" if "active" in all_of_them else "not running"


def _asked(layout: Layout) -> Dict[str, int]:
    try:
        return {str(name): int(count) for name, count in json.loads(layout.scale.read_text("utf-8")).items()}
    except (OSError, ValueError):
        return {}


def _is(path: Path, text: str) -> bool:
    try:
        return path.read_text(encoding="utf-8") == text
    except OSError:
        return False
