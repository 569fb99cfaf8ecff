"""
Commands on the host: the one place that runs them, so that every failure says what was run.

Each inherits the descriptor by which the server holds its directory: where the server is killed, the next one begins
when the last command of this one has ended, and never works beside it.
"""

from __future__ import annotations

import subprocess

from cloudship.local import programs
from cloudship.local.machines.base import DriverError


def run(*words: str, stdin: str | None = None) -> str:
    """
    Run a command and give what it printed.

    Raises:
        DriverError: it failed or does not exist; with the command and its last lines.
    """
    try:
        done = _done(words, stdin)
    except FileNotFoundError as error:
        raise DriverError(f"{words[0]} is not installed; run: cloudship local setup") from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise DriverError(f"`{' '.join(words)}` failed: {' / '.join(said)}")
    return done.stdout


def succeeds(*words: str) -> bool:
    """Run a command only to see whether it succeeds."""
    try:
        return _done(words).returncode == 0
    except FileNotFoundError:
        return False


def _done(words: tuple[str, ...], stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    found = programs.environment()
    return subprocess.run(words, input=stdin, capture_output=True, text=True, check=False, close_fds=False, env=found)
