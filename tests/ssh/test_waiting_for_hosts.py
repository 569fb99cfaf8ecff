"""Reachable, booted: what is waited for over SSH, on a real sshd."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from sshd import Host, Meeting

from cloudship import readiness
from cloudship.errors import BootFailed, HostKeyMismatch, WaitHopeless, WaitTimeout
from cloudship.events import Attempted, Event
from cloudship.keys import LaunchFiles, mint
from cloudship.models import CONTROL, Timeouts
from cloudship.ssh import Shell

LIMITS = Timeouts(ssh=30, attempt=10, boot=30)


@pytest.fixture
def at_its_port(meeting: Meeting, monkeypatch: pytest.MonkeyPatch) -> Meeting:
    """Lead port 22 of an address to where that host listens."""
    plain = Shell.connect

    def connect(address: str, *, files: LaunchFiles, limit: float) -> Shell:
        assert "192.0.2.1" == address
        return plain("127.0.0.1", files=files, port=meeting.host.port, limit=limit)

    monkeypatch.setattr(Shell, "connect", connect)
    return meeting


def reach(meeting: Meeting, **more: object) -> Shell:
    """Wait for SSH as a launch does."""
    return readiness.reachable("192.0.2.1", meeting.files, **{"timeouts": LIMITS, **more})  # type: ignore[arg-type]


def test_an_sshd_that_starts_late_is_waited_for(at_its_port: Meeting) -> None:
    """Refusals are evidence while it is not there; then a key that is not authorised yet is."""
    meeting, heard = at_its_port, []
    authorized = meeting.host.folder / "root/.ssh/authorized_keys"
    public = authorized.read_text()
    meeting.host.authorize(mint("somebody else").public)
    meeting.host.stop()

    def hear(event: Event) -> None:
        assert isinstance(event, Attempted)
        if not heard:
            meeting.host.start(meeting.host.port)
        if "does not let us in" in event.last:
            authorized.write_text(public)
        heard.append(event.last)

    with reach(meeting, notify=hear) as shell:
        assert 0 == shell.run("true").exit_status
    assert "refuses connections" in heard[0]
    assert "does not let us in" in heard[-1]


def test_an_sshd_that_never_comes_ends_the_wait_with_what_was_seen(at_its_port: Meeting) -> None:
    """And with the next step."""
    at_its_port.host.stop()
    with pytest.raises(WaitTimeout, match="refuses connections") as caught:
        reach(at_its_port, timeouts=Timeouts(ssh=0.3))
    assert "console" in str(caught.value.next_step)


def test_a_droplet_that_is_off_is_not_waited_for(at_its_port: Meeting) -> None:
    """What is hopeless ends at once, with the reason."""
    at_its_port.host.stop()
    with pytest.raises(WaitHopeless, match="powered off"):
        reach(at_its_port, alive=lambda: "the droplet is powered off")


def test_a_droplet_that_goes_on_refusing_our_key_is_not_waited_for(
    at_its_port: Meeting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lets us in came with its host key, before it answered: what is not there by then will not come."""
    at_its_port.host.authorize(mint("somebody else").public)
    monkeypatch.setattr(readiness, "REFUSALS", 0.2)
    with pytest.raises(WaitHopeless, match="goes on refusing our key") as caught:
        reach(at_its_port)
    assert "does not let us in" in caught.value.evidence[-1]


def test_a_stranger_ends_the_wait_at_once(at_its_port: Meeting) -> None:
    """Nobody waits for a stranger to become somebody else."""
    at_its_port.files.pin((), mint("another").public)
    with pytest.raises(HostKeyMismatch) as caught:
        reach(at_its_port)
    assert "did not take the user-data" in caught.value.evidence[0]


def follow(meeting: Meeting, script: str, stage: str = "git", **limits: float) -> None:
    """Follow a first boot whose log a script writes, until a stage is done; how this machine is, is no evidence."""
    meeting.host.program(f"sbin/{CONTROL}", script)
    shell = meeting.connect()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(readiness, "why", lambda shell: ())
            readiness.Boot(shell).wait_for(stage, timeouts=Timeouts(**{"boot": 30, **limits}))
    finally:
        shell.close()


def says(stage: str, state: str, text: str = "", lines: Sequence[str] = ()) -> str:
    """Write a line of shell that tells one event."""
    return f"echo '{json.dumps({'stage': stage, 'state': state, 'text': text, 'lines': list(lines)})}'"


BOOTS: dict[str, tuple[list[str], str, list[str]]] = {
    "a stage fails": (
        [says("apt", "output", "E: no mirror"), says("apt", "failed", "apt-get update failed"), "sleep 60"],
        "The first boot failed at apt: apt-get update failed",
        ["E: no mirror"],
    ),
    "a stage fails and says why": (
        [says("apt", "output", "Reading"), says("apt", "failed", "no packages", ["E: no mirror"]), "sleep 60"],
        "The first boot failed at apt: no packages",
        ["E: no mirror"],
    ),
    "it ends without a result": (
        [says("apt", "output", "working"), "exit 4"],
        "log ended with status 4 and no result",
        ["working"],
    ),
    "its follower is killed": ([says("apt", "running"), "kill -9 $$"], "was killed by a signal", []),
    "the connection breaks": ([says("apt", "running"), "pkill -9 -f sshd:.root@notty"], "connection that followed", []),
    "something else is said": (["echo hello", "echo '{\"stage\": 1}'", "echo '[]'", "exit 0"], "no result", []),
}


@pytest.mark.parametrize("name", BOOTS)
def test_a_first_boot_that_goes_wrong_is_told_with_its_guilty_lines(meeting: Meeting, name: str) -> None:
    """At once, not at the limit."""
    lines, message, evidence = BOOTS[name]
    with pytest.raises(BootFailed, match=message) as caught:
        follow(meeting, "\n".join(lines))
    assert evidence == list(caught.value.evidence)


def test_a_first_boot_that_hangs_ends_at_the_limit_with_its_last_word(meeting: Meeting) -> None:
    """Which is what it was at work on."""
    said = f"{says('apt', 'running')}\n{says('apt', 'output', 'Get:1 nginx')}\nsleep 60"
    with pytest.raises(WaitTimeout, match="Get:1 nginx") as caught:
        follow(meeting, said, boot=3)
    assert ("Get:1 nginx",) == caught.value.evidence


def test_a_first_boot_is_followed_before_its_program_is_there(meeting: Meeting, tmp_path: Path) -> None:
    """cloud-init writes it while we are already there; what comes late is read from the beginning."""
    boot = readiness.Boot(meeting.connect())
    meeting.host.program(f"sbin/{CONTROL}", "\n".join((says("apt", "done"), says("git", "done"), "sleep 60")))
    boot.wait_for("git", timeouts=LIMITS)
    boot.wait_for("apt", timeouts=LIMITS)


def test_a_stage_after_the_end_is_not_waited_for(meeting: Meeting, new_host: Callable[..., Host]) -> None:
    """Once the first boot is over, what it did not do is not done."""
    with pytest.raises(BootFailed, match="no result"):
        follow(meeting, says("git", "done"), stage="nginx")
