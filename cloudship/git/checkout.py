"""
The user's own checkout: the remote `ship`, so that `git push ship main` releases.

The one place that writes to a repository of the user's, and only these settings of its local configuration. The
remote's host is an alias: key, address and pinned host key come from a file of ours that ssh is pointed to, which
includes the user's own, so that every other remote is reached as before.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from cloudship.errors import GitError
from cloudship.git import process

REMOTE = "ship"
_SSH = "core.sshCommand"
_CONFIGURED = ("config", "--local", "--get", f"remote.{REMOTE}.url")  # `get-url` tells what insteadOf makes of it


@dataclass(frozen=True)
class Linked:
    """What became of the attempt to set up the remote."""

    branch: str | None  # what is checked out, which is what would be pushed; None: the remote was not set up
    reason: str = ""  # why not


def link(folder: Path, *, url: str, ssh_config: Path) -> Linked:
    """
    Set up the remote, where the folder is the top of a repository.

    Args:
        folder: the checkout.
        url: where pushes go, with the alias for a host.
        ssh_config: the file that knows the alias.
    """
    if _ask(folder, "rev-parse", "--show-toplevel") != str(folder):
        return Linked(None)
    there = _ask(folder, *_CONFIGURED)
    if there is not None and not _is_ours(there):
        return Linked(None, f"the remote {REMOTE} leads to {there}")
    command = shlex.join(["ssh", "-F", str(ssh_config)])
    configured = _ask(folder, "config", "--get", _SSH)
    if configured not in (None, command):
        return Linked(None, f"{_SSH} is set to something else: {configured}")
    branch = _ask(folder, "symbolic-ref", "--short", "HEAD")
    if branch is None:
        return Linked(None, "no branch is checked out")
    if there is not None:
        _ask(folder, "remote", "remove", REMOTE)
    for words in (("config", _SSH, command), ("remote", "add", REMOTE, url)):
        if _ask(folder, *words) is None:
            return Linked(None, f"`git {' '.join(words[:2])}` failed")
    return Linked(branch)


def unlink(folder: Path, *, url: str, ssh_config: Path) -> None:
    """
    Take away what `link` set up, as far as it is still there and no other ship's.

    Raises:
        GitError: git could not, for lack of room or of permission.
    """
    if not folder.is_dir() or _ask(folder, *_CONFIGURED) != url:
        return
    _ask(folder, "remote", "remove", REMOTE)  # where the disk is full, git says so and ends well all the same
    if _ask(folder, *_CONFIGURED) == url:
        raise GitError(f"git cannot take the remote {REMOTE} out of {folder}")
    if _ask(folder, "config", "--local", "--get", _SSH) == shlex.join(["ssh", "-F", str(ssh_config)]):
        _ask(folder, "config", "--local", "--unset", _SSH)


def _is_ours(url: str) -> bool:
    return url.startswith("ssh://root@") and url.partition("@")[2].partition("/")[0].endswith(".cloudship")


def _ask(folder: Path, *words: str) -> str | None:
    """Call git in the user's repository; None when it says no."""
    outcome = process.call(["git", *process.TAME, *words], environ=process.inherited(), cwd=folder)
    return outcome.out.decode("utf-8", "surrogateescape").strip() if outcome.status == 0 else None
