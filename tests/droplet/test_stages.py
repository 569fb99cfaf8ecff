"""What is told of a release: its stages as they come, and the lines that are to blame."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest

from droplet import journal, unit


def test_the_guilty_lines_are_the_apps_own() -> None:
    """Not gunicorn's story about its workers, nor lines of access."""
    said = [
        "[2026] [1] [INFO] Starting gunicorn",
        "Traceback (most recent call last):",
        '  File "app.py", line 1, in <module>',
        "ModuleNotFoundError: No module named 'x'",
        "[2026] [2] [INFO] Worker exiting (pid: 2)",
        "Traceback (most recent call last):",
        '  File "arbiter.py", line 405, in halt',
        "gunicorn.errors.HaltServer: <HaltServer 'Worker failed to boot.' 3>",
        ' - - [24/Nov] "GET / HTTP/1.1" 500 265 "-" "x"',
    ]
    assert said[1:4] == unit.guilty(said)


@pytest.mark.parametrize(
    ("line", "counts"),
    [
        ("[2026-11-26 08:00:00 +0000] [7] [ERROR] Worker (pid:9) exited with code 1", True),
        ("[2026-11-26 08:00:00 +0000] [7] [ERROR] Worker (pid:9) was sent SIGKILL! Perhaps out of memory?", True),
        ("[2026-11-26 08:00:00 +0000] [7] [ERROR] Worker (pid:9) was sent SIGSEGV!", True),
        ("[2026-11-26 08:00:00 +0000] [7] [ERROR] Worker (pid:9) was sent SIGTERM!", False),
        ("[2026-11-26 08:00:00 +0000] [9] [INFO] Worker exiting (pid: 9)", False),
        ("the job exited with code 1", False),
    ],
)
def test_workers_that_die_are_told_from_those_that_are_ended(line: str, counts: bool) -> None:
    """A server ends a worker after so many requests, and an app may say what it likes."""
    assert counts == bool(re.search(unit._CRASHED, line))


def test_a_follower_gets_all_events_until_the_last_stage_ended(tmp_path: Path) -> None:
    """Also those that were written before it came."""
    file = tmp_path / "boot.jsonl"
    book = journal.Journal(file)
    with book.stage("apt") as say:
        say("a line")
    threading.Timer(0.1, lambda: book.tell("bootstrap", journal.DONE)).start()
    states = [(event["stage"], event["state"]) for event in journal.follow(file, "bootstrap", limit=60)]
    assert [("apt", "running"), ("apt", "output"), ("apt", "done"), ("bootstrap", "done")] == states


def test_a_failed_stage_is_told_and_raised(tmp_path: Path) -> None:
    """The error passes through, after the journal knows."""
    book = journal.Journal(tmp_path / "x.jsonl")
    with pytest.raises(journal.StageError), book.stage("apt"):
        raise journal.StageError("no mirror", ["E: x"])
    assert [("running", ""), ("failed", "no mirror")] == [
        (one["state"], one["text"]) for one in journal.read(tmp_path / "x.jsonl")
    ]
