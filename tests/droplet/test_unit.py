"""The processes of a release's unit."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from droplet import builds, unit

# A server, whose worker has threads, one of which has begun a child.
_TREE = """
import os, subprocess, sys, threading
def begin():
    subprocess.Popen(["sleep", "60"])
    print("ready", flush=True)
    threading.Event().wait()
if os.fork() == 0:
    for _ in range(3):
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    threading.Thread(target=begin).start()
else:
    os.wait()
"""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Its process id, which systemd tells."""
    words = [sys.executable, "-c", _TREE]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        assert "ready" == process.stdout.readline().strip()
        monkeypatch.setattr(unit.command, "output", lambda _words: f"{process.pid}\n")
        yield process.pid
        os.killpg(process.pid, 9)


def _nice(session: int) -> list[int]:
    """The priority of every thread of a session, as the kernel has it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # others end meanwhile
            for task in (process / "task").iterdir():
                fields = (task / "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == session:
                    found.append(int(fields[16]))
    return found


def test_every_thread_of_a_release_has_its_priority(server: int) -> None:
    """Of its workers, which answer visitors in threads, and of what those began."""
    unit.prioritize(1, builds.NICE)
    assert [builds.NICE] * 7 == _nice(server)
    if os.geteuid() == 0:
        unit.prioritize(1, 0)
        assert [0] * 7 == _nice(server)


def test_a_release_that_has_no_process_has_no_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process id is 0, which would mean us."""
    monkeypatch.setattr(unit.command, "output", lambda _words: "0\n")
    before = os.nice(0)
    unit.prioritize(1, builds.NICE)
    assert before == os.nice(0)


NOW = 5000.0  # seconds since the system booted


def _shown(active: str, sub: str, again: int = 0, *, status: str = "0", result: str = "success", ago: float = 0) -> str:
    """What systemd shows of a unit."""
    entered = int((NOW - ago) * 1e6)
    return (
        f"ActiveState={active}\nSubState={sub}\nNRestarts={again}\nExecMainStatus={status}\nResult={result}\n"
        f"ActiveEnterTimestampMonotonic={entered}\n"
    )


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Whose last is what systemd shows, all at one moment."""
    found: list[str] = []
    monkeypatch.setattr(unit.command, "output", lambda _words: found[-1])
    monkeypatch.setattr(unit, "time", SimpleNamespace(monotonic=lambda: NOW))
    return found


def test_a_unit_without_its_file_did_not_end(shown: list[str]) -> None:
    """What it lacks is said: that it ended well, as systemd shows it then, would lead nowhere."""
    shown.append(f"Id=cloudship-app@2.service\nLoadState=not-found\n{_shown('inactive', 'dead')}")
    assert "there is no unit file for cloudship-app@2.service" == unit.death(2)
    shown.append(f"Id=cloudship-app@2.service\nLoadState=not-found\n{_shown('active', 'running')}")
    assert unit.death(2) is None  # it runs on without it


FAILED = {"status": "3", "result": "exit-code"}
AGAIN = "the process ended and was started again"


@pytest.mark.parametrize(
    ("told", "death"),
    [
        (_shown("active", "running"), None),
        (_shown("activating", "start-post"), None),
        (_shown("failed", "failed", **FAILED), "the process ended with status 3 (exit-code)"),
        (_shown("activating", "auto-restart", **FAILED), "the process ended with status 3 (exit-code)"),
        (_shown("activating", "start-post", 1), AGAIN),
        (_shown("active", "running", 3), f"{AGAIN} 3 times"),
        ("", None),
    ],
    ids=["runs", "starts", "failed", "waits", "starts again", "runs again", "systemd does not answer"],
)
def test_a_death_is_what_systemd_says(shown: list[str], told: str, death: str | None) -> None:
    """Also of a process that was started again since, or is being so; no answer says nothing of it."""
    shown.append(told)
    assert (death, death or "running") == (unit.death(1), unit.state(1))


def test_a_death_of_long_ago_is_none(shown: list[str]) -> None:
    """What had been started again before somebody began to look is no news; the next time is."""
    shown.append(_shown("active", "running", 2, ago=3600))
    known = unit.restarts(1)
    assert (2, None, "running", True) == (known, unit.death(1, known=known), unit.state(1), unit.is_running(1))
    shown.append(_shown("active", "running", 3, ago=1))
    assert (AGAIN, f"{AGAIN} 3 times") == (unit.death(1, known=known), unit.state(1))
    shown.append(_shown("inactive", "dead"))
    assert (0, False) == (unit.restarts(1), unit.is_running(1))
