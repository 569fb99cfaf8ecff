"""Heroku's Procfile: one line for each kind of process."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from droplet import text

_LINE = re.compile(r"([A-Za-z0-9_-]+):[ \t]*(.+)")
_LONGEST = 60  # letters of a name: it goes into the name of a unit
_BLANKS = " \t\r"


class ProcfileError(Exception):
    """A line that cannot be a process."""


def read(tree: Path) -> Dict[str, str]:
    """
    Read the processes that a tree's Procfile names; empty when it has none.

    Raises:
        ProcfileError: a name is too long, or a command cannot be one.
    """
    path = tree / "Procfile"
    if not path.is_file():
        return {}
    matches = (_LINE.fullmatch(line) for line in _lines(path))
    found = {match.group(1): match.group(2) for match in matches if match and match.group(2).split()}
    for name, line in found.items():
        if len(name) > _LONGEST:
            raise ProcfileError(
                f"Procfile: {name[:_LONGEST]}... is too long for a name, at most {_LONGEST} letters are"
            )
        if "\0" in line:
            raise ProcfileError(f"Procfile: the command of {name} holds a zero byte")
    return found


def notes(tree: Path) -> Tuple[str, ...]:
    """Name what is passed over in a Procfile, where its writer may believe that it counts."""
    path = tree / "Procfile"
    if not path.is_file():
        return ()
    found = read(tree)
    if "web" not in found and "web" in map(str.lower, found):
        return ("Procfile: the line of the site begins with web: in small letters",)
    odd = next((line for line in _lines(path) if line and not _LINE.fullmatch(line)), None)
    if odd:
        return (f"Procfile: {odd!r} is passed over; a line is NAME: COMMAND, as in web: gunicorn app:app",)
    return () if found else ("Procfile: it names no process and is passed over",)


def _lines(path: Path) -> List[str]:
    # Only a line end ends a line: `splitlines` would cut a command at letters that a shell takes as any other.
    lines = (line.strip(_BLANKS) for line in text.read(path).split("\n"))
    return [line for line in lines if not line.startswith("#")]


def gunicorn_config(line: str) -> Optional[str]:
    """Name the configuration that a line hands to gunicorn; None where it names none."""
    words = _words(line)
    for index, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name in ("-c", "--config"):
            named = value if equals else "".join(words[index + 1 : index + 2])
            return named.replace("file:", "", 1)
    return None


def _words(line: str) -> List[str]:
    try:
        return shlex.split(line)
    except ValueError:
        return []


def runs_gunicorn(line: str) -> bool:
    """Whether a line starts gunicorn, by itself or through `python -m`."""
    words = _words(line)
    while words and "=" in words[0].split("/")[0] and not words[0].startswith("-"):
        words = words[1:]
    if words[:1] == ["exec"]:
        words = words[1:]
    name = words[0].rsplit("/", 1)[-1] if words else ""
    return name == "gunicorn" or (name.startswith("python") and words[1:3] == ["-m", "gunicorn"])
