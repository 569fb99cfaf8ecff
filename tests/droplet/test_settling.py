"""What comes after a switch: the old release drains and stops, also where others leave it nothing of the cores."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from droplet import builds, settling, unit
from droplet.journal import Journal
from droplet.layout import Layout
from droplet.process import Processes


@pytest.fixture
def retire(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Retire release 1, whose process ends only when it is helped, and tell what was done."""

    def retired(*, quiet: bool) -> list[str]:
        done: list[str] = []
        ending = threading.Event()

        def told(word: str, *, ends: bool = False) -> None:
            done.append(word)
            if ends:
                ending.clear()

        def stop(_numbers: list[int]) -> None:
            told("stop")
            if len(done) == 1:
                ending.set()

        layout = Layout(tmp_path)
        (tmp_path / "releases" / "1").mkdir(parents=True)
        Processes("/", web=("gunicorn",)).save(layout.release(1))
        monkeypatch.setattr(settling, "_END", 0.1)
        monkeypatch.setattr(settling, "_LOOK", 0.01)
        monkeypatch.setattr(unit, "drain", lambda *_rest, **_more: quiet)
        monkeypatch.setattr(unit, "stop_web", stop)
        monkeypatch.setattr(unit, "kill", lambda _number: told("kill", ends=True))
        monkeypatch.setattr(unit, "prioritize", lambda _number, nice: told(f"nice {nice}", ends=True))
        monkeypatch.setattr(unit, "present", lambda: {unit.name(1): "deactivating" if ending.is_set() else "failed"})
        settling._retire(layout, 1, 1.0, Journal(None))
        return done

    return retired


def test_a_release_that_ends_too_slowly_comes_forward(retire: Any) -> None:
    """Nobody is connected to it: it only needs some of a core. What systemd then says of its end is forgotten."""
    assert ["stop", f"nice {builds.NICE_SOON}", "stop"] == retire(quiet=True)


def test_a_release_that_answers_after_its_limit_is_killed(retire: Any) -> None:
    """And what systemd says of that is forgotten: a kept release does not stand there as failed."""
    assert ["stop", "kill", "stop"] == retire(quiet=False)


def test_what_keeps_others_waiting_comes_forward(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Not at once: only where what it stands back for never leaves a core."""
    came = threading.Event()
    monkeypatch.setattr(builds, "step_forward", lambda nice=0: came.set() if nice == builds.NICE_SOON else None)
    monkeypatch.setattr(builds, "_PATIENCE", 1.0)
    layout = Layout(tmp_path)
    with settling._alone(layout):
        pass
    assert not came.wait(1.5)
    with settling._alone(layout):
        assert came.wait(30)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root takes a priority back")
def test_a_process_stands_back_and_comes_forward_again() -> None:
    """By the numbers that the kernel then says."""
    pid = os.fork()
    if not pid:
        builds.stand_back(builds.NICE_BEGIN)
        builds.stand_back(builds.NICE)
        back = os.nice(0)
        builds.step_forward(builds.NICE_SOON)
        os._exit(0 if (back, os.nice(0)) == (builds.NICE, builds.NICE_SOON) else 1)
    assert 0 == os.waitpid(pid, 0)[1]
