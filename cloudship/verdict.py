"""What the droplet's program says about a release, read: its number, or why there is none; pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cloudship.errors import ReleaseFailed

SHOWN = 8  # guilty lines in an error
_GUILTY = "  | "  # how the lines begin that say why
_FAILED = "cloudship: release failed: "  # how the program's last line begins when it failed
_MACHINERY = re.compile(r'\s*File "<frozen importlib\._bootstrap(_external)?>"')  # Python's own, between imports
_LIVE = re.compile(r"cloudship: release (\d+) is live\b.*")


def number(said: Sequence[str]) -> int | None:
    """Find the release that went live; None when none was announced."""
    matches = (_LIVE.fullmatch(line.strip()) for line in reversed(said))
    return next((int(match.group(1)) for match in matches if match), None)


def failure(said: Sequence[str], *, next_step: str) -> ReleaseFailed:
    """
    Make the error of a release that was refused.

    Args:
        said: all lines of the droplet.
        next_step: what the user can do about it.
    """
    told = next((line for line in reversed(said) if line.startswith(_FAILED)), None)
    guilty = [line[len(_GUILTY) :] for line in said if line.startswith(_GUILTY)]
    refused = next((line for line in reversed(said) if line.startswith("cloudship: ")), None)
    if told is not None:
        reason, evidence = told.removeprefix(_FAILED), guilty
    elif refused is not None:
        reason, evidence = refused.removeprefix("cloudship: "), guilty
    else:
        reason, evidence = "the droplet did not say why", list(said)
    return ReleaseFailed(f"The release failed: {reason}", evidence=_telling(evidence)[-SHOWN:], next_step=next_step)


def _telling(lines: Sequence[str]) -> list[str]:
    """Leave out of an app's last words what says nothing: Python's own frames, and what the line before ends with."""
    told: list[str] = []
    for line in lines:
        said_already = bool(told) and told[-1].endswith(f": {line.strip()}")
        if not said_already and _MACHINERY.match(line) is None:
            told.append(line)
    return told
