"""The checkout that a ship was launched from: tied to it by the remote `ship`, and released when the ship goes."""

from __future__ import annotations

import os
from pathlib import Path

from cloudship import git
from cloudship.git import checkout
from cloudship.keys import LaunchFiles, ssh_config


def tie(folder: Path, files: LaunchFiles, *, name: str, address: str) -> str | None:
    """
    Set up the remote `ship` in a checkout, and say what the user can do with it, or why it was not set up.

    Args:
        folder: where the ship was launched from.
        files: the launch's.
        name: the ship's.
        address: the droplet's.

    Returns:
        A sentence; None where the folder is no checkout.
    """
    files.save_config(address)
    if folder.stat().st_uid != os.geteuid():  # git would make its configuration ours
        return None
    files.save_checkout(folder)  # first, so that whatever is tied can be untied
    linked = checkout.link(folder, url=_url(files, name), ssh_config=ssh_config())
    if linked.branch is None:
        return f"git push does not deploy from here: {linked.reason}" if linked.reason else None
    ref = linked.branch if linked.branch == "main" else f"{linked.branch}:main"
    return f"git push {checkout.REMOTE} {ref} deploys from here"


def forget(files: LaunchFiles, *, name: str) -> None:
    """Remove a launch's files, and the remote that led to it; the droplet has been proved gone."""
    folder = files.tied_checkout()
    if folder is not None:
        checkout.unlink(folder, url=_url(files, name), ssh_config=ssh_config())
    files.remove()


def _url(files: LaunchFiles, name: str) -> str:
    return git.repository_url(files.host, name)
