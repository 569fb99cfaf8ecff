"""Start, stop, ask and reset a local cloud: what the command line and the tests do with it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cloudship.local import endpoint, programs
from cloudship.local.endpoint import Endpoint, directory_of
from cloudship.local.errors import LocalCloudError, NoAnswer
from cloudship.local.handle import LocalCloud
from cloudship.local.machines.base import Driver
from cloudship.local.machines.registry import NAMES
from cloudship.local.machines.registry import driver as make_driver
from cloudship.local.turns import served, serving_alone, turn

START_LIMIT = 120.0  # seconds; machines that were active boot within it
STOP_LIMIT = 60.0
_DATABASE = "account.sqlite"
_STATE = (_DATABASE, f"{_DATABASE}-wal", f"{_DATABASE}-shm", "machines", "machines.json", "network.json")


@dataclass(frozen=True)
class Status:
    """How a local cloud is."""

    endpoint: Endpoint | None
    directory: Path
    droplets: int


def start(
    directory: Path | None = None, *, driver: str = "nspawn", port: int | None = None, transitions: str | None = None
) -> Endpoint:
    """
    Start the local cloud of a directory, or find it running.

    Args:
        directory: default `CLOUDSHIP_LOCAL_DIR`, else the user's state directory.
        driver: what gives droplets a body.
        port: where it listens on 127.0.0.1; None: a free one.
        transitions: how long things take: `immediate`, `realistic`, or seconds; one that runs is set to it too.

    Raises:
        LocalCloudError: it does not start, the message carries what it said; or it runs and does not answer.
    """
    place = directory_of(directory)
    own(place)
    with turn(place):
        if found := _settled(place):
            if found.driver != driver:
                raise LocalCloudError(
                    f"The local cloud in {place} runs with driver {found.driver}, not {driver}; stop or reset it first"
                )
            if port is not None and not found.url.endswith(f":{port}"):
                raise LocalCloudError(
                    f"The local cloud in {place} runs at {found.url}, not at port {port}; stop it first"
                )
            _droplets(found)
            if transitions is not None:
                LocalCloud(found.url, found.token).transitions = transitions
            return found
        if reason := make_driver(driver, place).unavailable():
            raise LocalCloudError(reason)
        log = place / "server.log"
        process = _spawn(place, driver, port or 0, transitions, log)
        return _answering(process, place, log)


def own(place: Path) -> None:
    """Make a local cloud's directory, for its owner alone; one that holds other things keeps its mode."""
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    ours = not any(place.iterdir()) or (place / "token").exists()
    if ours and place.stat().st_uid == os.geteuid():
        place.chmod(0o700)


def stop(directory: Path | None = None) -> bool:
    """
    Stop the local cloud of a directory: machines off, network gone, state and disks kept.

    Machines and network that a killed server left behind are stopped just the same.

    Returns:
        Whether anything was running.

    Raises:
        LocalCloudError: it did not end in time.
    """
    place = directory_of(directory)
    if not place.is_dir():
        return False
    with turn(place):
        return _stop(place)


def _stop(place: Path) -> bool:
    found = _settled(place)
    if found is None:
        return any(_swept(make_driver(name, place), place) for name in NAMES)
    with suppress(ProcessLookupError):
        os.kill(found.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_LIMIT
    while endpoint.process_started(found.pid) == found.started:
        _reap(found.pid)
        if time.monotonic() > deadline:
            raise LocalCloudError(
                f"The local cloud (process {found.pid}) does not end; kill -KILL {found.pid}, then stop it again, "
                f"which ends its machines. What it said is in {place}/server.log"
            )
        time.sleep(0.02)
    return True


def _swept(machines: Driver, place: Path) -> bool:
    """Stop what a killed server left running, as it would have done itself."""
    if machines.unavailable() is not None or not machines.is_open():
        return False
    from cloudship.local.server import assembled

    with serving_alone(place), assembled(place, machines, token="") as context:
        context.bodies.suspend()
    return True


def status(directory: Path | None = None) -> Status:
    """
    Say whether a local cloud runs, and how many droplets it has.

    Raises:
        LocalCloudError: it is somebody else's, or does not answer.
    """
    place = directory_of(directory)
    found = endpoint.read(place)
    return Status(found, place, _recorded(place) if found is None else _droplets(found))


def reset(directory: Path | None = None) -> None:
    """Stop the local cloud of a directory and destroy all it ever made."""
    place = directory_of(directory)
    if not place.is_dir():
        return
    with turn(place):
        found = _settled(place)
        _stop(place)
        for name in (found.driver,) if found else NAMES:
            _emptied(make_driver(name, place))
        for name in _STATE:
            path = place / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def _emptied(machines: Driver) -> None:
    if machines.unavailable() is None and ((known := machines.known()) or machines.is_open()):
        for droplet_id in known:
            machines.destroy(droplet_id)
        machines.close()


def _settled(place: Path) -> Endpoint | None:
    """Find the server that answers; one that is still coming up or going down is waited for."""
    deadline = time.monotonic() + START_LIMIT
    while (found := endpoint.read(place)) is None and served(place):
        if time.monotonic() > deadline:
            raise LocalCloudError(f"A server of {place} neither answers nor ends; see {place}/server.log")
        time.sleep(0.01)
    return found


def _spawn(place: Path, driver: str, port: int, transitions: str | None, log: Path) -> subprocess.Popen[bytes]:
    words = [*programs.python("cloudship.local.server"), "--directory", str(place)]
    words += ["--driver", driver, "--port", str(port)]
    words += ["--transitions", transitions] if transitions is not None else []
    with serving_alone(place) as taken, _private(log) as file:
        words += ["--place", str(taken)]  # taken before it runs: it is found even if we are killed now
        return subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
            pass_fds=(taken,),
            env=programs.environment(),
        )


def _private(path: Path) -> BinaryIO:
    """Begin a file that nobody else may read, whatever the umask; never through somebody's link."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    os.fchmod(descriptor, 0o600)
    return os.fdopen(descriptor, "wb")


def _answering(process: subprocess.Popen[bytes], place: Path, log: Path) -> Endpoint:
    deadline = time.monotonic() + START_LIMIT
    while time.monotonic() < deadline:
        if found := endpoint.read(place):
            process.returncode = 0  # it is nobody's child any more: no warning when we end before it does
            return found
        if process.poll() is not None:
            said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise LocalCloudError("The local cloud did not start: " + "\n".join(said[-5:]))
        time.sleep(0.01)
    process.kill()
    raise LocalCloudError(f"The local cloud did not answer within {START_LIMIT:g} s; see {log}")


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return  # another process started it


def _droplets(found: Endpoint) -> int:
    """Ask a server how many droplets it has: one that hangs is a process that runs, too."""
    try:
        return int(LocalCloud(found.url, found.token).status()["droplets"])
    except NoAnswer as error:
        raise NoAnswer(f"{error} (process {found.pid})") from error


def _recorded(place: Path) -> int:
    import sqlite3

    file = place / _DATABASE
    if not file.exists():
        return 0
    if not os.access(file, os.R_OK):
        raise LocalCloudError(f"{file} is somebody else's; ask as its owner, or as root")
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    try:
        return int(connection.execute("SELECT count(*) FROM droplets").fetchone()[0])
    except sqlite3.OperationalError:  # a start that was cut off before it made its tables
        return 0
    finally:
        connection.close()
