"""Heroku's Procfile: one line for each kind of process."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Dict

_LINE = re.compile(r"([A-Za-z0-9_-]+):\s*(.+)")


def read(tree: Path) -> Dict[str, str]:
    """Read the processes that a tree's Procfile names; empty when it has none."""
    path = tree / "Procfile"
    if not path.is_file():
        return {}
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    matches = (_LINE.fullmatch(line.strip()) for line in lines if not line.strip().startswith("#"))
    return {match.group(1): match.group(2).strip() for match in matches if match}


def runs_gunicorn(line: str) -> bool:
    """Whether a line starts gunicorn, by itself or through `python -m`."""
    try:
        words = shlex.split(line)
    except ValueError:
        return False
    while words and "=" in words[0].split("/")[0] and not words[0].startswith("-"):
        words = words[1:]
    if words[:1] == ["exec"]:
        words = words[1:]
    name = words[0].rsplit("/", 1)[-1] if words else ""
    return name == "gunicorn" or (name.startswith("python") and words[1:3] == ["-m", "gunicorn"])
