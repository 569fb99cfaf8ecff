"""
The end of a ship that has one: the app stops, and the site says that it has ended.

A timer that is armed at the first boot asks the metadata first: whoever extended the ship wrote a later end into its
tags, also of one that had none. The droplet itself stays, and costs, until somebody reaps it.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Iterable, List, Optional

from droplet import command, formation, inside, page, unit
from droplet.layout import Layout, read_config, replace_text

TIMER = Path("/etc/systemd/system/cloudship-expiry.timer")
METADATA = "http://169.254.169.254/metadata/v1.json"
AGAIN = 60  # seconds until the metadata is asked again: it did not answer, or somebody may still extend the ship
SELDOM = 3600  # seconds between two looks at the tags of a ship that has no end yet
_PREFIX = "cloudship:expires:"


def arm(moment: Optional[float]) -> None:
    """Have the end looked at, at a moment, unix time, else in an hour; also when the droplet was off then."""
    moment = time.time() + SELDOM if moment is None else moment
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(moment))
    text = (
        "[Unit]\nDescription=The end of this ship\n\n"
        f"[Timer]\nOnCalendar={when}\nAccuracySec=1s\nPersistent=yes\n\n[Install]\nWantedBy=timers.target\n"
    )
    replace_text(TIMER, text, 0o644)
    command.run(["systemctl", "enable", "--quiet", TIMER.name])  # which has systemd read its units again
    command.run(["systemctl", "restart", TIMER.name])


def expire(words: List[str]) -> int:
    """Look whether the end has come; the timer starts this, and systemd again a minute after it failed."""
    del words
    config = read_config()
    tags, now = told_tags(), time.time()
    if tags is None:
        arm(now + AGAIN)
        return 0
    moment = latest(tags, config.expires)
    if moment is None or moment > now:
        revive(config.layout)
        arm(moment)
    else:
        end(config.layout)
        arm(now + AGAIN)
    return 0


def told_tags() -> Optional[List[str]]:
    """Read the droplet's tags from the metadata; None when it does not answer."""
    try:
        with urllib.request.urlopen(METADATA, timeout=5) as answer:
            return [str(tag) for tag in json.loads(answer.read().decode("utf-8")).get("tags") or ()]
    except (OSError, ValueError, urllib.error.URLError):
        return None


def latest(tags: Iterable[str], known: Optional[int]) -> Optional[int]:
    """Say when the ship ends: the latest that its tags name, else what was known at its creation; None: never."""
    texts = [tag[len(_PREFIX) :] for tag in tags if tag.startswith(_PREFIX)]
    return max((int(text) for text in texts if text.isdigit()), default=known)


def end(layout: Layout) -> None:
    """Stop the app, whatever of it was started since the last look too, and say on the site that it has ended."""
    formation.keep_timers({})
    unit.stop(list(unit.present()))  # before the page, which a full disk does not take
    if not layout.ended.exists():
        text = page.write("This site has ended", "It was put online for a while, and its time is over.")
        replace_text(layout.ended, text, 0o644)


def revive(layout: Layout) -> None:
    """Start what had ended: somebody gave the ship more time. What does not start is tried again at the next look."""
    place = layout.ended.with_suffix(".old")
    if layout.ended.exists():
        layout.ended.replace(place)
    if place.exists():
        inside.start_live([])
        place.unlink()
