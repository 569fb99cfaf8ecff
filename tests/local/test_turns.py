"""Starts, stops and kills that meet each other."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudship.local import control, endpoint, handle
from cloudship.local.errors import LocalCloudError, NoAnswer
from cloudship.local.turns import served

pytestmark = pytest.mark.slow


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A directory whose local cloud is gone at the end."""
    yield tmp_path
    control.reset(tmp_path)


@pytest.mark.parametrize("later", [0.0, 0.05])
def test_a_start_during_a_stop_gives_a_server_that_stays(place: Path, later: float) -> None:
    """It waits for the one that goes, and starts another."""
    first = control.start(place, driver="none")
    os.kill(first.pid, signal.SIGTERM)
    time.sleep(later)  # what is tested: moments of the other's end
    stopping = threading.Thread(target=lambda: control.stop(place))
    stopping.start()
    stopping.join()
    second = control.start(place, driver="none")
    assert second == endpoint.read(place)
    assert first.pid != second.pid


def test_a_killed_start_leaves_one_server_that_the_next_finds(place: Path) -> None:
    """The place is taken from before the server runs."""
    code = "import pathlib, sys; from cloudship.local import control; "
    code += "control.start(pathlib.Path(sys.argv[1]), driver='none')"
    starter = subprocess.Popen([sys.executable, "-c", code, str(place)])
    while not (place / "server.log").exists():
        time.sleep(0.001)
    time.sleep(0.05)
    starter.kill()
    starter.wait()
    control.start(place, driver="none")
    assert control.stop(place)
    assert not served(place)


def test_another_driver_is_not_passed_off_as_the_one_asked_for(place: Path) -> None:
    """Whoever wants machines is not given a cloud without."""
    control.start(place, driver="none")
    with pytest.raises(LocalCloudError, match="runs with driver none"):
        control.start(place, driver="nspawn")


def test_a_port_that_is_taken_is_said_and_leaves_nothing(place: Path) -> None:
    """The message names the port; the directory is free again."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(LocalCloudError, match=f"Port {port}"):
            control.start(place, driver="none", port=port)
    assert not served(place)


def test_a_server_that_hangs_is_said_to_be_one(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks, or wants it started, learns which process it is; it is not passed off as one that runs."""
    found = control.start(place, driver="none")
    monkeypatch.setattr(handle, "_LIMIT", 0.3)
    os.kill(found.pid, signal.SIGSTOP)
    try:
        for ask in (control.status, lambda where: control.start(where, driver="none")):
            with pytest.raises(NoAnswer, match=rf"{found.url} does not answer: timed out \(process {found.pid}\)"):
                ask(place)
    finally:
        os.kill(found.pid, signal.SIGCONT)
    assert 0 == control.status(place).droplets


def test_whoever_holds_on_to_a_server_that_is_gone_is_told_so() -> None:
    """In our words, and not in those of the library that asks."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    with pytest.raises(NoAnswer, match=f"127.0.0.1:{port} does not answer: .*refused"):
        handle.LocalCloud(f"http://127.0.0.1:{port}", "token").time()


def test_a_server_that_does_not_even_end_can_be_killed_and_stopped(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the message says; what it leaves behind goes with the second stop."""
    found = control.start(place, driver="none")
    os.kill(found.pid, signal.SIGSTOP)
    monkeypatch.setattr(control, "STOP_LIMIT", 0.2)
    with pytest.raises(LocalCloudError, match=f"kill -KILL {found.pid}, then stop"):
        control.stop(place)
    monkeypatch.undo()
    os.kill(found.pid, signal.SIGKILL)
    control.stop(place)
    assert not served(place)
