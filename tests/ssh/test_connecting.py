"""Who is let go on: hosts that have the pinned key, and nobody else; everybody else gets nothing, and soon."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
import sshd
from ssh.middle import Middle, Saying
from sshd import Host, Meeting

from cloudship.errors import HostKeyMismatch, ShellError, ShellUnreachable
from cloudship.keys import LaunchFiles, mint

pytestmark = pytest.mark.slow


@pytest.fixture
def stranger(new_host: Callable[..., Host], meeting: Meeting) -> Host:
    """Somebody who would let us in whoever we are; not started, and without a key of theirs."""
    meeting.host.stop()
    host = new_host("stranger")
    host.let_anybody_in()
    return host


def test_a_stranger_with_another_key_gets_nothing(meeting: Meeting, stranger: Host) -> None:
    """No request to log in reaches them, from us or from OpenSSH with our options."""
    stranger.use_key(mint("stranger"))
    with stranger.start(meeting.host.port):
        with pytest.raises(HostKeyMismatch, match="nothing was sent"):
            meeting.connect()
        done = _openssh(meeting, "true")
        assert (255, True) == (done.returncode, "Host key verification failed" in done.stderr)
        assert [] == stranger.requests()


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_a_stranger_with_a_key_of_another_kind_gets_nothing(meeting: Meeting, stranger: Host, kind: str) -> None:
    """There is no agreement on a key, and nothing beyond that."""
    stranger.make_key(kind)
    with stranger.start(meeting.host.port):
        with pytest.raises(HostKeyMismatch, match="nothing was sent"):
            meeting.connect()
        assert 255 == _openssh(meeting, "true").returncode
        assert [] == stranger.requests()


def test_a_stranger_would_have_got_more_from_somebody_who_trusts(meeting: Meeting, stranger: Host) -> None:
    """Whoever pins the stranger's key is let in and runs a command there: the log would have shown it."""
    key = mint("stranger")
    stranger.use_key(key)
    meeting.files.pin([key.public])
    with stranger.start(meeting.host.port):
        assert 0 == _openssh(meeting, "true").returncode
        with meeting.connect() as shell:
            assert 0 == shell.run("true").exit_status
        assert len(stranger.requests()) > 2


def test_nobody_is_trusted_where_no_key_is_pinned(meeting: Meeting) -> None:
    """Neither with an empty file, nor with none, nor with keys of other hosts."""
    known = meeting.files.known_hosts
    for text in ("", f"other {known.read_text().partition(' ')[2]}", None):
        known.unlink() if text is None else known.write_text(text)
        with pytest.raises(HostKeyMismatch, match="nothing was sent"):
            meeting.connect()


def test_the_pinned_kind_of_key_is_asked_for(meeting: Meeting) -> None:
    """A host that has other keys besides is known by the one that is pinned."""
    meeting.host.stop()
    meeting.host.make_key("ecdsa")
    with meeting.host, meeting.connect() as shell:
        assert 0 == shell.run("true").exit_status


def test_a_host_that_does_not_know_our_key_may_know_it_later(meeting: Meeting) -> None:
    """cloud-init writes it after sshd has started: that is a reason to wait, and told as one."""
    meeting.host.authorize(mint("somebody else").public)
    with pytest.raises(ShellUnreachable, match="does not let us in"):
        meeting.connect()


@pytest.mark.parametrize("text", [None, "", "no key at all\n"])
def test_a_key_of_ours_that_is_lost_is_named(meeting: Meeting, text: str | None) -> None:
    """Nobody is even connected to."""
    meeting.files.identity.unlink() if text is None else meeting.files.identity.write_text(text)
    with pytest.raises(ShellError, match=r"The key that logs in cannot be read: .*id_ed25519"):
        meeting.connect()
    assert "Connection from" not in meeting.host.log


def test_a_late_banner_is_waited_for(meeting: Meeting) -> None:
    """As long as the limit allows."""
    with Middle(meeting.host.port, delay=1.0) as middle, meeting.connect(port=middle.port) as shell:
        assert 0 == shell.run("true").exit_status
    with Middle(meeting.host.port, delay=30.0) as middle, pytest.raises(ShellUnreachable):
        meeting.connect(port=middle.port, limit=0.5)


NO_SSHD = {
    "says nothing": (b"", {}),
    "hangs up": (b"", {"close": True}),
    "speaks HTTP": (b"HTTP/1.1 400 Bad Request\r\n\r\n", {}),
    "says its name and no more": (b"SSH-2.0-OpenSSH_9.2\r\n", {}),
    "is of another age": (b"SSH-1.5-OpenSSH_1.2\r\n", {}),
    "talks without end": (b"welcome\r\n" * 100, {"flood": True}),
    "never ends its line": (b"x" * 1000, {"flood": True}),
    "begins a packet without end": (b"SSH-2.0-OpenSSH_9.2\r\n\xff\xff\xff\xff" + b"\0" * 100, {"flood": True}),
    "sends bytes of no meaning": (b"SSH-2.0-OpenSSH_9.2\r\n" + bytes(range(256)) * 9, {}),
}


@pytest.mark.parametrize("name", NO_SSHD)
def test_what_is_no_sshd_is_given_up_within_the_limit(meeting: Meeting, name: str) -> None:
    """One of our errors, whatever is said; nothing goes on in the background."""
    words, manner = NO_SSHD[name]
    with Saying(words, **manner) as saying:
        _gives_up(saying.port, meeting)
    assert b"publickey" not in saying.heard


def _gives_up(port: int, meeting: Meeting) -> None:
    before = threading.active_count()
    with pytest.raises(ShellError):
        meeting.connect(port=port, limit=0.5)
    assert sshd.soon(lambda: threading.active_count() <= before)


def test_a_port_that_is_closed_is_told_as_that(meeting: Meeting) -> None:
    """It may open: a reason to wait."""
    meeting.host.stop()
    with pytest.raises(ShellUnreachable, match="refuses connections"):
        meeting.connect()


def test_a_connection_that_is_cut_anywhere_ends_as_an_error_of_ours(meeting: Meeting) -> None:
    """At every so many bytes that the host says, from its first to those of the command's end."""
    with Middle(meeting.host.port) as middle:
        _look(meeting, middle.port, limit=20)
    until_the_status, errors = middle.passed - 200, []
    for number, cut in enumerate(range(0, until_the_status, until_the_status // 12)):
        with Middle(meeting.host.port, cut=cut, hang=number % 4 == 3) as middle:
            with pytest.raises(ShellError) as caught:
                _look(meeting, middle.port, limit=0.7)
            errors.append(caught.value)
    assert len(errors) >= 12
    assert all(isinstance(one, ShellUnreachable) or "broke" in one.message or "within" in one.message for one in errors)


def _look(meeting: Meeting, port: int, limit: float) -> None:
    with meeting.connect(port=port, limit=limit) as shell:
        assert "on\n" == shell.run("echo on", limit=limit).stdout


def test_a_host_with_too_many_guests_is_tried_again(meeting: Meeting) -> None:
    """MaxStartups: who is turned away is told that waiting may help, and is let in when there is room."""
    meeting.host.stop()
    meeting.host.settings["MaxStartups"] = "2:100:2"
    meeting.host.start()
    with ExitStack() as guests:
        for _ in range(2):
            guests.enter_context(socket.create_connection(("127.0.0.1", meeting.host.port)))
        assert sshd.soon(lambda: _is_turned_away(meeting))
    assert sshd.soon(lambda: not _is_turned_away(meeting))


def _is_turned_away(meeting: Meeting) -> bool:
    try:
        meeting.connect().close()
    except ShellUnreachable as error:
        assert "broke: sshd ends the connection" in error.message  # noqa: PT017  what the user is told meanwhile
        return True
    return False


def test_openssh_asks_nobody_and_reads_no_configuration_of_the_users(
    meeting: Meeting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A home that trusts everybody changes nothing for a ship."""
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    hostile = "Host *\n  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  User nobody\n"
    (home / ".ssh/config").write_text(hostile)
    monkeypatch.setenv("HOME", str(home))
    assert 0 == _openssh(meeting, "true").returncode
    meeting.files.pin([mint("another").public])
    assert "Host key verification failed" in _openssh(meeting, "true").stderr


@pytest.mark.parametrize("name", ["Application Support", "50% of%h", "a*b"])
def test_openssh_finds_our_files_wherever_they_lie(meeting: Meeting, tmp_path: Path, name: str) -> None:
    """A blank parts words in its options, and % begins a token; a host that is not pinned there is not trusted."""
    meeting.files.folder.rename(tmp_path / name)
    meeting.files = LaunchFiles(tmp_path / name, meeting.files.launch)
    done = _openssh(meeting, "echo on")
    assert (0, "on\n", "") == (done.returncode, done.stdout, done.stderr)
    meeting.files.pin([mint("another").public])
    assert "Host key verification failed" in _openssh(meeting, "true").stderr


def test_a_connection_outlives_the_reload_of_sshd(meeting: Meeting) -> None:
    """Which is how the host key is switched under it."""
    with meeting.connect() as shell:
        assert 0 == shell.run(("systemctl", "reload", "ssh")).exit_status
        assert sshd.soon(lambda: meeting.host.log.count("Server listening") == 2)
        assert "on\n" == shell.run("echo on", limit=20).stdout


def _openssh(meeting: Meeting, command: str) -> subprocess.CompletedProcess[str]:
    words = (*meeting.files.options(), "-p", str(meeting.host.port), "root@127.0.0.1", command)
    return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60)
