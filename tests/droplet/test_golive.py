"""A release that is begun beside the live one."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from droplet import golive
from droplet.journal import Journal, StageError


@pytest.fixture
def begin(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Begin a release that systemd says it could not start, and that died so or not."""

    def refuse(*_rest: object) -> None:
        raise StageError("`systemctl start` failed")

    def look(*_rest: object, dead: Any, **_more: object) -> int:
        raise StageError(dead())

    def begun(death: str | None) -> None:
        monkeypatch.setattr(golive.unit, "start_web", refuse)
        monkeypatch.setattr(golive.unit, "prioritize", lambda *_rest: None)
        monkeypatch.setattr(golive.unit, "death", lambda _number, **_known: death)
        monkeypatch.setattr(golive.unit, "last_lines", lambda _number: ["./bin/missing: not found"])
        monkeypatch.setattr(golive.probe, "until_healthy", look)
        monkeypatch.setattr(golive, "first_address", lambda: "192.0.2.1")
        monkeypatch.setattr(golive, "_patient", lambda *_rest: nullcontext())
        processes = SimpleNamespace(web="web", port=None, environment={})
        monkeypatch.setattr(golive.Processes, "load", lambda _folder: processes)
        layout: Any = SimpleNamespace(release=lambda _: None, live=lambda: None, socket=lambda _: None)
        record: Any = SimpleNamespace(health_path="/", health_status=None, health_timeout=1)
        golive.start(layout, 1, record, Journal(None))

    return begun


def test_a_process_that_dies_while_systemd_starts_it_is_told_in_its_own_words(begin: Any) -> None:
    """How it ended, and its last lines; not that a command of ours failed."""
    with pytest.raises(StageError, match="the process ended with status 127") as caught:
        begin("the process ended with status 127")
    assert ["./bin/missing: not found"] == caught.value.lines


def test_a_start_that_systemd_refuses_is_told_as_that(begin: Any) -> None:
    """Nothing ended: there was nothing to end."""
    with pytest.raises(StageError, match="systemctl start"):
        begin(None)
