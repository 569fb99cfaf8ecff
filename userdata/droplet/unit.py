"""The units of a release: started beside the live one, asked how they are, drained, stopped."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import List, Optional

from droplet import command

GUILTY = 8
_NOISE = re.compile(
    r"\[INFO\]|^\s*[\^~]+\s*$|\"[A-Z]+ /\S* HTTP/1\.[01]\" \d{3} |During handling of the above"
    r"|Worker exiting|Shutting down: Master|Reason: Worker failed to boot|Worker \(pid:\d+\) exited"
    r"|Main process exited|Failed with result|Scheduled restart|^Started |^Stopped |^Stopping |Consumed .* CPU"
)


def name(number: int) -> str:
    """Name the unit of a release's web process."""
    return f"cloudship-app@{number}.service"


def start(number: int, port: Optional[int], folder: Path) -> None:
    """Start a release's web process; one that only binds a port gets a proxy on the release's socket."""
    command.run(["systemctl", "start", name(number)])
    if port is not None:
        (folder / "port.env").write_text(f"PORT={port}\n", encoding="utf-8")
        command.run(["systemctl", "start", f"cloudship-proxy@{number}.socket"])


def stop(number: int) -> None:
    """Stop a release's processes, and forget that they failed."""
    units = [name(number), f"cloudship-proxy@{number}.socket", f"cloudship-proxy@{number}.service"]
    command.output(["systemctl", "stop", *units])
    command.output(["systemctl", "reset-failed", name(number)])


def death(number: int) -> Optional[str]:
    """Say how a release's process died; None while it lives."""
    shown = command.output(
        ["systemctl", "show", "-p", "ActiveState,SubState,NRestarts,ExecMainStatus,Result", name(number)]
    )
    told = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    if told.get("NRestarts", "0") == "0" and told.get("SubState") == "running":
        return None
    if told.get("ActiveState") == "activating" and told.get("SubState") == "start":
        return None
    return f"the process ended with status {told.get('ExecMainStatus', '?')} ({told.get('Result', 'unknown')})"


def last_lines(number: int, count: int = GUILTY) -> List[str]:
    """Give the guilty lines of a release's log: the last ones, without what servers always say."""
    shown = command.output(["journalctl", "-q", "-o", "cat", "-n", "200", "-u", name(number)])
    return guilty(shown.splitlines())[-count:]


def guilty(lines: List[str]) -> List[str]:
    """Choose what the app itself said: without the server's own words, access lines and markers under code."""
    found: List[str] = []
    for line in lines:
        if line.startswith("gunicorn.errors.HaltServer"):  # its traceback only says that a worker failed
            starts = [index for index, one in enumerate(found) if one.startswith("Traceback ")]
            del found[starts[-1] if starts else len(found) :]
        elif line.strip() and not _NOISE.search(line):
            found.append(line.rstrip())
    return found


def drain(socket: Path, *, limit: float = 10.0) -> None:
    """
    Wait until nobody is connected to a socket and nobody waits to be: three looks in a row.

    A listener that is closed with connections in its backlog cuts them, which visitors see as an error.
    """
    deadline, quiet = time.monotonic() + limit, 0
    while quiet < 3 and time.monotonic() < deadline:
        shown = command.output(["ss", "-xaH", "src", str(socket)])
        busy = any(
            line.split()[1] != "LISTEN" or line.split()[2] != "0"
            for line in shown.splitlines()
            if len(line.split()) > 2
        )
        quiet = 0 if busy else quiet + 1
        time.sleep(0.02)
