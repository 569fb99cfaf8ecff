"""The end of a ship, as the droplet sees it."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from droplet import expiry
from droplet.journal import StageError
from droplet.layout import Config, Layout

NOW = 1_800_000_000


@pytest.fixture
def armed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Whatever would be done to the droplet, written down instead."""
    done: list[Any] = []
    layout = Layout("web", tmp_path)
    layout.home.mkdir()
    config = Config("web", {}, (), None, None, None, expires=NOW)
    monkeypatch.setattr(expiry, "read_config", lambda: config)
    monkeypatch.setattr(Config, "layout", layout)
    monkeypatch.setattr(expiry, "arm", lambda moment: done.append(("arm", moment)))
    monkeypatch.setattr(expiry.unit, "present", lambda: {"cloudship-app@1.service": "active"})
    monkeypatch.setattr(expiry.unit, "stop", lambda units: done.append(("stop", units)))
    monkeypatch.setattr(expiry.formation, "keep_timers", lambda jobs: done.append(("timers", jobs)))
    monkeypatch.setattr(expiry.inside, "start_live", lambda _words: done.append(("start",)))
    return done


def _at(monkeypatch: pytest.MonkeyPatch, now: float, tags: list[str] | None) -> int:
    monkeypatch.setattr(expiry.time, "time", lambda: now)
    monkeypatch.setattr(expiry, "told_tags", lambda: tags)
    return expiry.expire([])


def test_at_its_end_the_app_stops_and_the_site_says_so(
    armed: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whatever is started afterwards too, and whatever a kill in the middle left; then it looks for more time."""
    assert 0 == _at(monkeypatch, NOW + 1, [f"cloudship:expires:{NOW}"])
    assert "has ended" in (tmp_path / "web" / "ended.html").read_text()
    assert [("timers", {}), ("stop", ["cloudship-app@1.service"]), ("arm", NOW + 1 + expiry.AGAIN)] == armed
    armed.clear()
    _at(monkeypatch, NOW + 100, [])
    assert [("timers", {}), ("stop", ["cloudship-app@1.service"]), ("arm", NOW + 100 + expiry.AGAIN)] == armed


def test_a_ship_that_was_extended_goes_on_until_its_later_end(
    armed: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of several ends the latest counts, also where the app had stopped already."""
    _at(monkeypatch, NOW + 1, [f"cloudship:expires:{NOW}"])
    armed.clear()
    _at(monkeypatch, NOW + 70, [f"cloudship:expires:{NOW}", f"cloudship:expires:{NOW + 600}", "other"])
    assert [("start",), ("arm", NOW + 600)] == armed
    assert not (tmp_path / "web" / "ended.html").exists()


@pytest.mark.parametrize(("tags", "moment"), [([], None), ([f"cloudship:expires:{NOW + 600}"], NOW + 600)])
def test_a_ship_that_had_no_end_gets_the_one_that_its_tags_name(
    armed: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tags: list[str], moment: int | None
) -> None:
    """`extend` gives one to every ship; until then its tags are looked at now and then."""
    config = Config("web", {}, (), None, None, None)
    monkeypatch.setattr(expiry, "read_config", lambda: config)
    _at(monkeypatch, NOW, tags)
    assert [("arm", moment)] == armed
    assert not (tmp_path / "web" / "ended.html").exists()


def test_a_silent_metadata_service_ends_nothing(armed: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked again; the ceiling is the reaper's."""
    _at(monkeypatch, NOW + 1, None)
    assert [("arm", NOW + 1 + expiry.AGAIN)] == armed


def test_on_a_full_disk_the_app_stops_all_the_same(armed: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the page waits for room, at the next look."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(expiry, "replace_text", full)
    with pytest.raises(OSError, match="No space"):
        _at(monkeypatch, NOW + 1, [])
    assert [("timers", {}), ("stop", ["cloudship-app@1.service"])] == armed


def test_what_does_not_start_again_at_once_is_started_at_the_next_look(
    armed: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its workers and timers too; the later end is armed then, and nothing is started twice."""
    _at(monkeypatch, NOW + 1, [])
    armed.clear()
    starts = expiry.inside.start_live

    def broken(_words: list[str]) -> int:
        raise StageError("`systemctl start cloudship-app@1.service` failed")

    more = [f"cloudship:expires:{NOW + 600}"]
    monkeypatch.setattr(expiry.inside, "start_live", broken)
    with pytest.raises(StageError):
        _at(monkeypatch, NOW + 70, more)
    monkeypatch.setattr(expiry.inside, "start_live", starts)
    _at(monkeypatch, NOW + 130, more)
    _at(monkeypatch, NOW + 190, more)
    assert [("start",), ("arm", NOW + 600), ("arm", NOW + 600)] == armed
    assert not (tmp_path / "web" / "ended.html").exists()


def test_a_look_that_failed_is_repeated(root: Path) -> None:
    """The timer has elapsed by then, so nothing else would look again."""
    lines = (root / "userdata/systemd/cloudship-expiry.service").read_text().splitlines()
    assert {"Restart=on-failure", "RestartSec=60"} <= set(lines)
