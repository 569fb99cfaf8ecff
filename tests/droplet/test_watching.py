"""The first seconds after a switch, as the log tells them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from droplet import settling
from droplet.watching import Answers, Log, count, verdict


def _lines(release: int, *statuses: int, own: bool = True) -> str:
    return "".join(f"1.0 {release} {status} {status if own else '-'}\n" for status in statuses)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A log in which release 1 has answered."""
    found = tmp_path / "cloudship.log"
    found.write_text(_lines(1, 200, 200, 500, 200))
    return found


@pytest.fixture
def log(path: Path) -> Iterator[Log]:
    """That log, from here on."""
    found = Log(path)
    yield found
    found.close()


def test_only_the_releases_own_answers_count() -> None:
    """Neither another's, nor those that nginx gave by itself, nor what is no line of ours."""
    lines = (_lines(2, 200, 502) + _lines(2, 503, own=False) + _lines(1, 500) + "garbage\n").splitlines()
    assert Answers(2, 1) == count(lines, 2)


def test_an_error_counts_also_where_the_release_before_answered_in_its_place() -> None:
    """Visitors have noticed nothing yet; they would once that one has drained."""
    assert Answers(1, 1) == count(["1.0 2 200 502, 200"], 2)


@pytest.mark.parametrize(
    ("before", "after", "goes_back"),
    [
        (Answers(100, 0), Answers(10, 3), True),
        (Answers(100, 0), Answers(10, 2), False),
        (Answers(100, 0), Answers(100, 9), False),
        (Answers(100, 30), Answers(100, 50), False),
        (Answers(100, 30), Answers(100, 60), True),
        (Answers(), Answers(3, 3), True),
        (Answers(), Answers(), False),
    ],
)
def test_a_release_goes_back_for_errors_that_are_new_and_many(before: Answers, after: Answers, goes_back: bool) -> None:
    """Three at least, a tenth of all, twice the share of the one before."""
    assert goes_back == (verdict(before, after) is not None)


def test_before_and_since_are_told_apart(path: Path, log: Log) -> None:
    """By where the log ended when the watch began."""
    with path.open("a") as file:
        file.write(_lines(1, 500) + _lines(2, 200, 500))
    assert (Answers(4, 1), Answers(2, 1), Answers(1, 1)) == (log.before(1), log.since(2), log.since(1))


def test_a_rotation_in_between_loses_no_line(path: Path, log: Log) -> None:
    """What nginx still writes into the old file counts, and what it writes into the new one."""
    moved = path.rename(path.with_suffix(".log.1"))
    path.write_text(_lines(2, 500))
    with moved.open("a") as file:
        file.write(_lines(2, 500, 200))
    assert Answers(3, 2) == log.since(2)
    assert Answers(4, 1) == log.before(1)


def test_a_log_that_is_not_there_yet_is_read_once_it_is(tmp_path: Path) -> None:
    """The first visitor makes it."""
    log = Log(tmp_path / "none.log")
    assert Answers() == log.since(1)
    (tmp_path / "none.log").write_text(_lines(1, 200))
    assert Answers(1, 0) == log.since(1)


def test_who_dies_is_gone_back_from_for_that(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not for the errors that a death causes, which may be counted a moment before it is seen."""
    deaths: list[str] = []

    def since(_release: int) -> Answers:
        deaths.append("the process ended")
        return Answers(20, 10)

    monkeypatch.setattr(settling.unit, "death", lambda _number: deaths[-1] if deaths else None)
    monkeypatch.setattr(settling.Processes, "load", lambda _folder: SimpleNamespace(web="web"))
    layout: Any = SimpleNamespace(live=lambda: 2, release=lambda _number: None)
    log: Any = SimpleNamespace(before=lambda _release: Answers(), since=since)
    assert "the process ended" == settling._watch(layout, 2, 1, log, 5.0)
