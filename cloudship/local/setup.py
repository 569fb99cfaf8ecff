"""What this machine lacks for the local cloud to boot machines, and how to install it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cloudship.local import programs
from cloudship.local.errors import LocalCloudError
from cloudship.local.machines.base import DriverError

DEFAULT_IMAGE = "ubuntu-20-04-x64"
_PROGRAMS = {**programs.BOOTING, "git": "git", "ssh": "openssh-client"}
_POLICY = Path("/usr/sbin/policy-rc.d")


@dataclass(frozen=True)
class Step:
    """One thing to do."""

    title: str
    command: str  # what a person would type


def missing_packages() -> tuple[str, ...]:
    """Name Debian's packages that are missing."""
    return tuple(package for program, package in _PROGRAMS.items() if programs.find(program) is None)


def missing(driver: str = "nspawn") -> tuple[Step, ...]:
    """
    List what has to be done before droplets can boot here, in order.

    Args:
        driver: `none` needs nothing.
    """
    if driver != "nspawn":
        return ()
    steps = []
    if packages := missing_packages():
        sudo = "" if os.geteuid() == 0 else "sudo "
        steps.append(Step(f"install {', '.join(packages)}", f"{sudo}apt-get install -y {' '.join(packages)}"))
    if not steps and _image_built():
        return ()
    return (*steps, Step(f"build the root file system of {DEFAULT_IMAGE}, once", "cloudship local setup"))


def install(tell: Callable[[str], None]) -> None:
    """
    Do what is missing; root only.

    Raises:
        LocalCloudError: apt failed, the mirrors do not answer, or we are not root.
    """
    if os.geteuid() != 0:
        raise LocalCloudError("installing needs root; run it with sudo")
    if packages := missing_packages():
        _apt(packages, tell)
    if not _image_built():
        _build(tell)


def _image_built() -> bool:
    from cloudship.local.machines.rootfs import built, recipe

    try:
        return built(recipe(DEFAULT_IMAGE)) is not None
    except DriverError:
        return False


def _build(tell: Callable[[str], None]) -> None:
    from cloudship.local.machines.rootfs import build, recipe
    from cloudship.local.machines.rootfs.recipe import archive_sources

    if not archive_sources():
        _run(["apt-get", "update"], tell)
        archive_sources.cache_clear()
    try:
        build(recipe(DEFAULT_IMAGE), tell)
    except DriverError as error:
        raise LocalCloudError(str(error)) from error


def _apt(packages: tuple[str, ...], tell: Callable[[str], None]) -> None:
    tell(f"installing {', '.join(packages)}")
    _run(["apt-get", "-q", "update"], tell)
    made = not _POLICY.exists()
    if made:  # no package may start a service on a machine that only wants to boot droplets
        _POLICY.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
        _POLICY.chmod(0o755)
    try:
        _run(["apt-get", "-q", "-y", "--no-install-recommends", "install", *packages], tell)
    finally:
        if made:
            _POLICY.unlink()


def _run(words: list[str], tell: Callable[[str], None]) -> None:
    environment = {**programs.environment(), "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    except FileNotFoundError as error:
        raise LocalCloudError(f"{words[0]} is not here: the local cloud needs Debian or Ubuntu") from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise LocalCloudError(f"`{' '.join(words)}` failed:\n" + "\n".join(said[-5:]))
    tell(f"{' '.join(words[:3])} done")
