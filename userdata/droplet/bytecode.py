"""
Carry over what Python compiled of the same files in another environment; else every worker compiles them again.

uv links the files of all environments to one cache, so what is the same file is the same code, and has the same time.
It runs by itself, as the app's user, whose folders these are: bytecode.py OLD NEW
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress


def carry(old: str, new: str) -> None:
    """Link it, for every source that is one file in both."""
    for place, _, names in os.walk(old):
        if os.path.basename(place) != "__pycache__":
            continue
        target = new + place[len(old) :]
        for name in names:
            source = name.partition(".")[0] + ".py"
            with suppress(OSError):  # it is not in the other one
                if os.path.samefile(*(os.path.join(os.path.dirname(one), source) for one in (place, target))):
                    os.makedirs(target, exist_ok=True)
                    os.link(os.path.join(place, name), os.path.join(target, name))


if __name__ == "__main__":
    carry(sys.argv[1], sys.argv[2])
