"""Somebody who is not root: sudo gives what booting needs, and what lies in their folders is theirs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from campaign import case
from campaign.case import Ended

from cloudship import cli

SUDOERS = Path("/etc/sudoers.d")


@dataclass(frozen=True)
class Person:
    """A user of this machine."""

    name: str
    uid: int
    gid: int
    home: Path

    def types(self, *words: str) -> Ended:
        """Run a command line as this user: in a fork, since this interpreter may lie where only root can read."""

        def work() -> int:
            os.initgroups(self.name, self.gid)
            os.setgid(self.gid)
            os.setuid(self.uid)
            os.chdir("/")
            return cli.run([*words])

        return case.fork(work, {"HOME": str(self.home), "USER": self.name})

    def may(self, rule: str) -> None:
        """Let sudo give root to this user, by a rule."""
        path = SUDOERS / self.name
        path.write_text(f"{self.name} ALL=(ALL) {rule}\n", encoding="utf-8")
        path.chmod(0o440)

    def strangers(self) -> list[Path]:
        """List what is on the way to this user's files and belongs to somebody else."""
        here = self.home / ".local"
        found = [here, here / "state", here / "state/cloudship", here / "state/cloudship/local", self.home / ".cache"]
        return [path for path in found if path.exists() and path.stat().st_uid != self.uid]


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Person]:
    """A user made for the test, and gone after it."""
    for name in ("CLOUDSHIP_LOCAL_DIR", "CLOUDSHIP_LOCAL_DRIVER", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    _warm(monkeypatch, tmp_path)
    home, name = Path(tempfile.mkdtemp(prefix="cloudship-")), f"cs{os.getpid()}"
    subprocess.run(["useradd", "--no-create-home", "--home-dir", str(home), name], check=True)
    known = subprocess.run(["id", "-u", name], check=True, capture_output=True, text=True).stdout
    found = Person(name, int(known), int(known), home)
    os.chown(home, found.uid, -1)
    try:
        yield found
        assert 0 == found.types("local", "reset", "--yes").status
    finally:
        (SUDOERS / name).unlink(missing_ok=True)
        subprocess.run(["userdel", name], check=True)
        shutil.rmtree(home)


def _warm(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    """Load what the verbs need while it can be read."""
    with monkeypatch.context() as here:
        here.setenv("CLOUDSHIP_LOCAL_DIR", str(place / "warm"))
        for words in ("start --driver none", "status --json", "status", "stop", "reset --yes"):
            assert 0 == cli.run(["local", *words.split()])
        here.setattr(shutil, "which", lambda *_, **__: None)
        here.setattr(os, "geteuid", lambda: 1)
        assert 2 == cli.run(["local", "start"])


def test_sudo_starts_and_stops_it_for_its_user(person: Person) -> None:
    """Only booting needs root: the endpoint is the user's, who asks it, stops it and still knows it afterwards."""
    person.may("NOPASSWD: ALL")
    started = person.types("local", "start")
    assert (0, []) == (started.status, person.strangers()), started.output
    place = person.home / ".local/state/cloudship/local"
    endpoint = json.loads((place / "endpoint.json").read_text())
    assert person.uid == (place / "endpoint.json").stat().st_uid
    assert endpoint["url"] in started.output
    asked = person.types("local", "status", "--json")
    assert (True, 0) == ((told := json.loads(asked.output))["running"], told["droplets"])
    stopped = person.types("local", "stop")
    assert 0 == stopped.status, stopped.output
    asked = person.types("local", "status", "--json")
    assert (False, 0) == ((told := json.loads(asked.output))["running"], told["droplets"])


def test_without_roots_leave_there_is_the_command_that_somebody_else_types(person: Person) -> None:
    """A sudo that wants a password where nobody can be asked: exit status 2, in the user's own folders."""
    person.may("ALL")
    refused = person.types("local", "start")
    assert (2, True) == (refused.status, "The local cloud needs root, and sudo did not give it" in refused.output)
    assert f"as root: env HOME={person.home}" in refused.output
    assert "-m cloudship local start" in refused.output
    person.may("NOPASSWD: ALL")
