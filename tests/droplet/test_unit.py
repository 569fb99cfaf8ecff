"""The processes of a release's unit."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

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
    for stat in Path("/proc").glob("[0-9]*/task/[0-9]*/stat"):
        fields = stat.read_text().rpartition(")")[2].split()
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


@pytest.mark.parametrize(
    ("told", "death"),
    [
        ("ActiveState=active\nSubState=running\nNRestarts=0\nExecMainStatus=0\nResult=success\n", None),
        ("ActiveState=activating\nSubState=start\nNRestarts=0\nExecMainStatus=0\nResult=success\n", None),
        (
            "ActiveState=failed\nSubState=failed\nNRestarts=3\nExecMainStatus=3\nResult=exit-code\n",
            "the process ended with status 3 (exit-code)",
        ),
        (
            "ActiveState=active\nSubState=running\nNRestarts=1\nExecMainStatus=9\nResult=success\n",
            "the process ended with status 9 (success)",
        ),
        ("", None),
    ],
    ids=["runs", "starts", "failed", "began again", "systemd does not answer"],
)
def test_a_death_is_what_systemd_says(monkeypatch: pytest.MonkeyPatch, told: str, death: str | None) -> None:
    """Also of a process that was begun again since; no answer says nothing of it."""
    monkeypatch.setattr(unit.command, "output", lambda _words: told)
    assert death == unit.death(1)
