"""The first boot and a release beside it: which may begin when, and who waits for whom."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from droplet import apt, firstboot, journal
from droplet.journal import Journal, StageError


@pytest.fixture
def boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Journal:
    """A first boot that is under way, and has no nginx yet."""
    file = tmp_path / "boot.jsonl"
    monkeypatch.setattr(firstboot, "JOURNAL", file)
    monkeypatch.setattr(firstboot, "is_under_way", lambda: True)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = Journal(file)
    found.tell("git", journal.DONE)
    return found


def test_a_release_waits_until_nginx_is_up(boot: Journal, tmp_path: Path) -> None:
    """And says so, as a stage with its seconds."""
    later = threading.Timer(0.1, lambda: boot.tell("nginx", journal.DONE))
    told = Journal(tmp_path / "log.jsonl", lambda event: later.start() if event["state"] == journal.RUNNING else None)
    firstboot.await_site(told)
    later.join()
    events = journal.read(tmp_path / "log.jsonl")
    assert [("first boot", "running"), ("first boot", "done")] == [(one["stage"], one["state"]) for one in events]
    assert events[-1]["seconds"] >= 0.05


def test_a_release_says_nothing_of_a_first_boot_that_is_over(boot: Journal, tmp_path: Path) -> None:
    """As all but the first do."""
    boot.tell("nginx", journal.DONE)
    firstboot.await_site(Journal(tmp_path / "log.jsonl"))
    assert not (tmp_path / "log.jsonl").exists()


def test_a_first_boot_that_fails_fails_the_release_that_waits_for_it(boot: Journal) -> None:
    """With what apt said."""

    def fail() -> None:
        boot.tell("apt", journal.OUTPUT, "E: Failed to fetch nginx")
        boot.tell(firstboot.LAST, journal.FAILED, "apt-get install failed")

    threading.Timer(0.05, fail).start()
    with pytest.raises(StageError, match="the first boot failed: apt-get install failed") as caught:
        firstboot.await_site(Journal(None))
    assert ["E: Failed to fetch nginx"] == caught.value.lines


def test_a_first_boot_that_was_cut_off_is_not_waited_for(boot: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody will ever end it."""
    monkeypatch.setattr(firstboot, "is_under_way", lambda: False)
    firstboot.await_site(Journal(None))


@pytest.mark.parametrize(("packages", "heard"), [((), ["asked", "asked"]), (("libpq5",), [])])
def test_git_is_used_as_soon_as_it_is_unpacked(
    packages: tuple[str, ...], heard: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until somebody hears of it; never before the packages that the app itself needs are there."""
    said, asked = ["Unpacking git (1:2) ...", *["Setting up x (1) ..."] * 3], list[str]()
    for program in ("git", "systemctl"):
        (tmp_path / program).write_text("#!/bin/sh\necho version 2\n")
        (tmp_path / program).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(apt, "_POLICY", tmp_path / "policy-rc.d")
    monkeypatch.setattr(apt, "_run", lambda words, say: [say(line) for line in said if words[0] == "install"])
    monkeypatch.setattr(apt, "_check", lambda wanted: None)

    def git_works() -> bool:
        asked.append("asked")
        return len(asked) == 2

    apt.install(packages, lambda line: None, git_works)
    assert heard == asked


def _unit(monkeypatch: pytest.MonkeyPatch, **told: str) -> None:
    """Have systemd say this of the first boot's unit."""
    monkeypatch.setattr(firstboot.command, "output", lambda words: "".join(f"{k}={v}\n" for k, v in told.items()))
    monkeypatch.setattr(journal, "_QUIET", 0.0)


DEATHS = {
    "killed": ({"ActiveState": "failed", "Result": "signal", "ExecMainStatus": "9"}, "memory ran out"),
    "failed": ({"ActiveState": "failed", "Result": "exit-code", "ExecMainStatus": "1"}, "status 1"),
    "cut off": ({"ActiveState": "inactive"}, "as by a reboot"),
}


def test_a_first_boot_that_nobody_begins_has_an_end_too(
    boot: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once cloud-init has ended without that, and no start of it waits for its turn."""
    (tmp_path / "boot.jsonl").unlink()
    monkeypatch.setattr(firstboot, "_RESULTS", (tmp_path / "result.json",))
    _unit(monkeypatch, ActiveState="inactive", Job="7")
    assert firstboot._death() is None
    (tmp_path / "result.json").touch()
    assert firstboot._death() is None
    _unit(monkeypatch, ActiveState="inactive", Job="0")
    assert ["it never began: cloud-init ended without starting it"] == [one["text"] for one in firstboot.follow()]


@pytest.mark.parametrize("journalled", [False, True])
def test_a_first_boot_that_begins_while_it_is_looked_at_is_not_dead(
    journalled: bool, boot: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """cloud-init starts it and ends between two looks, of which the second counts; so does the journal it writes."""
    (tmp_path / "boot.jsonl").unlink()
    looks = iter(["ActiveState=inactive\nJob=0\n", "ActiveState=inactive\nJob=7\n"])

    def look(_words: object) -> str:
        (tmp_path / "boot.jsonl").touch() if journalled else (tmp_path / "result.json").touch()
        return next(looks)

    monkeypatch.setattr(firstboot, "_RESULTS", (tmp_path / ("result.json" if not journalled else "boot.jsonl"),))
    monkeypatch.setattr(firstboot.command, "output", look)
    assert firstboot._death() is None


@pytest.mark.parametrize("how", DEATHS)
def test_a_first_boot_that_ended_without_a_word_has_an_end_for_whoever_follows_it(
    how: str, boot: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what is known of it, after all that it did say."""
    told, words = DEATHS[how]
    _unit(monkeypatch, **told)
    events = list(firstboot.follow())
    assert [("git", "done"), ("bootstrap", "failed")] == [(one["stage"], one["state"]) for one in events]
    assert words in events[-1]["text"]


def test_a_first_boot_that_is_at_work_is_followed_to_its_own_end(
    boot: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long it is silent."""
    _unit(monkeypatch, ActiveState="activating")
    threading.Timer(0.2, lambda: boot.tell(firstboot.LAST, journal.DONE)).start()
    assert [("git", "done"), ("bootstrap", "done")] == [(one["stage"], one["state"]) for one in firstboot.follow()]


@pytest.mark.parametrize("state", ["active", "failed"])
def test_a_first_boot_that_could_not_start_nginx_is_not_waited_for(
    state: str, boot: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fails the release at once, unless somebody has mended it: that nginx is installed is not enough."""
    (tmp_path / "nginx").touch(mode=0o755)
    boot.tell(firstboot.LAST, journal.FAILED, "nginx does not start")
    monkeypatch.setattr(firstboot.command, "output", lambda words: f"{state}\n")
    if state == "active":
        firstboot.await_site(Journal(None))
        return
    with pytest.raises(StageError, match="the first boot failed: nginx does not start"):
        firstboot.await_site(Journal(None))
