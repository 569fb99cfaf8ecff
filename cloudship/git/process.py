"""How git is called: which variables it sees, what it may not do, and that it never outlives the call."""

from __future__ import annotations

import atexit
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cloudship import durable
from cloudship.errors import GitError, ProgramMissing, WaitTimeout

LOCAL_LIMIT = 120.0  # seconds for a call that stays on this machine
SHOWN = 10  # lines of output that an error carries

# Nothing that a repository or its user configured may run, ask or write; `_LONELY` is the other half of it.
TAME = (
    *("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "core.untrackedCache=false"),
    *("-c", "safe.directory=*", "-c", "submodule.recurse=false", "-c", "fetch.recurseSubmodules=false"),
    *("-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "core.fsync=none"),
)
# What a repository lacks it would fetch by whatever its own configuration names, a command too, in any call. Older gits
# know only the second variable; a call that is to reach a remote says over which protocols.
_LONELY = {"GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none"}
_running: set[subprocess.Popen[bytes]] = set()
_REACHING = frozenset(  # what the user set up to reach remotes; every other GIT_* would lead git astray
    {
        *("GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT", "GIT_ASKPASS", "GIT_PROXY_COMMAND"),
        *("GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_SSL_CERT", "GIT_SSL_KEY", "GIT_SSL_NO_VERIFY"),
        *("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_EXEC_PATH"),
    }
)


@dataclass(frozen=True)
class Outcome:
    """How a call ended."""

    status: int
    out: bytes
    lines: tuple[str, ...]  # of standard error


def inherited() -> dict[str, str]:
    """Give the caller's environment without what would point git at another repository, or have it fetch by itself."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name in _REACHING}
    return kept | _LONELY | {"LC_ALL": "C", "TERM": "dumb", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}


@contextmanager
def started(
    words: Sequence[str],
    *,
    environ: Mapping[str, str],
    cwd: Path | None = None,
    stdin: int = subprocess.PIPE,
) -> Iterator[subprocess.Popen[bytes]]:
    """
    Start git in a session of its own, so that nothing in it can ask on the terminal; kill it at the end.

    Raises:
        ProgramMissing: there is no git.
        StorageError: this machine has no memory, files or room left for it.
        GitError: this machine does not let it start.
    """
    try:
        process = subprocess.Popen(
            list(words),
            env=dict(environ),
            cwd=cwd,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise ProgramMissing("git is not installed", next_step="apt-get install git") from error
    except OSError as error:
        raise durable.exhausted(error) or GitError(f"git cannot be started: {error.strerror}") from error
    _running.add(process)
    try:
        yield process
    finally:
        _running.discard(process)
        _kill(process)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        process.wait()


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


@atexit.register
def _kill_all() -> None:
    """End what threads wait for that nobody waits for any more: it would go on without us, in a session of its own."""
    for process in [*_running]:
        _kill(process)


def finish(process: subprocess.Popen[bytes], *, name: str, limit: float, stdin: bytes = b"") -> Outcome:
    """
    Feed a started git and let it end.

    Raises:
        WaitTimeout: it did not within the limit.
    """
    try:
        out, err = process.communicate(stdin, timeout=limit)
    except subprocess.TimeoutExpired as error:
        raise WaitTimeout(name, limit=limit, last=None) from error
    return Outcome(process.returncode, out, text_lines(err))


def call(
    words: Sequence[str],
    *,
    environ: Mapping[str, str],
    cwd: Path | None = None,
    stdin: bytes = b"",
    limit: float = LOCAL_LIMIT,
) -> Outcome:
    """Call git and give how it ended."""
    with started(words, environ=environ, cwd=cwd) as process:
        return finish(process, name=f"{words[0]} to end", limit=limit, stdin=stdin)


def text_lines(output: bytes) -> tuple[str, ...]:
    """Part output into its lines; a progress line counts as one each time it is rewritten."""
    lines = re.split(r"[\r\n]+", output.decode("utf-8", "replace"))
    return tuple(line.rstrip() for line in lines if line.strip())
