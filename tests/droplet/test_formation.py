"""Which processes and timers run: exactly the live release's, whatever comes, goes or is gone back to."""

from __future__ import annotations

import pytest
from campaign.dropletbox import DropletBox

from droplet import changing, command, formation, lock, maintenance, records
from droplet.process import Processes

WORKER = "web: gunicorn app:app\nworker: sleep 600\n"
TICK = "watch = 0\ndrain = 1\n[[schedule]]\nname = 'tick'\nrun = 'true'\nwhen = '@daily'\n"
QUIET = "watch = 0\ndrain = 1\n"


def _released(box: DropletBox, **files: str) -> int:
    number = box.release(box.commit(**files))
    box.settle()
    return number


def _timers(box: DropletBox) -> list[str]:
    return sorted(path.name for path in (box.folder / "units.d").iterdir())


def _scaled(box: DropletBox, *words: str) -> dict[str, int]:
    live = box.layout.live()
    assert live is not None
    found = formation.scale(box.layout, Processes.load(box.layout.release(live)), words)
    formation.converge(box.layout)
    return found


def test_processes_and_timers_come_and_go_with_releases_and_rollbacks(box: DropletBox) -> None:
    """Those of the release that is live, under its number."""
    first = _released(box, Procfile=WORKER, cloudship__toml=TICK)
    here = [f"cloudship-app@{first}.service", f"cloudship-worker@{first}-worker-1.service"]
    assert (here, ["cloudship-job-tick.timer"]) == (box.running(), _timers(box))
    second = _released(box, cloudship__toml=QUIET)
    assert ([f"cloudship-app@{second}.service"], []) == (box.running(), _timers(box))
    changing.rollback(box.config, first, "me", lambda line: None)
    box.settle()
    assert (here, ["cloudship-job-tick.timer"]) == (box.running(), _timers(box))


def test_a_count_stays_over_releases_rollbacks_and_values(box: DropletBox) -> None:
    """It is the ship's, not the release's."""
    first = _released(box, Procfile=WORKER, cloudship__toml=QUIET)
    assert {"worker": 2} == _scaled(box, "worker=2")
    second = _released(box, Procfile=WORKER, cloudship__toml=QUIET)
    expected = [f"cloudship-worker@{{}}-worker-{index}.service" for index in (1, 2)]
    assert [one.format(second) for one in expected] == box.running()[1:]
    changing.rollback(box.config, first, "me", lambda line: None)
    box.settle()
    assert [one.format(first) for one in expected] == box.running()[1:]
    third, _ = changing.edit_values(box.config, {"set": {"A": "1"}}, "me", lambda line: None)
    box.settle()
    assert [one.format(third) for one in expected] == box.running()[1:]
    assert {"worker": 0} == _scaled(box, "worker=0")
    assert [f"cloudship-app@{third}.service"] == box.running()
    assert {"count": 0, "state": "off"} == formation.states(box.layout)["worker"]


@pytest.mark.parametrize(
    ("word", "message"),
    [("web=2", "web is always 1"), ("wroker=2", "there are: worker"), ("worker=-1", "COUNT"), ("worker=51", "most 50")],
)
def test_a_count_that_cannot_be_changes_nothing(box: DropletBox, word: str, message: str) -> None:
    """Nor does one that could be and stands beside it."""
    _released(box, Procfile=WORKER, cloudship__toml=QUIET)
    with pytest.raises(formation.ScaleError, match=message):
        _scaled(box, "worker=2", word)
    assert {"worker": 1} == _scaled(box)


def test_a_timer_that_has_not_changed_is_left_alone(box: DropletBox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a job that is due would be put off by every deploy; one whose time changed gets it."""
    _released(box, cloudship__toml=TICK)
    said: list[str] = []
    plain = command.run

    def run(words: list[str], **more: object) -> list[str]:
        said.append(" ".join(words[:2]))
        return plain(words, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(command, "run", run)
    _released(box, cloudship__toml=TICK)
    assert not {"systemctl restart", "systemctl daemon-reload"} & set(said)
    _released(box, cloudship__toml=TICK.replace("@daily", "@hourly"))
    assert {"systemctl restart", "systemctl daemon-reload"} <= set(said)
    assert "OnCalendar=hourly" in (box.folder / "units.d/cloudship-job-tick.timer").read_text()


def test_a_job_with_the_name_of_a_process_is_refused(box: DropletBox) -> None:
    """Its log could not be told from the process's."""
    _released(box, cloudship__toml=QUIET)
    with pytest.raises(command.StageError, match="'worker' is also a line of the Procfile"):
        _released(box, Procfile=WORKER, cloudship__toml=TICK.replace("'tick'", "'worker'"))
    assert "1" == box.answer()


def test_the_page_of_maintenance_comes_and_goes_with_its_words(box: DropletBox) -> None:
    """As text, whatever stands in it."""
    maintenance.close(box.layout, "Back at <noon>\n& later")
    assert "Back at &lt;noon&gt;<br>&amp; later" in box.layout.maintenance.read_text()
    assert maintenance.is_closed(box.layout)
    maintenance.reopen(box.layout)
    maintenance.reopen(box.layout)
    assert not maintenance.is_closed(box.layout)


def test_whoever_holds_the_lock_is_named_until_it_dies(box: DropletBox) -> None:
    """By the release, the person and the time; what a dead one wrote is no longer true."""
    with lock.alone(box.layout) as held:
        held.tell(7, "ann")
        found = lock.holder(box.layout)
        assert found is not None
        assert ("cloudship: waiting for release 7 (ann, since ", 7) == (
            lock.waiting_for(found)[: len("cloudship: waiting for release 7 (ann, since ")],
            found["number"],
        )
        held.write('{"number": 7, "by": "ann", "since": 0, "pid": 4194305}')  # beyond the largest there is
        assert lock.holder(box.layout) is None
    assert lock.holder(box.layout) is None


def test_a_release_tells_who_when_what_and_how_long(box: DropletBox) -> None:
    """As `releases` shows them, newest first; a rollback is told at the release that was gone back to."""
    first = _released(box, cloudship__toml=QUIET)
    _released(box, cloudship__toml=QUIET)
    changing.rollback(box.config, first, "ann", lambda line: None)
    newest, oldest = records.overview(box.layout)
    assert ("kept", "me", "push") == (newest["state"], newest["by"], newest["action"])
    assert ("live", "ann") == (oldest["state"], oldest["rolled_back_to_by"])
    assert {"receive", "dependencies", "build", "start", "probe", "switch"} <= set(newest["seconds"])
    assert (40, "Z") == (len(newest["commit"]), newest["at"][-1])
