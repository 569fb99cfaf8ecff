"""What a person sees on a real machine: `up` on a terminal, the first boot in another one, commands run inside."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from screens import Screen

import cloudship
from cloudship.events import Phase

CLOUDSHIP = [sys.executable, "-m", "cloudship"]
NAME = "seen"


def _cloudship(*words: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*CLOUDSHIP, *words], capture_output=True, text=True, check=False, **more)


@pytest.fixture
def environment(here: Path) -> Iterator[dict[str, str]]:
    """What all commands of this test see; the ship is gone after it."""
    env = {key: value for key, value in os.environ.items() if key not in {"NO_COLOR", "COLUMNS"}}
    yield env
    cloudship.down(NAME, cloud="local")


def test_a_launch_as_people_see_it(environment: dict[str, str], root: Path) -> None:
    """
    Two terminals at once: the phases with what each waits for in one, all of the first boot in the other.

    Then everything its owner wants to know, the first boot after the fact, and commands that run inside.
    """
    with Screen(80) as screen, Screen(120, rows=60) as other:
        screen.start([*CLOUDSHIP, "up", str(root / "examples/flask-hello"), "--name", NAME], environment)
        screen.wait_for(lambda text: "Reaching SSH" in text)
        other.start([*CLOUDSHIP, "logs", NAME, "--boot", "-f"], environment)
        shown = screen.wait_for(lambda text: "for nginx and git to be installed" in text)
        assert re.search(r"\n    waits since \d\d:\d\d:\d\d, \d+ of 600 s, for nginx", shown)
        assert re.search(r"\n    last answer: \S", shown)
        booting = other.wait_for(lambda text: "apt         running" in text)
        assert "Installing nginx" in screen.text  # the boot is followed while it goes on
        assert re.search(r"^cloud-init  Cloud-init v\. .* running 'init'", booting, re.MULTILINE)
        assert 0 == other.status(300)
        assert re.search(r"^cloud-init  status: done$", other.text, re.MULTILINE)
        assert re.search(r"^bootstrap   done$", other.text, re.MULTILINE)
        assert 0 == screen.status(300)
        _is_told_everything(screen)
    told = _cloudship("logs", NAME, "--boot")
    assert (0, True) == (told.returncode, "cloud-init  status: done" in told.stdout)
    assert re.search(r"^apt         done after \d+\.\d s$", told.stdout, re.MULTILINE)
    _runs_commands(environment)


def _is_told_everything(screen: Screen) -> None:
    """The last line is the URL; above it: how to log in, how to take it down, seconds, cost; the cursor is back."""
    lines = screen.text.splitlines()
    assert lines[0].startswith("cloud: local")
    assert re.fullmatch(r"http://10\.213\.\d+\.\d+/", lines[-1])
    for fact in (f"cloudship ssh {NAME}", f"cloudship down {NAME}", "costs      nothing", f"url        {lines[-1]}"):
        assert fact in screen.text
    for phase in Phase:
        assert 1 == sum(bool(re.match(rf"\+ {phase.value} +\d+\.\d\d s", line)) for line in lines), phase
        assert re.search(rf"\b{phase.value} \d+\.\d", screen.text.partition("  seconds ")[2])
    assert not screen.cursor_is_hidden


def _runs_commands(environment: dict[str, str]) -> None:
    """The command's own status and streams, also by a signal; a terminal where there is one."""
    done = _cloudship("run", NAME, "--", "sh", "-c", "cat; echo no >&2; exit 7", input="in")
    assert (7, "in", "cloud: local\nno\n") == (done.returncode, done.stdout, done.stderr)
    assert 137 == _cloudship("run", NAME, "--", "sh", "-c", "kill -9 $$").returncode
    absent = _cloudship("run", NAME, "--", "no-such-program")
    assert (127, True) == (absent.returncode, "no-such-program: there is no such program" in absent.stderr)
    with Screen() as screen:
        screen.start([*CLOUDSHIP, "run", NAME, "--", "python"], environment)
        screen.wait_for(lambda text: ">>>" in text)
        screen.write("import sys; sys.exit(6 * sys.stdin.isatty())\r")
        assert 6 == screen.status()
