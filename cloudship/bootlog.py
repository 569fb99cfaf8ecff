"""
The first boot as it is told: what cloud-init says, and what the bootstrap does, from the first second on.

Two voices on one connection: cloud-init's own output, there before any program of ours, and the bootstrap's journal.
Each ends by itself when its part of the boot is over.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

from cloudship.background import Background
from cloudship.errors import HostKeyMismatch, ShellError, ShellUnreachable
from cloudship.events import Notify, nobody
from cloudship.keys import LaunchFiles
from cloudship.models import CONTROL, Timeouts
from cloudship.ssh import Shell
from cloudship.waiting import EAGER, REAL, Clock, Pending, Ready, until

_PROGRAM = f"/usr/local/sbin/{CONTROL}"
# Not `cloud-init status`: each look of that costs a third of a second of what the boot could use.
_SETTLED = (
    "{ [ -e /run/cloud-init/result.json ] || [ -e /run/cloud-init/disabled ]"
    " || systemctl is-failed -q cloud-init.service cloud-final.service; }"
)
# `tail --pid` reads once more after cloud-init has ended, so its last line is never lost.
_CLOUD_INIT = (
    "cloud-init status --wait >/dev/null 2>&1 &"
    " tail -n +1 -F -s 0.1 --pid=$! /var/log/cloud-init-output.log 2>/dev/null;"
    " cloud-init status --long"
)
ABSENT = 3
# sshd may answer before cloud-init has written our program; what is not there when cloud-init has ended will not come.
PROGRAM = f"until [ -x {_PROGRAM} ]; do if {_SETTLED}; then [ -x {_PROGRAM} ] || exit {ABSENT}; fi; sleep 0.05; done"
BOOTSTRAP = f"{PROGRAM}; {CONTROL} boot-log --follow"  # its journal, as JSON lines
MISSING = "cloud-init ended without writing the droplet's program; the user-data did not arrive, or not whole"
# What a droplet says of a boot that does not get on: disk, cloud-init, what it waits for, what failed.
_WHY = (
    "touch /var/tmp/.cloudship 2>&1; rm -f /var/tmp/.cloudship;"
    " [ \"$(df --output=avail -k / | tail -n 1)\" -gt 1024 ] || echo 'No space left on the disk';"
    " cloud-init status --long 2>&1 | grep -Ev '^(time|boot_status_code|last_update):|^$|^detail:$' | cut -c1-160;"
    " systemctl list-jobs --plain --no-legend 2>/dev/null |"
    ' awk \'$4 == "running" {print "still starting: " $2}\' | head -n 3;'
    " systemctl --failed --plain --no-legend 2>/dev/null | awk '{print \"failed: \" $1}' | head -n 3;"
    " grep -hE '\\[ERROR\\]|Error: ' /var/log/cloud-init.log 2>/dev/null | tail -n 2 | cut -c1-200"
)
_WHY_LIMIT = 20.0  # seconds
_STRANGERS = 40  # answers with another host key, a quarter of a second apart, before it is taken for somebody else


def follow(shell: Shell, line: Callable[[str], None]) -> int:
    """
    Hand every line of the first boot to `line` until it is over; 0 when the bootstrap went well.

    Raises:
        ShellError: the connection broke.
    """
    lock = threading.Lock()

    def say(origin: str, text: str) -> None:
        with lock:
            line(f"{origin:<10}  {text}".rstrip())

    cloud_init = Background(lambda: shell.stream(_CLOUD_INIT, line=lambda text: say("cloud-init", text)))
    status = shell.stream(BOOTSTRAP, line=lambda text: say(*told(text)))
    cloud_init.result()
    if status == ABSENT:
        say("bootstrap", MISSING)
    return 1 if status else 0


def why(shell: Shell) -> tuple[str, ...]:
    """Ask a droplet whose boot does not get on how it is; nothing where it cannot say."""
    try:
        done = shell.run(_WHY, limit=_WHY_LIMIT)
    except ShellError:
        return ()
    return tuple(line.rstrip() for line in done.stdout.splitlines() if line.strip())[:8]


def told(text: str) -> tuple[str, str]:
    """Read a line of the bootstrap's journal into whose it is and what it says."""
    try:
        event = json.loads(text)
        stage, state, said = event["stage"], event["state"], event["text"]
    except (ValueError, KeyError, TypeError):
        return "bootstrap", text
    if state == "output":
        return stage, said
    seconds = event.get("seconds")
    taken = f" after {seconds:.1f} s" if isinstance(seconds, (int, float)) else ""
    return stage, f"{state}{taken}" + (f": {said}" if said else "")


def arrived(
    address: str, files: LaunchFiles, *, timeouts: Timeouts, clock: Clock = REAL, notify: Notify = nobody
) -> Shell:
    """
    Connect as soon as sshd answers, also while whoever launches the droplet rotates its host key.

    Raises:
        WaitTimeout: it does not answer.
        HostKeyMismatch: somebody else goes on answering.
    """
    strangers = [0]

    def attempt(limit: float) -> Ready[Shell] | Pending:
        try:
            return Ready(Shell.connect(address, files=files, limit=limit))
        except HostKeyMismatch as error:
            strangers[0] += 1
            if strangers[0] >= _STRANGERS:
                raise
            return Pending(str(error))

    return until(
        f"SSH on {address}",
        attempt,
        limit=timeouts.ssh,
        attempt_limit=timeouts.attempt,
        on=(ShellUnreachable,),
        pace=EAGER,
        clock=clock,
        notify=notify,
    )
