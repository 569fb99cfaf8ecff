"""
Somebody else answers on the droplet's address: with no key that fits, with another one, with the temporary one.

They are a real sshd that would take anybody in and writes down every request. They must hear of none, by any of our
ways to a droplet; and a client that trusts whoever answers is noticed.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sshd
from sshd import Host

from campaign import case
from campaign.conftest import record, told
from cloudship import git, source, ssh
from cloudship.errors import CloudshipError
from cloudship.keys import KeyPair, LaunchFiles, mint, ssh_config
from cloudship.ssh import Shell


@dataclass
class Place:
    """An address at which a stranger answers, and the files of a launch whose droplet was there."""

    stranger: Host
    files: LaunchFiles
    app: Path

    def run(self) -> None:
        """Run a command, as `run`, `logs`, `deploy` and all other verbs do."""
        with Shell.connect("127.0.0.1", port=self.stranger.port, files=self.files, limit=20) as shell:
            shell.run("true", stdin=b"a value of the app", limit=20)

    def ssh(self) -> None:
        """Log in as `ssh` does."""
        self._call(*self.files.options(), "-p", str(self.stranger.port), "root@127.0.0.1", "true")

    def push(self) -> None:
        """Push as `deploy` does."""
        tree = git.read(source.parse(str(self.app)), self.stranger.folder / f"workspace-{os.getpid()}")
        url = git.repository_url(f"127.0.0.1:{self.stranger.port}", "web")
        git.push(tree, url=url, ssh=self.files.options(), line=lambda _line: None, limit=20)

    def push_from_checkout(self) -> None:
        """Push as `git push ship main` does, with the configuration that `up` wrote."""
        self.files.save_config("127.0.0.1")
        self._call("ssh", "-F", str(ssh_config()), "-p", str(self.stranger.port), self.files.host, "true")

    def _call(self, *words: str) -> None:
        subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)


WAYS: dict[str, Callable[[Place], None]] = {
    "run": Place.run,
    "ssh": Place.ssh,
    "deploy": Place.push,
    "git push": Place.push_from_checkout,
}


def trust_whoever_answers() -> None:
    """The policy that adds every key it meets, in our connections and in OpenSSH's."""

    def accepted(transport: ssh.paramiko.Transport, files: LaunchFiles, deadline: float) -> None:
        transport.start_client(timeout=max(0.001, deadline))
        key = transport.get_remote_server_key()
        files.pin([f"{key.get_name()} {key.get_base64()}"])

    plain = LaunchFiles._settings
    ssh._greeted = accepted
    LaunchFiles._settings = lambda self: {**plain(self), "StrictHostKeyChecking": "no"}  # type: ignore[method-assign]


def _nothing() -> None:
    """Break nothing."""


def _other_kind(stranger: Host, _temporary: KeyPair) -> None:
    stranger.make_key("ecdsa")


def _other_key(stranger: Host, _temporary: KeyPair) -> None:
    stranger.use_key(mint("stranger"))


def _temporary_key(stranger: Host, temporary: KeyPair) -> None:
    stranger.use_key(temporary)


STRANGERS = {
    "with no key that fits": _other_kind,
    "with another key": _other_key,
    "with the temporary key": _temporary_key,
}


@pytest.fixture
def place(tmp_path: Path, flask_app: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A stranger who is not there yet; the droplet's own key is pinned."""
    if reason := sshd.lacking():
        assert os.environ.get("CI") != "true", reason
        pytest.skip(f"no sshd can be started here: {reason}")
    monkeypatch.setenv("CLOUDSHIP_STATE_DIR", str(tmp_path))
    found = placed(tmp_path, flask_app)
    yield found
    found.stranger.stop()


def placed(state: Path, app: Path) -> Place:
    """Make a launch's files in a state folder, and a stranger who would take anybody in."""
    files, _ = sshd.known(state / "ships" / "local", mint("own").public)
    stranger = Host(state / "stranger")
    stranger.let_anybody_in()
    stranger.program("bin/git-receive-pack", "touch /srv/got; exit 1")
    return Place(stranger, files, app)


def heard_by(place: Place, answers: str, mutate: Callable[[], None]) -> dict[str, list[str]]:
    """Try all ways to a droplet at which a stranger answers, and give what they heard on each."""
    STRANGERS[answers](place.stranger, mint("temporary"))
    found: dict[str, list[str]] = {}
    with place.stranger:
        for name, way in WAYS.items():
            before = len(place.stranger.requests())
            ended = case.fork(lambda way=way: _tried(place, way, mutate), {})  # type: ignore[misc]
            assert ended.status == 0, ended.output
            if heard := place.stranger.requests()[before:]:
                found[name] = heard
    return found


def _tried(place: Place, way: Callable[[Place], None], mutate: Callable[[], None]) -> int:
    mutate()
    try:
        way(place)
    except CloudshipError:
        return 0
    return 0


@pytest.mark.parametrize("answers", STRANGERS)
def test_a_stranger_hears_nothing_on_any_way(place: Place, answers: str) -> None:
    """No request to log in, no command, no code, no value; an exchange of keys is all."""
    heard = heard_by(place, answers, _nothing)
    assert not heard, told(heard)
    assert place.stranger.log.count("Connection from") >= len(WAYS)
    assert not (place.stranger.folder / "srv/got").exists()
    record("impostors", points=len(WAYS), cases=len(WAYS))


@pytest.mark.parametrize("answers", STRANGERS)
def test_a_client_that_trusts_whoever_answers_is_noticed(place: Place, answers: str) -> None:
    """The mutant AutoAddPolicy: on every way the stranger is let hear more."""
    assert set(WAYS) == set(heard_by(place, answers, trust_whoever_answers))
    record("mutants, a client that trusts whoever answers", points=1, cases=len(WAYS))
