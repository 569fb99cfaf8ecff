"""
The rotation of the host key: rule 4 of the design, in an order that a kill cannot break.

The temporary key came in the user-data, which the droplet can read for its whole life. Over the connection that
is pinned to it the droplet makes a key of its own; both are written down here before the switch, and the
temporary one is forgotten after a new connection has met the new one.
"""

from __future__ import annotations

from collections.abc import Callable

from cloudship.errors import HostKeyMismatch, ShellError, ShellUnreachable
from cloudship.keys import LaunchFiles
from cloudship.models import Timeouts
from cloudship.render import rotation_script
from cloudship.ssh import Shell
from cloudship.waiting import EAGER, REAL, Clock, Ready, until

_KIND = "ssh-ed25519 "


def rotate(
    shell: Shell,
    *,
    temporary: str,
    files: LaunchFiles,
    connect: Callable[[float], Shell],
    timeouts: Timeouts,
    clock: Clock = REAL,
) -> Shell:
    """
    Replace the temporary host key, and give a connection that is pinned to the new one.

    Args:
        shell: the connection that is pinned to the temporary key; it is closed.
        temporary: the public half of the temporary key.
        files: where the keys are pinned.
        connect: makes a new connection within the seconds it gets.
        timeouts: `host_key` limits each of its three steps.
        clock: the time.

    Raises:
        ShellError: a step failed; the droplet is not to be trusted with anything.
        HostKeyMismatch: after the switch somebody else answered.
    """
    made = _step(shell, "generate", timeouts)
    files.pin((made,), temporary)
    switched = _step(shell, "switch", timeouts)
    if switched.split()[:2] != made.split()[:2]:
        raise ShellError("The droplet's host key after the switch is not the one it made")
    shell.close()
    files.pin((made,))

    def again(limit: float) -> Ready[Shell]:
        return Ready(connect(limit))

    return until(
        "the droplet to answer with its own host key",
        again,
        limit=timeouts.host_key,
        attempt_limit=timeouts.attempt,
        on=(ShellUnreachable, HostKeyMismatch),  # for a moment the old sshd may still answer
        pace=EAGER,
        clock=clock,
    )


def _step(shell: Shell, step: str, timeouts: Timeouts) -> str:
    done = shell.run(("sh", "-s", step), stdin=rotation_script(), limit=timeouts.host_key)
    public = done.stdout.strip()
    if done.exit_status != 0 or not public.startswith(_KIND) or "\n" in public:
        raise ShellError(
            f"The host key could not be rotated (step {step})", evidence=(done.stderr or done.stdout).splitlines()[-4:]
        )
    return public
