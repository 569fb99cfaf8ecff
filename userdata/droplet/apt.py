"""
Debian packages on a first boot, where the lock may be held and a mirror may stumble.

Services do not start while packages are installed (that alone saves a second): nginx starts when its site is there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Callable, List, Sequence

from droplet import command
from droplet.journal import StageError

BASE = ("nginx-light", "git")
TRIES = 3
_POLICY = Path("/usr/sbin/policy-rc.d")
_OPTIONS = (
    "-qq",
    "-y",
    "-o=DPkg::Lock::Timeout=300",  # seconds; unattended-upgrades may hold it
    "-o=Acquire::Retries=3",
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


def install(packages: Sequence[str], say: Callable[[str], None], git_works: Callable[[], bool] = lambda: True) -> None:
    """
    Install packages and look that they are there.

    Args:
        packages: what the app needs besides our own.
        say: hears every line.
        git_works: called when git can be used, which it can before all is set up, until it says that it was heard; not
            where the app needs packages, which a release made at that moment would miss.

    Raises:
        StageError: no mirror, no such package, or the installation failed; with apt's own lines.
    """
    wanted = [*BASE, *(one for one in packages if one not in BASE)]
    _POLICY.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
    _POLICY.chmod(0o755)
    try:
        _persist(["update"], say)
        _persist(["install", *wanted], say if packages else _Listening(say, git_works))
    finally:
        _POLICY.unlink()
    _check(wanted)


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


def _persist(words: List[str], say: Callable[[str], None]) -> None:
    """Try again what a mirror's bad moment spoilt; what no mirror has fails at once."""
    for left in range(TRIES - 1, -1, -1):
        try:
            command.run(["apt-get", *_OPTIONS, *words], say=say, env=_environment(), limit=600)
        except StageError as error:
            hopeless = any("Unable to locate package" in line for line in error.lines)
            if not left or hopeless:
                raise StageError(f"apt-get {words[0]} failed", _guilty(error.lines)) from error
            say(f"apt-get {words[0]} failed, trying again")
            time.sleep(TRIES - left)
        else:
            return


def _guilty(lines: List[str]) -> List[str]:
    return [line for line in lines if line.startswith(("E:", "W:", "Err:"))] or lines


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
