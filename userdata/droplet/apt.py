"""
Debian packages on a first boot, where the lock may be held and a mirror may stumble.

Services do not start while packages are installed (that alone saves a second): nginx starts when its site is there.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import struct
import subprocess
import time
from pathlib import Path
from typing import Callable, List, Optional, Sequence, Set

from droplet import command
from droplet.journal import StageError

BASE = ("nginx-light", "git")
TRIES = 3
ENOUGH = 240.0  # seconds after which nothing is tried again
_OURS = {"nginx.service"}  # it starts when its site is there
LIMITS = {"update": 300.0, "install": 600.0}  # seconds for one run
_POLICY = Path("/usr/sbin/policy-rc.d")
_OPTIONS = (
    "-qq",
    "-y",
    "-o=DPkg::Lock::Timeout=300",  # seconds; unattended-upgrades may hold it
    "-o=Acquire::Retries=1",  # of each file; all of it is tried again besides
    "-o=Acquire::http::Timeout=20",
    "-o=Acquire::Languages=none",
    "-o=APT::Install-Recommends=false",
    "-o=APT::Cmd::Pattern-Only=true",  # else a name that no package has, with a dot in it, would be a pattern
    "-o=Dpkg::Use-Pty=0",
    "-o=Dpkg::Options::=--force-confdef",
    "-o=Dpkg::Options::=--force-confold",
    # The droplet is seconds old: if it loses its power now it is made anew, nothing is worth an fsync per file.
    "-o=Dpkg::Options::=--force-unsafe-io",
)

_HOPELESS = ("Unable to locate package", "has no installation candidate", "No space left on device")
_INTERRUPTED = "dpkg was interrupted"
_GUILTY = ("E:", "W:", "Err:", "dpkg: error", "dpkg-deb: error")
_CAUSES = (  # what apt says, and what that means; the first that fits
    ("No space left on device|enough free space", "no space is left on the droplet's disk"),
    ("Read-only file system", "the droplet's disk cannot be written to"),
    ("Could not get lock|Unable to acquire the dpkg", "another program holds dpkg's lock"),
    (_INTERRUPTED, "an earlier installation was cut off, and cannot be finished"),
    ("resolving|resolve", "the mirror's name cannot be resolved; DNS does not work there"),
    ("Hash Sum mismatch|unexpected size", "the mirror hands out files that are not what its lists say"),
    (
        "not valid yet|is expired",
        "the mirror's lists are not of this time; they, or the droplet's clock, are wrong",
    ),
    (
        "signature|NO_PUBKEY|NOSPLIT|NODATA|BADSIG|gpgv",
        "the mirror's lists are not signed as they should be",
    ),
    ("Unable to locate package|no installation candidate", "no mirror has such a package"),
    ("Failed to fetch|[Cc]onnect|does not have a Release file|did not end within", "the mirror does not answer well"),
    ("dpkg returned an error|dpkg: error", "a package could not be set up"),
)


def install(packages: Sequence[str], say: Callable[[str], None], git_works: Callable[[], bool] = lambda: True) -> None:
    """
    Install packages and look that they are there.

    Args:
        packages: what the app needs besides our own.
        say: hears every line.
        git_works: called when git can be used, which it can before all is set up, until it says that it was heard; not
            where the app needs packages, which a release made at that moment would miss.

    Raises:
        StageError: no mirror, no such package, or the installation failed; with the cause, and apt's own lines.
    """
    wanted = [*BASE, *(one for one in packages if one not in BASE)]
    before = _services() if packages else set()
    _POLICY.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
    _POLICY.chmod(0o755)
    try:
        lacking = _update(say)
        holder = held_by()
        if holder:
            say(f"waiting for dpkg's lock: {holder}")
        try:
            _persist(["install", *wanted], say if packages else _Listening(say, git_works))
        except StageError as error:
            raise (_failure("update", lacking) if lacking else error) from error
    finally:
        _POLICY.unlink()
    _check(wanted)
    new = _services() - before - _OURS if packages else set()
    if new:
        say(f"starting {', '.join(sorted(new))}")
        try:
            command.run(["systemctl", "start", *sorted(new)], limit=LIMITS["install"])
        except StageError as error:  # whether the app can do without is seen when it is asked
            say(f"{error}; {' / '.join(error.lines[-1:])}")


def _services() -> Set[str]:
    """Name what starts with every boot, and so is to run from now on."""
    kinds = "--type=service,socket,timer"
    shown = command.output(["systemctl", "list-unit-files", "--state=enabled", "--plain", "--no-legend", kinds])
    return {line.split()[0] for line in shown.splitlines() if line.strip()}


def _update(say: Callable[[str], None]) -> List[str]:
    """Fetch the lists, and give what apt said of those that did not come: it takes that for no failure."""
    say(f"fetching the lists of {', '.join(mirrors()) or 'no mirror at all'}")
    lacking: List[str] = []

    def fetch() -> None:
        said = _run(["update"], say)
        lacking[:] = [line for line in said if line.startswith("W: Failed to fetch")]
        if lacking:
            raise StageError("apt-get update failed", lacking)

    try:
        _again("update", fetch, say)
    except StageError:
        if not lacking:
            raise
    return lacking


def mirrors(folder: Path = Path("/etc/apt")) -> List[str]:
    """Name the mirrors that apt is told of."""
    files = [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]
    texts = [one.read_text(encoding="utf-8", errors="replace") for one in files if one.is_file()]
    lines = [line for text in texts for line in text.splitlines() if not line.lstrip().startswith("#")]
    return sorted({found for line in lines for found in re.findall(r"\bhttps?://[^/\s]+", line)})


class _Listening:
    """Hears what apt says, and looks for git once everything is unpacked and the setting up begins."""

    def __init__(self, say: Callable[[str], None], git_works: Callable[[], bool]) -> None:
        self._say, self._git_works = say, git_works
        self._heard = False

    def __call__(self, line: str) -> None:
        self._say(line)
        if not self._heard and line.startswith("Setting up ") and _git_runs():
            self._heard = self._git_works()


def _git_runs() -> bool:
    return bool(shutil.which("git") and command.output(["git", "--version"]))


def held_by(path: Path = Path("/var/lib/dpkg/lock-frontend")) -> Optional[str]:
    """Say who holds a lock of dpkg's; None: nobody. Apt waits for it without a word."""
    if not path.exists():
        return None
    with path.open("r+b") as file:
        told = fcntl.fcntl(file, fcntl.F_GETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
    kind, _, _, _, pid = struct.unpack("hhqqi4x", told)
    if kind == fcntl.F_UNLCK:
        return None
    name = Path(f"/proc/{pid}/comm")
    return f"{path} is held by process {pid}" + (f" ({name.read_text().strip()})" if name.exists() else "")


def _persist(words: List[str], say: Callable[[str], None]) -> None:
    _again(words[0], lambda: _run(words, say), say)


def _run(words: List[str], say: Callable[[str], None]) -> List[str]:
    said: List[str] = []  # all of it: what is guilty may stand long before the end

    def hear(line: str) -> None:
        said.append(line)
        say(line)

    try:
        command.run(["apt-get", *_OPTIONS, *words], say=hear, env=_environment(), limit=LIMITS[words[0]])
    except StageError as error:
        raise StageError(str(error), [line for line in said if line.strip()]) from error
    return said


def _again(verb: str, work: Callable[[], object], say: Callable[[str], None]) -> None:
    """Try again what a mirror's bad moment spoilt; what no mirror has fails at once, and so does what took long."""
    deadline = time.monotonic() + ENOUGH
    for left in range(TRIES - 1, -1, -1):
        try:
            work()
        except StageError as error:
            text = "\n".join(error.lines)
            if not left or time.monotonic() > deadline or any(one in text for one in _HOPELESS):
                raise _failure(verb, [*error.lines, str(error)]) from error
            if _INTERRUPTED in text:
                _finish_interrupted(say)
            say(f"apt-get {verb} failed, trying again")
            time.sleep(TRIES - left)
        else:
            return


def _finish_interrupted(say: Callable[[str], None]) -> None:
    """Set up what somebody's installation left half done: apt refuses everything until then."""
    say("an earlier installation was cut off; finishing it")
    command.output(["dpkg", "--configure", "-a", "--force-confdef", "--force-confold"])


def _failure(verb: str, said: Sequence[str]) -> StageError:
    """Make the error of a run of apt: the cause in words, then its own lines, each once."""
    guilty = [line for line in said if line.startswith(_GUILTY)] or list(said)[-command.GUILTY :]
    text = "\n".join(said)
    cause = next((words for pattern, words in _CAUSES if re.search(pattern, text)), None)
    once = list(dict.fromkeys(guilty))[: command.GUILTY]
    return StageError(f"apt-get {verb} failed" + (f": {cause}" if cause else ""), once)


def _environment() -> dict:
    return {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}


def missing(packages: Sequence[str]) -> List[str]:
    """Name the packages that are not installed."""
    # dpkg-query fails for names that nobody knows, and still prints the others.
    asked = ["dpkg-query", "-W", "-f=${Package} ${db:Status-Status}\n", *packages]
    shown = subprocess.run(asked, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout.decode()
    there = {line.split()[0] for line in shown.splitlines() if line.endswith(" installed")}
    return [one for one in packages if one not in there]


def _check(packages: Sequence[str]) -> None:
    lacking = missing(packages)
    if lacking:
        raise StageError(f"apt-get said all went well, yet {', '.join(lacking)} is not installed")
