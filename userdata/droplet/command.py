"""Running other programs: their lines as they come, and the guilty ones when they fail."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import threading
from collections import deque
from pathlib import Path
from typing import Callable, Deque, Dict, List, Optional, Sequence

from droplet.journal import StageError

GUILTY = 8  # lines shown of a command that failed


def run(
    words: Sequence[str],
    *,
    say: Callable[[str], None] = lambda line: None,
    cwd: Optional[Path] = None,
    env: Optional[Dict[str, str]] = None,
    user: Optional[str] = None,
    limit: Optional[float] = None,
    message: Optional[str] = None,
    limits: Sequence[str] = (),
) -> List[str]:
    """
    Run a command and give its last lines.

    Args:
        words: the command.
        say: hears every line.
        cwd: where it runs.
        env: its whole environment; None: ours.
        user: who runs it; None: we do.
        limit: seconds.
        message: the sentence for a failure; None: one that names the command.
        limits: words that run it within some, as `builds.limits` gives them.

    Raises:
        StageError: it failed, took too long, or does not exist.
    """
    whole = [*limits, *(as_user(user) if user else ()), *words]
    shown = message or f"`{' '.join(shlex.quote(word) for word in words)}` failed"
    last: Deque[str] = deque(maxlen=40)
    try:
        process = subprocess.Popen(
            whole,
            cwd=str(cwd) if cwd else None,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise StageError(f"{shown}: {error}") from error
    late = threading.Timer(limit, lambda: os.killpg(process.pid, signal.SIGKILL)) if limit else None
    if late:
        late.start()
    assert process.stdout is not None
    with process:
        for line in process.stdout:
            last.append(line.rstrip())
            say(line.rstrip())
    status = process.returncode
    if late:
        over = not late.is_alive() and status < 0
        late.cancel()
        if over:
            raise StageError(f"{shown}: it did not end within {limit:g} s", list(last)[-GUILTY:])
    if status != 0:
        raise StageError(f"{shown} ({_ending(status)})", [line for line in last if line.strip()][-GUILTY:])
    return list(last)


def _ending(status: int) -> str:
    """Say how a command ended; a shell writes 128 more for the signal that killed what it ran."""
    if status in (-signal.SIGKILL, 128 + signal.SIGKILL):
        return f"status {status}: it was killed, most likely because memory ran out"
    asked = subprocess.run(
        ["systemctl", "is-system-running"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
    )
    return f"status {status}" + (": the droplet is going down" if asked.stdout.strip() == b"stopping" else "")


def output(words: Sequence[str]) -> str:
    """Run a command only for what it prints; empty when it fails."""
    done = subprocess.run(list(words), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""


def properties(unit: str, names: str) -> Dict[str, str]:
    """Ask systemd for properties of a unit, named with commas between; empty when it does not answer."""
    shown = output(["systemctl", "show", "-p", names, unit])
    return dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)


def as_user(user: str) -> List[str]:
    """Give the words that run the rest as another user, its groups set and nothing else changed."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--no-new-privs"]
