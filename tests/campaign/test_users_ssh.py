"""
T9: an agent that holds twenty keys, and a configuration of OpenSSH that is one trap, under every way to a droplet.

The agent is a real one, which writes down who asks it. The configuration stands where OpenSSH looks for it, which is in
the home that the list of users names, and where its `Include` does, which is in HOME. A plain `ssh` is shown to walk
into every trap; ours meets a real sshd, the agent hears nothing, no program of somebody else's runs, and a stranger is
not trusted.
"""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import sshd
from sshd import Meeting

from campaign import case, privileges
from campaign.case import Ended
from campaign.conftest import record
from cloudship import checkouts, git, keys, source
from cloudship.cli import inside
from cloudship.keys import mint
from cloudship.models import CONTROL
from cloudship.ssh import Shell

KEYS = 20  # more than any sshd lets anybody try
_TRAPS = """IgnoreUnknown KnownHostsCommand
Match exec "touch {ran}/match"
Host *
  HostName nowhere.invalid
  Port 9
  User nobody
  IdentityFile {own}
  IdentitiesOnly no
  IdentityAgent {agent}
  ForwardAgent yes
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
  KnownHostsCommand /usr/bin/touch {ran}/known
  PermitLocalCommand yes
  LocalCommand touch {ran}/local
  ProxyCommand touch {ran}/proxy
"""
_COMMIT = ("-c", "user.name=n", "-c", "user.email=e@example.org", "commit", "-q", "-m", "first")


@dataclass
class Trap:
    """A user's machine on which everything about SSH is a trap, and the droplet that it knows."""

    meeting: Meeting
    app: Path
    folder: Path

    @property
    def agent(self) -> Path:
        """The agent's socket."""
        return self.folder / "agent"

    @property
    def own(self) -> Path:
        """A key of the user's own, which the configuration names."""
        return self.folder / "own"

    @property
    def ran(self) -> Path:
        """Where whatever was run leaves a file."""
        return self.folder / "ran"

    def what_ran(self) -> set[str]:
        """Name what was run since this was asked before."""
        found = {path.name for path in self.ran.iterdir()}
        for name in found:
            (self.ran / name).unlink()
        return found

    def asked(self) -> int:
        """Count the conversations that the agent had."""
        return (self.folder / "agent.log").read_text().count("type = CONNECTION")

    def run(self, way: Callable[[Trap], int]) -> Ended:
        """Go a way to the droplet in a fork, on this machine."""

        def work() -> int:
            privileges.own_mounts()
            privileges.mount("--bind", str(self.folder / "passwd"), "/etc/passwd")
            return way(self)

        return case.fork(work, {"SSH_AUTH_SOCK": str(self.agent), "HOME": str(self.folder / "home")})

    def openssh(self) -> tuple[str, ...]:
        """Give the words that log in, as a ship does; this droplet has a port of its own."""
        *words, where = self.meeting.files.openssh("127.0.0.1")
        return (*words, "-p", str(self.meeting.host.port), where)


def _connection(trap: Trap) -> int:
    """Run a command on a connection of ours, as most verbs do."""
    with Shell.connect("127.0.0.1", port=trap.meeting.host.port, files=trap.meeting.files, limit=20) as shell:
        return shell.run(("touch", "/srv/got"), limit=20).exit_status


def _ssh(trap: Trap) -> int:
    """Log in by `cloudship ssh`, with a command for its standard input."""
    inside.the_ship = lambda *_words: trap  # type: ignore[assignment,return-value]
    os.dup2(os.memfd_create("typed"), 0)
    os.write(0, b'test -z "$SSH_AUTH_SOCK" && touch /srv/got\n')
    os.lseek(0, 0, os.SEEK_SET)
    inside.ssh("web")
    return 70


def _run(trap: Trap) -> int:
    """Run a command by `cloudship run`."""
    inside.the_ship = lambda *_words: trap  # type: ignore[assignment,return-value]
    inside.run("web", ["touch", "/srv/got"])
    return 70


def _push(trap: Trap) -> int:
    """Push as `up` and `deploy` do."""
    tree = git.read(source.parse(str(trap.app)), trap.folder / f"workspace-{os.getpid()}")
    url = git.repository_url(f"127.0.0.1:{trap.meeting.host.port}", "web")
    git.push(tree, url=url, ssh=trap.meeting.files.options(), line=print, limit=20)
    return 0


def _push_from_checkout(trap: Trap) -> int:
    """Push as the user does who types `git push ship main`."""
    command = f"ssh -F {keys.ssh_config()} -p {trap.meeting.host.port}"
    words = ["git", "-c", f"core.sshCommand={command}", "-c", "ssh.variant=ssh", "push", "ship", "main"]
    return subprocess.run(words, cwd=trap.app, check=False, stdout=sys.stdout, stderr=sys.stderr).returncode


WAYS = {"connection": _connection, "ssh": _ssh, "run": _run, "push": _push, "git push ship": _push_from_checkout}
_PUSHES = ("push", "git push ship")  # end badly, as what takes them in is no git
# The user types it, and a file of ours includes theirs: OpenSSH asks every `Match exec` in what it reads, even where it
# heeds nothing of it.
_ALLOWED = {"git push ship": {"match"}}


@pytest.fixture
def trap(tmp_path: Path, flask_app: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Trap]:
    """Such a machine, and a droplet that lets in its launch's own key."""
    if reason := sshd.lacking():
        assert os.environ.get("CI") != "true", reason
        pytest.skip(f"no sshd can be started here: {reason}")
    monkeypatch.setenv("CLOUDSHIP_STATE_DIR", str(tmp_path / "state"))
    files, public = sshd.known(tmp_path / "state" / "ships" / "local", mint("own").public)
    host, key = sshd.Host(tmp_path / "host", {"LogLevel": "DEBUG1"}), mint("host")
    host.use_key(key)
    host.authorize(public)
    files.pin([key.public])
    host.program("bin/git-receive-pack", "touch /srv/got; exit 1")
    host.program(f"bin/{CONTROL}", 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"')
    found = Trap(Meeting(host, key, files), flask_app, tmp_path / "machine")
    _lay(found)
    with host, _answering(found):
        yield found


def _lay(trap: Trap) -> None:
    """Lay the traps, and tie a checkout to the ship."""
    home = trap.folder / "home"
    for folder in (home / ".ssh", trap.ran):
        folder.mkdir(parents=True)
    trap.own.write_text(mint("user").private.reveal())
    trap.own.chmod(0o600)
    (home / ".ssh/config").write_text(_TRAPS.format(ran=trap.ran, own=trap.own, agent=trap.agent))
    (home / ".ssh/config").chmod(0o600)
    me, users = pwd.getpwuid(os.geteuid()), Path("/etc/passwd").read_text()
    moved = users.replace(f":{me.pw_gecos}:{me.pw_dir}:", f":{me.pw_gecos}:{home}:")
    assert moved != users
    (trap.folder / "passwd").write_text(moved)
    for words in (("init", "-q", "-b", "main", "--template="), ("add", "."), _COMMIT):
        subprocess.run(["git", *words], cwd=trap.app, check=True)
    assert "deploys from here" in str(checkouts.tie(trap.app, trap.meeting.files, name="web", address="127.0.0.1"))


@contextmanager
def _answering(trap: Trap) -> Iterator[None]:
    """Run the agent, and fill it."""
    names = [str(trap.folder / f"key-{number}") for number in range(KEYS)]
    for name in names:
        Path(name).write_text(mint("agent").private.reveal())
        Path(name).chmod(0o600)
    with (trap.folder / "agent.log").open("wb") as log:
        words = ["ssh-agent", "-d", "-a", str(trap.agent)]
        running = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            assert sshd.soon(trap.agent.exists)
            environ = {**os.environ, "SSH_AUTH_SOCK": str(trap.agent)}
            subprocess.run(["ssh-add", "-q", *names], env=environ, check=True, capture_output=True)
            yield
        finally:
            running.kill()
            running.wait()


def test_ours_walks_into_no_trap(trap: Trap) -> None:
    """Each way ends as it should: on the droplet, by the launch's own key, with the user's own SSH unheard of."""
    host, asked = trap.meeting.host, trap.asked()
    for name, way in WAYS.items():
        before = len(host.requests())
        ended = trap.run(way)
        told = f"{name}: {ended.status} {ended.output} {host.log[-2000:]}"
        got = host.folder / "srv/got"
        assert got.exists(), told
        got.unlink()
        assert (ended.status != 0) == (name in _PUSHES), told
        heard = host.requests()[before:]
        assert [] == [line for line in heard if "Failed" in line], told
        assert 1 <= sum("method publickey" in line for line in heard) <= 2, told  # asked about, and used
        assert _ALLOWED.get(name, set()) == trap.what_ran(), told
    assert asked == trap.asked()
    record("T9 an agent and a configuration of SSH", cases=len(WAYS), points=len(WAYS))


def test_ours_trusts_no_stranger_there(trap: Trap) -> None:
    """Where the user's own configuration takes whoever answers, nothing is asked of them."""
    trap.meeting.files.pin([mint("another").public])
    for name, way in WAYS.items():
        ended = trap.run(way)
        assert ended.status != 0, f"{name}: {ended.output}"
        assert _ALLOWED.get(name, set()) == trap.what_ran(), name
    assert [] == trap.meeting.host.requests()
    assert not (trap.meeting.host.folder / "srv/got").exists()
    record("T9 an agent and a configuration of SSH", cases=len(WAYS), points=len(WAYS))


def test_a_plain_ssh_would_walk_into_them(trap: Trap) -> None:
    """Programs run, the agent is asked, and its keys use up all tries that sshd gives."""

    def plain(*more: str) -> Ended:
        words = ["ssh", *more, "-p", str(trap.meeting.host.port), "root@127.0.0.1", "true"]
        return trap.run(lambda _trap: subprocess.run(words, check=False, stdout=1, stderr=2).returncode)

    asked = trap.asked()
    assert plain().status == 255
    assert {"match", "proxy"} <= trap.what_ran()
    refused = plain("-oProxyCommand=none", "-oHostName=127.0.0.1")
    assert "Too many authentication failures" in refused.output
    assert asked < trap.asked()
