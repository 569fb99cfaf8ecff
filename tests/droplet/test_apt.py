"""What apt says, read: the cause in words, its own lines once, and what is worth another try."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cloudship.errors import PASSING, BootFailed
from droplet import apt, command
from droplet.journal import StageError

Run = Callable[[list[str]], list[str]]


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let nothing be installed for real, and nobody wait."""
    monkeypatch.setattr(apt, "_POLICY", tmp_path / "policy-rc.d")
    monkeypatch.setattr(apt, "_check", lambda wanted: None)
    monkeypatch.setattr(apt.time, "sleep", lambda seconds: None)
    return []


def _running(asked: list[str], monkeypatch: pytest.MonkeyPatch, **said: list[str]) -> None:
    """Have apt say the same at each of its runs; what begins with E: is a failure."""

    def run(words: list[str], say: Callable[[str], None]) -> list[str]:
        asked.append(words[0])
        lines = said.get(words[0], [])
        if any(line.startswith("E:") for line in lines):
            raise StageError("failed", lines)
        return lines

    monkeypatch.setattr(apt, "_run", run)


CAUSES = {
    "E: Failed to fetch http://m/x  404  Not Found": "the mirror does not answer well",
    "E: Failed to fetch http://m/x.deb  Hash Sum mismatch": "files that are not what its lists say",
    "E: Release file for http://m/ is expired": "the mirror's lists are not of this time",
    "E: The repository 'http://m InRelease' is not signed. NOSPLIT": "not signed as they should be",
    "E: GPG error: http://m x InRelease: Signed file isn't valid, got 'NODATA'": "not signed as they should be",
    "E: Failed to fetch http://m/  Temporary failure resolving 'm'": "DNS does not work",
    "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 7": "another program holds dpkg's lock",
    "E: You don't have enough free space in /var/cache/apt/archives/.": "no space is left on the droplet's disk",
    "E: Sub-process /usr/bin/dpkg returned an error code (1)": "a package could not be set up",
}


@pytest.mark.parametrize("line", CAUSES)
def test_the_cause_is_named(line: str, asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """In words, with apt's own line once, however often it was said."""
    _running(asked, monkeypatch, install=["Reading lists", line, line])
    with pytest.raises(StageError) as caught:
        apt.install((), lambda line: None)
    assert CAUSES[line] in str(caught.value)
    assert line in caught.value.lines
    assert 1 == caught.value.lines.count(line)
    assert ["update", "install", "install", "install"] == asked


def test_lists_that_did_not_come_are_the_cause_of_packages_that_nobody_knows(
    asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though apt takes the first for no failure; they are asked for again, the second is not."""
    lost = "W: Failed to fetch http://m/InRelease  Could not connect to m:80. - connect (111: Connection refused)"
    _running(asked, monkeypatch, update=[lost], install=["E: Unable to locate package git"])
    with pytest.raises(StageError, match="apt-get update failed: the mirror does not answer well") as caught:
        apt.install((), lambda line: None)
    assert ([lost], ["update"] * 3 + ["install"]) == (caught.value.lines, asked)


def test_lists_that_did_not_come_and_are_not_needed_are_no_failure(
    asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A third mirror may be down for years."""
    _running(asked, monkeypatch, update=["W: Failed to fetch http://third/InRelease"])
    apt.install((), lambda line: None)
    assert ["update"] * 3 + ["install"] == asked


def test_an_installation_that_was_cut_off_is_finished(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """And then apt is asked again."""
    finished: list[str] = []
    said = ["E: dpkg was interrupted, you must manually run 'dpkg --configure -a'"]

    def run(words: list[str], say: Callable[[str], None]) -> list[str]:
        if words[0] == "install" and not finished:
            raise StageError("failed", said)
        return []

    monkeypatch.setattr(apt, "_run", run)
    monkeypatch.setattr(command, "output", lambda words: finished.append(" ".join(words[:3])) or "")
    apt.install((), lambda line: None)
    assert ["dpkg --configure -a"] == finished


def test_services_of_what_an_app_asks_for_run_at_once(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """They would from the next boot on; what was there before is left as it is, and nginx waits for its site."""
    enabled = ["ssh.service enabled", "mine.service enabled"]
    started: list[list[str]] = []

    def run(words: list[str], say: Callable[[str], None]) -> list[str]:
        if words[0] == "install":
            enabled.extend(["nginx.service enabled", "redis-server.service enabled", "logs.timer enabled"])
        return []

    monkeypatch.setattr(apt, "_run", run)
    monkeypatch.setattr(command, "output", lambda words: "\n".join(enabled))
    monkeypatch.setattr(command, "run", lambda words, **_: started.append(words))
    apt.install((), lambda line: None)
    assert [] == started
    del enabled[2:]
    apt.install(["redis"], lambda line: None)
    assert [["systemctl", "start", "logs.timer", "redis-server.service"]] == started


def test_the_mirrors_are_named(tmp_path: Path) -> None:
    """Of both forms of a list, each once; what is commented out is none."""
    (tmp_path / "sources.list").write_text("# deb http://old/ x main\ndeb [signed-by=/k] http://one/debian x main\n")
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / "a.sources").write_text("URIs: https://two/debian http://one/security\n")
    assert ["http://one", "https://two"] == apt.mirrors(tmp_path)


def test_a_command_that_was_killed_says_what_that_mostly_means() -> None:
    """For a command, and for one that a shell ran."""
    for line in ("kill -KILL $$", "exit 137"):
        with pytest.raises(StageError, match="most likely because memory ran out"):
            command.run(["sh", "-c", line])


@pytest.mark.parametrize("cause", PASSING)
def test_what_passes_by_itself_is_worded_as_the_client_knows_it(cause: str) -> None:
    """A mirror that is down for a while is no reason to say that trying again will not help."""
    assert 1 == sum(cause in meaning for _, meaning in apt._CAUSES)
    assert BootFailed(f"The first boot failed at packages: {cause}").retryable
    assert not BootFailed("The first boot failed at packages: no mirror has such a package").retryable
