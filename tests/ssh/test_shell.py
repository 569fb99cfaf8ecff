"""Commands on a real sshd: every way in which one goes and ends."""

from __future__ import annotations

import hashlib
import threading
import time
import tracemalloc

import pytest
from sshd import Meeting

from cloudship import ssh
from cloudship.errors import ShellError, ShellUnreachable

pytestmark = pytest.mark.slow


def test_a_command_gives_its_output_and_its_status(meeting: Meeting) -> None:
    """Words are quoted, a line is for the shell, both streams and the status come back; 255 is one like others."""
    with meeting.connect() as shell:
        done = shell.run(("sh", "-c", "echo 'a b'; echo c >&2; exit 3"))
        assert (3, "a b\n", "c\n") == (done.exit_status, done.stdout, done.stderr)
        assert "1\n2\n" == shell.run("echo 1; echo 2").stdout
        assert 255 == shell.run("exit 255").exit_status
        assert 127 == shell.run(("no-such-program",)).exit_status


def test_a_command_that_is_killed_is_no_broken_connection(meeting: Meeting) -> None:
    """The message says so, and the next command runs on the same connection."""
    with meeting.connect() as shell:
        with pytest.raises(ShellError, match="was killed by a signal"):
            shell.run("echo begun; kill -9 $$")
        assert "on\n" == shell.run("echo on").stdout


def test_a_connection_that_breaks_under_a_command_is_told_as_that(meeting: Meeting) -> None:
    """Whoever runs sshd's process of this connection down ends the wait at once; trying again may help."""
    with meeting.connect() as shell, pytest.raises(ShellUnreachable, match="broke while") as caught:
        shell.run("kill -9 $PPID; sleep 60", limit=30)
    assert caught.value.retryable


def test_much_on_both_streams_arrives_whole(meeting: Meeting) -> None:
    """Three megabytes on each, at once: neither stream waits for the other."""
    size = 3_000_000
    one = f"head -c {size} /dev/zero | tr '\\0' "
    with meeting.connect() as shell:
        done = shell.run(f"({one} e >&2) & {one} o; wait", limit=60)
    assert (0, "o" * size, "e" * size) == (done.exit_status, done.stdout, done.stderr)


def test_much_input_arrives_whole_at_a_command_that_reads_late(meeting: Meeting) -> None:
    """More than the window takes at once: nothing is cut off, and the command hears of the end."""
    with meeting.connect() as shell:
        done = shell.run("sleep 1; wc -c", stdin=b"x" * 6_000_000, limit=60)
        assert "6000000" == done.stdout.strip()
        assert 0 == shell.run("exec 0<&-; sleep 1", stdin=b"x" * 6_000_000, limit=60).exit_status


def test_lines_are_cut_where_they_end_or_become_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """One without an end takes neither all memory nor ever more time."""
    monkeypatch.setattr(ssh, "LONGEST_LINE", 8)
    heard: list[str] = []
    lines = ssh._Lines(heard.append)
    for data in (b"a", b"b\r\nc\n\nd", b"e" * 5, b"f" * 5, b"g", b"h\n", b"end"):
        lines.feed(data)
    lines.end()
    assert ["ab", "c", "", "deeeeefffff", "gh", "end"] == heard


def test_more_than_is_kept_costs_no_memory(meeting: Meeting, monkeypatch: pytest.MonkeyPatch) -> None:
    """The beginning is given; the rest is read and forgotten."""
    monkeypatch.setattr(ssh, "MOST_OUTPUT", 1000)
    with meeting.connect() as shell:
        tracemalloc.start()
        done = shell.run("echo begun; head -c 8000000 /dev/zero", limit=60)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert (1000, True) == (len(done.stdout), done.stdout.startswith("begun\n"))
    assert most < 4_000_000  # the connection's own windows


def test_input_arrives_byte_for_byte(meeting: Meeting) -> None:
    """Two megabytes of every byte there is."""
    data = bytes(range(256)) * 8192
    with meeting.connect() as shell:
        done = shell.run(("sha256sum",), stdin=data, limit=60)
    assert hashlib.sha256(data).hexdigest() == done.stdout.split()[0]


@pytest.mark.parametrize("command", ["head -c 1 >/dev/null; exit 7", "exec <&-; sleep 0.3; exit 7", "exit 7"])
def test_input_that_is_not_read_keeps_nobody(meeting: Meeting, command: str) -> None:
    """The command ends as it likes, with megabytes still on their way to it."""
    with meeting.connect() as shell:
        assert 7 == shell.run(command, stdin=b"x" * 5_000_000, limit=30).exit_status
        assert 0 == shell.run("true", limit=30).exit_status


@pytest.mark.parametrize("command", ["sleep 60", "yes", "yes >&2", "exec >&- 2>&-; sleep 60"])
def test_the_limit_holds_whatever_the_command_says(meeting: Meeting, command: str) -> None:
    """Silent, or without end on either stream: after the limit the connection is good for the next one."""
    with meeting.connect() as shell:
        with pytest.raises(ShellError, match="did not end within 2 s"):
            shell.run(command, limit=2)
        assert "on\n" == shell.run("echo on", limit=30).stdout


def test_a_command_that_closes_its_streams_is_waited_for_at_rest(meeting: Meeting) -> None:
    """Its status is what is waited for, and the wait burns no processor."""
    with meeting.connect() as shell:
        began = time.thread_time()
        assert 4 == shell.run("exec >&- 2>&-; sleep 1; exit 4", limit=30).exit_status
        assert time.thread_time() - began < 0.5


def test_what_is_no_text_is_shown_as_such(meeting: Meeting) -> None:
    """Bytes that are no UTF-8 are replaced, in results and in lines."""
    said: list[str] = []
    with meeting.connect() as shell:
        assert "\ufffd\ufffdok\n" == shell.run(r"printf '\377\376ok\n'").stdout
        assert 0 == shell.stream(r"printf '\377ok\n'", line=said.append)
    assert ["\ufffdok"] == said


def test_lines_come_while_the_command_runs(meeting: Meeting) -> None:
    """Of both streams, the last one also without its end; a carriage return belongs to none."""
    said: list[str] = []
    first = threading.Event()

    def hear(line: str) -> None:
        said.append(line)
        first.set()

    with meeting.connect() as shell:
        more = "echo begun; while [ ! -e /tmp/go ]; do sleep 0.02; done; "
        more += r"printf '\n\303\274\r\n' >&2; printf end; exit 5"
        statuses: list[int] = []
        thread = threading.Thread(target=lambda: statuses.append(shell.stream(more, line=hear, limit=60)))
        thread.start()
        assert first.wait(30)
        assert ["begun"] == said
        assert 0 == shell.run("touch /tmp/go").exit_status
        thread.join()
    assert ([5], {"begun", "", "ü", "end"}) == (statuses, set(said))
