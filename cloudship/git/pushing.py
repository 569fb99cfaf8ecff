"""The push that releases: the droplet's hook speaks while it works, and its word decides."""

from __future__ import annotations

import os
import re
import selectors
import shlex
import shutil
import subprocess
from collections.abc import Callable, Sequence

from cloudship import verdict
from cloudship.errors import GitError, ProgramMissing, ReleaseFailed, WaitTimeout
from cloudship.git import process
from cloudship.git.repository import Repository
from cloudship.source import SourceTree
from cloudship.waiting import REAL, Clock

_LONGEST = 1 << 16  # bytes of a line; more is handed on in pieces
_TICK = 0.2  # seconds
_CHUNK = 65536  # bytes
DEPLOYED = "refs/cloudship/deployed/"  # no branch: what is sent this way has no history to go on from
_LAUNCH_AGAIN = "mend it, and cloudship up again; with --on-failure keep the droplet stays for a look"


def repository_url(host: str, name: str) -> str:
    """Say where a ship's app is pushed to; the host may be an address, or a name that OpenSSH's configuration knows."""
    return f"ssh://root@{host}/srv/{name}/repo.git"


def check_ssh() -> None:
    """
    Look for the program over which git pushes, before there is anything that only a push would complete.

    Raises:
        ProgramMissing: there is none.
    """
    if shutil.which("ssh") is None:
        raise ProgramMissing("ssh is not installed", next_step="apt-get install openssh-client")


def push(
    tree: SourceTree,
    *,
    url: str,
    ssh: Sequence[str],
    line: Callable[[str], None],
    limit: float,
    ref: str | None = None,
    options: Sequence[str] = (),
    next_step: str = _LAUNCH_AGAIN,
    tick: Callable[[], None] = lambda: None,
    clock: Clock = REAL,
) -> None:
    """
    Push the commit, which releases it.

    Args:
        tree: what to push.
        url: see `repository_url`.
        ssh: the words of the ssh command, without the destination.
        line: hears every line that the droplet says.
        limit: seconds for everything.
        ref: what to set there, whatever it was before; None: a name of its own, which no other push can contend for.
        options: what the droplet is told besides, as `name=value`.
        next_step: what the user can do when the release fails.
        tick: called at least five times a second meanwhile; what it raises ends the push.
        clock: the time.

    Raises:
        ReleaseFailed: the droplet refused the release.
        GitError: the push itself failed.
        WaitTimeout: the limit was reached.
    """
    repository = Repository(tree.git_dir.parent, clock)
    environ = repository.environ | {
        "GIT_SSH_COMMAND": shlex.join(ssh),
        "GIT_SSH_VARIANT": "ssh",
        "GIT_ALLOW_PROTOCOL": "ssh:file",
    }
    told = [f"--push-option={option}" for option in options]
    words = repository.words(
        "push",
        "--porcelain",
        "--no-progress",
        "--force",
        *told,
        "--",
        url,
        f"{tree.commit}:{ref or DEPLOYED + tree.commit}",
    )
    said: list[str] = []  # by the droplet
    own: list[str] = []  # by git at our side

    def hear(text: str) -> None:
        if text.startswith("remote:"):
            said.append(text.removeprefix("remote:").removeprefix(" "))
            line(said[-1])
        elif text.strip():
            own.append(text)

    with process.started(words, environ=environ, stdin=subprocess.DEVNULL) as pushing:
        if not _listen(pushing, hear, tick, deadline=clock.monotonic() + limit, clock=clock):
            last = next(reversed(said or own), None)
            raise WaitTimeout("the push and the release in it to end", limit=limit, last=last)
        status = pushing.wait()
    if status != 0:
        raise _failure(said, own, next_step)


def _listen(
    pushing: subprocess.Popen[bytes],
    hear: Callable[[str], None],
    tick: Callable[[], None],
    *,
    deadline: float,
    clock: Clock,
) -> bool:
    """Hand on every line of both streams until they end; False when the deadline came first."""
    with selectors.DefaultSelector() as selector:
        for pipe in (pushing.stdout, pushing.stderr):
            assert pipe is not None  # noqa: S101  both are pipes
            selector.register(pipe, selectors.EVENT_READ, data=[b""])
        while selector.get_map():
            remaining = deadline - clock.monotonic()
            if remaining <= 0:
                return False
            for key, _events in selector.select(min(_TICK, remaining)):
                chunk = os.read(key.fd, _CHUNK)
                *lines, key.data[0] = re.split(rb"[\r\n]", key.data[0] + chunk)
                if not chunk:
                    selector.unregister(key.fileobj)
                if not chunk or len(key.data[0]) > _LONGEST:
                    lines.append(key.data[0])
                    key.data[0] = b""
                for raw in lines:
                    hear(raw.decode("utf-8", "replace").rstrip())
            tick()
    return True


def _failure(said: Sequence[str], own: Sequence[str], next_step: str) -> ReleaseFailed | GitError:
    """Tell a release that was refused from a push that failed."""
    if not any(text.startswith("!") and "hook declined" in text for text in own):
        next_step = "look whether the droplet still answers: cloudship show NAME"
        return GitError("The push broke off", evidence=[*said, *own][-process.SHOWN :], next_step=next_step)
    return verdict.failure(said, next_step=next_step)
