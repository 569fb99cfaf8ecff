"""Which cores of the host a machine runs on."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from cloudship.local.machines.nspawn import cores, supervise

OURS = sorted(os.sched_getaffinity(0))


@pytest.fixture
def supervisors() -> Iterator[list[int]]:
    """Two that wait for the word to start their machine, which never comes."""
    words = [sys.executable, "-I", "-S", supervise.__file__, "no order"]
    with ExitStack() as ending, Path(__file__).open() as alone:  # all of the host's are counted
        fcntl.flock(alone, fcntl.LOCK_EX)
        yield [ending.enter_context(subprocess.Popen(words, stdin=subprocess.PIPE)).pid for _ in range(2)]


def test_a_machine_runs_on_the_cores_that_the_fewest_others_have() -> None:
    """In order where several have as few; on all where there are not as many."""
    assert OURS[:1] == cores.least_busy(Counter(), 1)
    assert OURS == cores.least_busy(Counter(), len(OURS) + 7)
    *others, free = OURS
    assert [free] == cores.least_busy(Counter({free: 1, **dict.fromkeys(others, 2)}), 1)


def test_a_second_machine_runs_where_the_first_does_not(supervisors: list[int]) -> None:
    """Where the host has a second core; whichever local cloud the first one belongs to."""
    for pid in supervisors:
        cores.give(pid, 1)
    first, second = (os.sched_getaffinity(pid) for pid in supervisors)
    assert (1, 1) == (len(first), len(second))
    assert (first != second) is (len(OURS) > 1)


def test_a_large_machine_has_the_whole_host(supervisors: list[int]) -> None:
    """And says so to what it starts."""
    cores.give(supervisors[0], 1)
    cores.give(supervisors[0], 64)
    assert set(OURS) == os.sched_getaffinity(supervisors[0])


def test_a_supervisor_that_has_ended_is_an_error_of_the_system() -> None:
    """Whoever waits for its machine says why it did not come."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with pytest.raises(ProcessLookupError):
        cores.give(gone.pid, 1)
