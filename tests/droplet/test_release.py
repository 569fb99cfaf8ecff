"""A whole release, stage by stage, on a droplet in a folder."""

from __future__ import annotations

import io
import json
import re
import socket
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from campaign.dropletbox import DropletBox

from droplet import builds, changing, golive, journal, layout, records, releasing, settling, unit
from droplet.journal import StageError

pytestmark = pytest.mark.slow


def _stages(box: DropletBox, number: int) -> list[str]:
    events = journal.read(box.layout.release(number) / "log.jsonl")
    return [event["stage"] for event in events if event["state"] == journal.DONE]


def test_a_release_goes_through_its_stages_and_answers(box: DropletBox, capsys: pytest.CaptureFixture[str]) -> None:
    """Each stage is told with its seconds; the release is complete before it is live."""
    number = box.release(box.commit())
    assert (1, "1") == (number, box.answer())
    assert ["receive", "dependencies", "build", "start", "probe", "switch"] == _stages(box, number)
    shown = capsys.readouterr().out.splitlines()
    assert 6 == sum(line.startswith("-> ") for line in shown)
    assert 6 == sum(bool(re.fullmatch(r" {4}\d+\.\d\d s", line)) for line in shown)
    assert (1,) == records.good(box.layout)


def test_build_and_release_commands_run_in_the_new_tree_before_it_starts(box: DropletBox) -> None:
    """With what they say in the log, and the release's own values."""
    (box.folder / "env.json").write_text(json.dumps({"WORD": "it's"}))
    toml = "build = 'echo built $WORD > built; cat built'\nrelease = 'echo migrated; ls'\n"
    number = box.release(box.commit(cloudship__toml=toml))
    said = [one["text"] for one in journal.read(box.layout.release(number) / "log.jsonl") if one["state"] == "output"]
    assert ["built it's", "migrated", "app.py", "built", "cloudship.toml", "requirements.txt"] == said[1:-1]


@pytest.mark.parametrize(
    ("files", "stage", "message"),
    [
        ({"cloudship__toml": "build = 'echo no good; exit 3'\n"}, "build", "the build command"),
        ({"cloudship__toml": "release = 'echo no table; exit 1'\n"}, "release", "the release command"),
        ({"broken": ""}, "start", "the process ended with status 1"),
        ({"status": "500"}, "start", "it answered 500"),
        ({"cloudship__toml": "buidl = 'x'\n"}, "receive", "did you mean"),
        ({"cloudship__toml": "[health]\nstatus = 204\ntimeout = 30\n"}, "start", "it answered 200"),
    ],
)
def test_a_stage_that_fails_leaves_the_live_release(
    box: DropletBox, files: dict[str, str], stage: str, message: str
) -> None:
    """The one before answers, what was started is stopped, and the reason is written down."""
    box.release(box.commit())
    with pytest.raises(StageError, match=message):
        box.release(box.commit(**files))
    assert "1" == box.answer()
    assert ["cloudship-app@1.service"] == box.running()
    assert "failed" == records.state(box.layout, 2, 1)
    assert _stages(box, 2)[-1:] == {"build": ["dependencies"], "release": ["build"], "receive": ["receive"]}.get(
        stage, ["start"]
    )


def _pushed(box: DropletBox, monkeypatch: pytest.MonkeyPatch, *options: str, **files: str) -> int:
    line = f"{'0' * 40} {box.commit(**files)} refs/heads/main\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO(line))
    monkeypatch.setenv("GIT_PUSH_OPTION_COUNT", str(len(options)))
    for index, option in enumerate(options):
        monkeypatch.setenv(f"GIT_PUSH_OPTION_{index}", option)
    return releasing.pushed([])


@pytest.mark.parametrize(("options", "hints"), [((), 1), (("action=deploy",), 0)])
def test_a_push_that_fails_ends_with_its_last_lines_the_cause_and_the_next_step(
    box: DropletBox,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    hints: int,
) -> None:
    """Whoever pushes by git alone has nobody else to say it."""
    assert 0 == _pushed(box, monkeypatch, *options)
    assert 1 == _pushed(box, monkeypatch, *options, cloudship__toml="build = 'echo no such file; exit 3'\n")
    last = capsys.readouterr().out.splitlines()[-2 - hints :]
    assert "  | no such file" == last[0]
    assert last[1].startswith("cloudship: release failed: the build command")
    assert hints == sum("cloudship releases web --log" in line for line in last)


@pytest.mark.parametrize(("patience", "more"), [(60.0, []), (0.2, [(2, builds.NICE_SOON)])])
def test_a_release_starts_behind_the_visitors_but_not_for_ever(
    box: DropletBox, monkeypatch: pytest.MonkeyPatch, patience: float, more: list[tuple[int, int]]
) -> None:
    """On a core that visitors, or a loop, never leave it would not come up at all; the first one waits for nobody."""
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(unit, "prioritize", lambda number, nice: given.append((number, nice)))
    monkeypatch.setattr(builds, "_PATIENCE", patience)
    box.release(box.commit(slow=""))
    box.release(box.commit(slow=""))
    assert [(1, 0), (1, 0), *more, (2, 0)] == given


def test_a_rollback_makes_an_earlier_release_live_again_with_its_values(box: DropletBox) -> None:
    """Also while that one still drains: it runs, and is not started anew."""
    box.release(box.commit())
    (box.folder / "env.json").write_text(json.dumps({"WORD": "two"}))
    box.release(box.commit())
    before = (box.folder / "units" / "cloudship-app@1.service").read_text()
    assert 1 == changing.rollback(box.config, None, "me", lambda line: None)
    assert ("1", before) == (box.answer(), (box.folder / "units" / "cloudship-app@1.service").read_text())
    assert {} == changing.stored()


def test_a_release_that_came_back_is_not_stopped_by_its_drain(box: DropletBox) -> None:
    """Whoever drains it looks under the lock whether it is live."""
    box.release(box.commit())
    box.release(box.commit())
    changing.rollback(box.config, None, "me", lambda line: None)
    settling._retire(box.layout, 1, 1.0, journal.Journal(None))
    assert "1" == box.answer()
    settling._retire(box.layout, 2, 1.0, journal.Journal(None))
    assert ["cloudship-app@1.service"] == box.running()


def test_after_a_switch_the_old_one_drains_and_stops_and_workers_follow(box: DropletBox) -> None:
    """What `settle` does in a process of its own."""
    box.release(box.commit())
    box.release(box.commit(Procfile="web: gunicorn app:app\nworker: sleep 60\n", cloudship__toml="watch = 0\n"))
    settling.settle(box.config, 2, 1, "push")
    assert ["cloudship-app@2.service", "cloudship-worker@2-worker-1.service"] == box.running()
    assert ["drain", "clean"] == _stages(box, 2)[-2:]


def test_a_release_whose_process_dies_after_the_switch_goes_back(box: DropletBox) -> None:
    """By itself, within the watch."""
    box.release(box.commit())
    box.release(box.commit())
    box._stop("cloudship-app@2.service")
    settling.settle(box.config, 2, 1, "push")
    assert ("1", "failed") == (box.answer(), records.state(box.layout, 2, 1))


@pytest.mark.parametrize(("died", "live"), [(1, "2"), (2, "1")])
def test_a_release_whose_workers_die_goes_back(
    box: DropletBox, monkeypatch: pytest.MonkeyPatch, died: int, live: str
) -> None:
    """Its server makes new ones, so it does not end; one alone may have taken too long, or too much."""
    monkeypatch.setattr(unit, "crashes", lambda number, since: died)
    good = box.commit(cloudship__toml="watch = 0.2\ndrain = 1\n")
    box.release(good)
    box.release(good)
    settling.settle(box.config, 2, 1, "push")
    assert live == box.answer()
    failed = next(one["failure"] for one in records.overview(box.layout) if one["number"] == 2)
    assert failed == ("2 of its workers died, so release 1 is live again" if died > 1 else None)


def test_a_watch_that_is_turned_off_goes_back_for_nothing(box: DropletBox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever happens to the release."""
    monkeypatch.setattr(unit, "crashes", lambda number, since: 99)
    good = box.commit(cloudship__toml="watch = 0\ndrain = 1\n")
    box.release(good)
    box.release(good)
    settling.settle(box.config, 2, 1, "push")
    assert ("2", "live") == (box.answer(), records.state(box.layout, 2, 2))


def test_a_request_that_does_not_end_holds_the_old_release_up_to_the_limit(box: DropletBox) -> None:
    """Nobody waits for it longer than `drain` says; the old release is stopped all the same."""
    good = box.commit(cloudship__toml="watch = 0\ndrain = 1\n")
    box.release(good)
    box.release(good)
    with socket.socket(socket.AF_UNIX) as visitor:
        visitor.connect(str(box.layout.socket(1)))
        began = time.monotonic()
        settling.settle(box.config, 2, 1, "push")
        assert time.monotonic() - began >= 1
    assert ["cloudship-app@2.service"] == box.running()


def test_on_the_way_back_the_dead_release_never_stands_in_both_places(
    box: DropletBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nginx asks one of the two at every moment, and one of them is alive."""
    box.release(box.commit())
    box.release(box.commit())
    box._stop("cloudship-app@2.service")
    places: list[set[str]] = []

    def led(link: Path, target: Path) -> None:
        layout.replace_link(link, target)
        places.append({one.resolve().name for one in (box.layout.current, box.layout.previous)})

    monkeypatch.setattr(golive, "replace_link", led)
    settling.settle(box.config, 2, 1, "push")
    assert [{"1"}, {"1", "2"}] == places


def test_five_good_releases_and_three_failed_ones_are_kept(box: DropletBox) -> None:
    """And whatever is live."""
    good = box.commit()
    for _ in range(7):
        box.release(good)
    for _ in range(4):
        with pytest.raises(StageError):
            box.release(box.commit(cloudship__toml="build = 'exit 1'\n"))
    settling.clean(box.layout)
    assert (3, 4, 5, 6, 7, 9, 10, 11) == box.layout.numbers()


def test_changed_values_make_a_copy_without_a_build(box: DropletBox) -> None:
    """The same tree, under a number of its own."""
    box.release(box.commit(cloudship__toml="build = 'date +%N > stamp'\n"))
    said = changing.edit_values(box.config, {"set": {"WORD": 'a "b" $c\n'}}, "me", lambda line: None)
    assert ((2, ""), "2", {"WORD": 'a "b" $c\n'}) == (said, box.answer(), changing.stored())
    stamps = {(box.layout.release(number) / "tree" / "stamp").read_text() for number in (1, 2)}
    assert 1 == len(stamps)


def test_new_debian_packages_are_installed_before_the_build(box: DropletBox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are not there yet, and only those."""
    from droplet import apt

    asked: list[Any] = []
    monkeypatch.setattr(apt, "missing", lambda names: [one for one in names if one != "git"])
    monkeypatch.setattr(apt, "install", lambda names, say: asked.extend(names))
    box.release(box.commit(cloudship__toml="apt = ['git', 'libpq5']\n"))
    assert ["libpq5"] == asked
