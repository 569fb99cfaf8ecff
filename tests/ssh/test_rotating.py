"""The host key is rotated on a real sshd, by the script as it is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sshd import CLOUD_INIT, HOST_KEY, Host, Meeting

from cloudship import hostkey
from cloudship.errors import HostKeyMismatch, ShellError
from cloudship.keys import mint
from cloudship.models import Timeouts
from cloudship.ssh import Shell

LIMITS = Timeouts(host_key=20)


def rotate(meeting: Meeting, limits: Timeouts = LIMITS) -> Shell:
    """Rotate as a launch does."""
    temporary = meeting.key.public
    meeting.files.pin((), temporary)
    return hostkey.rotate(
        meeting.connect(), temporary=temporary, files=meeting.files, connect=meeting.connect, timeouts=limits
    )


def test_a_key_that_never_left_the_droplet_takes_the_place_of_the_temporary_one(meeting: Meeting) -> None:
    """It alone is pinned, sshd shows it, the temporary one is wiped from what cloud-init keeps."""
    kept = meeting.host.folder / CLOUD_INIT / "instance/user-data.txt"
    kept.write_text(f"#cloud-config\nssh_keys: {meeting.key.private.reveal()}\nafter: all\n")
    size = kept.stat().st_size
    with rotate(meeting) as shell:
        assert "on\n" == shell.run("echo on").stdout
    own = (meeting.host.folder / f"{HOST_KEY}.pub").read_text().split()[:2]
    assert (" ".join(own),) == meeting.files.pinned()
    assert meeting.key.public.split()[:2] != own
    assert meeting.files.is_settled
    assert 0o600 == (meeting.host.folder / HOST_KEY).stat().st_mode & 0o777
    assert (size, False) == (kept.stat().st_size, "PRIVATE KEY" in kept.read_text())
    assert "after: all" in kept.read_text()


def test_who_has_the_temporary_key_is_a_stranger_afterwards(meeting: Meeting, new_host: Callable[..., Host]) -> None:
    """On the same address, with everything that the user-data told: nothing but an exchange of keys."""
    rotate(meeting).close()
    meeting.host.stop()
    thief = new_host("thief")
    thief.let_anybody_in()
    thief.use_key(meeting.key)
    with thief.start(meeting.host.port):
        with pytest.raises(HostKeyMismatch, match="nothing was sent"):
            meeting.connect()
        assert [] == thief.requests()


def test_a_stranger_who_comes_in_the_middle_gets_nothing(meeting: Meeting, new_host: Callable[..., Host]) -> None:
    """Whoever answers after the switch without the new key is waited out, and is sent nothing."""
    thief, met = new_host("thief"), []
    thief.let_anybody_in()
    thief.use_key(mint("thief"))

    def connect(limit: float) -> Shell:
        if not met:
            meeting.host.stop()
            thief.start(meeting.host.port)
        try:
            return meeting.connect(limit)
        except HostKeyMismatch as error:
            met.append(error)
            if len(met) == 3:  # enough: it would go on to its limit
                raise KeyboardInterrupt from error
            raise

    temporary = meeting.key.public
    meeting.files.pin((), temporary)
    with pytest.raises(KeyboardInterrupt):
        hostkey.rotate(meeting.connect(), temporary=temporary, files=meeting.files, connect=connect, timeouts=LIMITS)
    assert [] == thief.requests()


BROKEN = {
    "the metadata is open": ("ip", "true", "open to every user"),
    "the key cannot be made": ("ssh-keygen", "echo no entropy >&2; exit 3", "no entropy"),
    "sshd cannot be told": ("systemctl", "echo no such unit >&2; exit 5", "no such unit"),
    "the step is killed": ("ssh-keygen", "kill -9 $PPID", "killed by a signal"),
    "something else is said": ("ssh-keygen", "echo hello; touch $8 $8.pub", "could not be rotated"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_step_that_fails_ends_the_rotation(meeting: Meeting, name: str) -> None:
    """With its own words; the host is not settled, so nothing more is sent to it."""
    program, script, cause = BROKEN[name]
    meeting.host.program(f"bin/{program}", script)
    with pytest.raises(ShellError) as caught:
        rotate(meeting)
    assert cause in "\n".join((caught.value.message, *caught.value.evidence))
    assert not meeting.files.is_settled


def test_a_droplet_that_hangs_in_the_middle_is_given_up(meeting: Meeting) -> None:
    """The limit of the phase holds for each of its steps."""
    meeting.host.program("bin/ssh-keygen", "sleep 60")
    with pytest.raises(ShellError, match="did not end within 3 s"):
        rotate(meeting, Timeouts(host_key=3))


def test_the_switch_can_be_asked_for_twice(meeting: Meeting) -> None:
    """A second time finds the new key in place and changes nothing."""
    rotate(meeting).close()
    before = (meeting.host.folder / HOST_KEY).read_bytes()
    with meeting.connect() as shell:
        assert meeting.files.pinned()[0] == " ".join(hostkey._step(shell, "switch", LIMITS).split()[:2])
    assert before == (meeting.host.folder / HOST_KEY).read_bytes()
