"""Our own verbs again under sudo: in the folders of whoever called, and with their way to the network."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from cloudship.errors import LocalCloudUnavailable

# What decides where things lie, and what a root file system is built from. Their values may be secret (a proxy's
# password, an index's token): sudo keeps them by name, they are never its words.
_FOLDERS = ("CLOUDSHIP_LOCAL_DIR", "CLOUDSHIP_CACHE_DIR", "CLOUDSHIP_LOCAL_DRIVER", "XDG_CACHE_HOME", "XDG_STATE_HOME")
_FILES = ("SSL_CERT_FILE", "PIP_CONFIG_FILE")


def needed() -> bool:
    """Whether this process lacks what booting machines needs."""
    return os.geteuid() != 0


def again(words: Sequence[str], *unsaid: str) -> None:
    """
    Run a verb of `cloudship local` again under sudo.

    Args:
        words: the verb and its options.
        unsaid: options more, which a person who types the verb as root has no use for.

    Raises:
        LocalCloudUnavailable: sudo is not here, does not give root, or the verb failed; what it said has been seen.
    """
    from cloudship.local import programs

    typed = f"as root: {_command(words)}"
    if shutil.which("sudo") is None:
        raise LocalCloudUnavailable("Booting droplets needs root, and sudo is not here", next_step=typed)
    _make_folders()
    sudo = ["sudo"] if sys.stdin.isatty() else ["sudo", "-n"]
    if subprocess.run([*sudo, "-v"], check=False).returncode != 0:
        raise LocalCloudUnavailable("The local cloud needs root, and sudo did not give it", next_step=typed)
    if kept := ",".join(_given(os.environ)):
        sudo.append(f"--preserve-env={kept}")
    ours = [*programs.python("cloudship"), "local", *words, *unsaid]
    if subprocess.run([*sudo, "env", f"HOME={Path.home()}", *ours], check=False).returncode != 0:
        raise LocalCloudUnavailable(f"`cloudship local {words[0]}` failed as root", next_step="cloudship doctor")


def _command(words: Sequence[str]) -> str:
    """Write what a person with root types, so that it acts in the caller's folders and not in root's."""
    places = [f"{name}={os.environ[name]}" for name in _FOLDERS if os.environ.get(name)]
    return shlex.join(["env", f"HOME={Path.home()}", *places, sys.executable, "-m", "cloudship", "local", *words])


def hand_over(place: Path, names: Sequence[str]) -> None:
    """Give files that root made to whoever the folder belongs to: only booting needs root, not asking."""
    owner = place.stat()
    if os.geteuid() != 0 or owner.st_uid == 0:
        return
    for name in names:
        try:
            os.chown(place / name, owner.st_uid, owner.st_gid, follow_symlinks=False)
        except FileNotFoundError:
            continue


def _given(environ: Mapping[str, str]) -> list[str]:
    from cloudship.local.machines.rootfs.host import VARIABLES

    return [name for name in (*_FOLDERS, *_FILES, *VARIABLES) if environ.get(name)]


def _make_folders() -> None:
    """Make the caller's own folders as the caller: what root makes on the way, the caller could not use."""
    from cloudship.local import endpoint
    from cloudship.local.machines.rootfs.build import cache_folder

    try:
        endpoint.directory_of().mkdir(parents=True, exist_ok=True, mode=0o700)
        cache_folder().mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LocalCloudUnavailable(
            f"The local cloud's folders cannot be made: {error}",
            next_step="export CLOUDSHIP_LOCAL_DIR=... CLOUDSHIP_CACHE_DIR=..., folders that you may write to",
        ) from error
