"""The units of a release: started beside the live one, asked how they are, drained, stopped."""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import Callable, Dict, Iterable, List, Optional

from droplet import builds, command

GUILTY = 8
_STEADY = 60.0  # seconds after which a process that was started again is as good as before
_NOISE = re.compile(
    r"\[INFO\]|^\s*[\^~]+\s*$|\"[A-Z]+ /\S* HTTP/1\.[01]\" \d{3} |During handling of the above"
    r"|Worker exiting|Shutting down: Master|Reason: Worker failed to boot|Worker \(pid:\d+\) exited"
    r"|Main process exited|Failed with result|Scheduled restart|^Started |^Stopped |^Stopping |Consumed .* CPU"
)

_CRASHED = r"Worker \(pid:\d+\) (exited with code [1-9]|was sent SIG(KILL|SEGV|ABRT|BUS|ILL))"  # gunicorn's words


def name(number: int) -> str:
    """Name the unit of a release's web process."""
    return f"cloudship-app@{number}.service"


def worker(number: int, process: str, index: int) -> str:
    """Name the unit of one of a release's other processes."""
    return f"cloudship-worker@{number}-{process}-{index}.service"


def proxy(number: int) -> str:
    """Name the socket that leads to the port of a release that binds one."""
    return f"cloudship-proxy@{number}.socket"


def start_web(number: int, port: Optional[int], folder: Path) -> None:
    """Start a release's web process; one that only binds a port gets a proxy on the release's socket."""
    units = [name(number)]
    if port is not None:
        (folder / "port.env").write_text(f"PORT={port}\n", encoding="utf-8")
        units.append(proxy(number))
    command.run(["systemctl", "start", *units])


def stop_web(numbers: Iterable[int], *, wait: bool = False) -> None:
    """Stop the web processes of releases behind what visitors see, and forget that they failed."""
    numbers = tuple(numbers)
    for number in numbers:
        prioritize(number, builds.NICE)
    units = [one for number in numbers for one in (name(number), proxy(number), f"cloudship-proxy@{number}.service")]
    stop(units, wait=wait)


def stop(units: List[str], *, wait: bool = False) -> None:
    """Stop units, and forget that they failed; those that take their time are not waited for unless asked."""
    if units:
        command.output(["systemctl", "stop", *([] if wait else ["--no-block"]), *units])
        command.output(["systemctl", "reset-failed", *units])


def start(units: List[str]) -> None:
    """Have units started; nobody waits for them."""
    if units:
        command.run(["systemctl", "start", "--no-block", *units])


def prioritize(number: int, nice: int) -> None:
    """
    Give a release's web process a priority: 0 while visitors are led to it, else the last, for memory too.

    A release starts behind the live one (`Nice` in its unit), and ends behind it: a single core that is shared with
    four interpreters that begin or end makes visitors wait for fifty milliseconds.
    """
    shown = command.output(["systemctl", "show", "-p", "MainPID", "--value", name(number)]).strip()
    waiting = [int(shown)] if shown.isdigit() and int(shown) else []
    while waiting:
        pid = waiting.pop()
        with suppress(OSError):  # it ended meanwhile
            waiting += _renice(Path(f"/proc/{pid}/task"), nice)
            Path(f"/proc/{pid}/oom_score_adj").write_text(str(builds.OOM if nice else 0), encoding="ascii")


def _renice(tasks: Path, nice: int) -> List[int]:
    """Give every thread of a process a priority, for the kernel has one for each; return the process's children."""
    done, children = set(), []
    while new := {path.name for path in tasks.iterdir()} - done:  # one may have begun another before its turn came
        for task in new:
            with suppress(OSError):  # it ended meanwhile
                os.setpriority(os.PRIO_PROCESS, int(task), nice)  # before its children: those to come inherit it
                children += (tasks / task / "children").read_text(encoding="ascii").split()
        done |= new
    return [int(one) for one in children]


def kill(number: int) -> None:
    """End a web process that did not end by itself."""
    command.output(["systemctl", "kill", "--signal=KILL", name(number)])


def present() -> Dict[str, str]:
    """Find the units of all releases that systemd knows of, each with its state."""
    patterns = ["cloudship-app@*", "cloudship-worker@*", "cloudship-proxy@*"]
    shown = command.output(["systemctl", "list-units", "--all", "--plain", "--no-legend", "--full", *patterns])
    rows = (line.split() for line in shown.splitlines())
    return {row[0]: row[2] for row in rows if len(row) > 3}


def release_of(unit: str) -> Optional[int]:
    """Say to which release a unit belongs."""
    match = re.match(r"cloudship-(?:app|worker|proxy)@(\d+)[-.]", unit)
    return int(match.group(1)) if match else None


def death(number: int, *, known: int = 0) -> Optional[str]:
    """
    Say how a release's web process died, also when it was started again since; None while it lives.

    Args:
        number: the release.
        known: how many times it had been started again when that was no news any more, see `restarts`.
    """
    return _death(_told(number), known)


def restarts(number: int) -> int:
    """Count how many times a release's web process was started again because it had died; 0 where it does not run."""
    told = _told(number)
    return int(told["NRestarts"]) if _runs(told) else 0


def is_running(number: int) -> bool:
    """Whether a release's web process runs now."""
    return _runs(_told(number))


def state(number: int) -> str:
    """Say how a release's web process is: "running", or how it died, if that was a moment ago."""
    told = _told(number)
    entered = int(told.get("ActiveEnterTimestampMonotonic", "0")) / 1e6  # seconds since the system booted
    is_steady = told.get("SubState") == "running" and time.monotonic() - entered > _STEADY
    return _death(told, int(told["NRestarts"]) if is_steady else 0) or "running"


def _told(number: int) -> Dict[str, str]:
    asked = "Id,LoadState,ActiveState,SubState,NRestarts,ExecMainStatus,Result,ActiveEnterTimestampMonotonic"
    return command.properties(name(number), asked)


def _death(told: Dict[str, str], known: int) -> Optional[str]:
    if not told:  # systemd does not answer, which says nothing about the process
        return None
    if not _runs(told):
        if told.get("LoadState") == "not-found":
            return f"there is no unit file for {told['Id']}"
        return f"the process ended with status {told['ExecMainStatus']} ({told['Result']})"
    again = int(told["NRestarts"]) - known
    times = f" {again} times" if again > 1 else ""
    return f"the process ended and was started again{times}" if again > 0 else None


def _runs(told: Dict[str, str]) -> bool:
    starts = told.get("ActiveState") == "activating" and told.get("SubState") in ("start", "start-post")
    return starts or told.get("SubState") == "running"


def crashes(number: int, since: float) -> int:
    """Count the workers that a release lost since then (unix time); its server goes on, and makes new ones."""
    asked = ["journalctl", "-q", "-o", "cat", "-u", name(number), f"--since=@{since:.0f}", f"--grep={_CRASHED}"]
    return len(command.output(asked).splitlines())


def last_lines(number: int, count: int = GUILTY) -> List[str]:
    """Give the guilty lines of a release's log: the last ones, without what servers always say."""
    command.output(["timeout", "5", "journalctl", "--sync"])  # the very last may still be on their way
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


def drain(socket: Path, *, limit: float, stop: Callable[[], bool]) -> bool:
    """
    Wait until nobody is connected to a socket and nobody waits to be: three looks in a row.

    A listener that is closed with connections in its backlog cuts them, which visitors see as an error.

    Args:
        socket: the release's own.
        limit: seconds.
        stop: asked at each look; true ends it.

    Returns:
        Whether it is quiet; false: the limit came first, or the end was asked for.
    """
    deadline, quiet, pause = time.monotonic() + limit, 0, 0.02
    while quiet < 3:
        if time.monotonic() > deadline or stop():
            return False
        quiet = 0 if busy(command.output(["ss", "-xaH", "src", str(socket)])) else quiet + 1
        pause = 0.02 if quiet else min(pause * 1.5, 0.5)
        time.sleep(pause)
    return True


def busy(shown: str) -> bool:
    """Read in the lines of `ss` whether somebody is connected to a socket, or waits to be."""
    rows = (line.split() for line in shown.splitlines())
    return any(row[1] != "LISTEN" or row[2] != "0" for row in rows if len(row) > 2)
