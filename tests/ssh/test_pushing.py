"""A push over OpenSSH to a real sshd: to a host that is known, to strangers, and to one that breaks off."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import sshd
from sshd import Host, Meeting

from cloudship import git, source
from cloudship.errors import GitError, ReleaseFailed, WaitTimeout
from cloudship.keys import LaunchFiles, mint
from cloudship.source import SourceTree


@pytest.fixture
def tree(tmp_path: Path, flask_app: Path) -> SourceTree:
    """What is sent."""
    (flask_app / "canary.py").write_text("CANARY = 'canary-51be'\n")
    return git.read(source.parse(str(flask_app)), tmp_path / "workspace")


def push(meeting: Meeting, tree: SourceTree, limit: float = 60) -> list[str]:
    """Push as a deploy does, and give what the droplet said."""
    said: list[str] = []
    url = git.repository_url(f"127.0.0.1:{meeting.host.port}", "web")
    git.push(tree, url=url, ssh=meeting.files.options(), line=said.append, limit=limit)
    return said


def test_the_program_of_the_droplet_is_reached_with_the_ships_own_key(meeting: Meeting, tree: SourceTree) -> None:
    """What it says on its way out is in the error."""
    meeting.host.program("bin/git-receive-pack", 'echo "pushed to $1" >&2; exit 1')
    with pytest.raises(GitError, match="broke off") as caught:
        push(meeting, tree)
    assert any("pushed to /srv/web/repo.git" in line for line in caught.value.evidence)
    assert caught.value.next_step


def test_a_push_finds_our_files_wherever_they_lie(meeting: Meeting, tree: SourceTree, tmp_path: Path) -> None:
    """Their folder may have a blank in its name, as the usual one on a Mac, or a %: git hands words on as they are."""
    meeting.host.program("bin/git-receive-pack", 'echo "pushed to $1" >&2; exit 1')
    meeting.files.folder.rename(tmp_path / "Application Support 50%h")
    meeting.files = LaunchFiles(tmp_path / "Application Support 50%h", meeting.files.launch)
    with pytest.raises(GitError) as caught:
        push(meeting, tree)
    assert any("pushed to /srv/web/repo.git" in line for line in caught.value.evidence)


def test_a_stranger_gets_no_code(meeting: Meeting, tree: SourceTree, new_host: Callable[..., Host]) -> None:
    """Not even a request to log in; the message names the host key."""
    meeting.host.stop()
    stranger = new_host("stranger")
    stranger.let_anybody_in()
    stranger.use_key(mint("stranger"))
    stranger.program("bin/git-receive-pack", "cat > /srv/got")
    stranger.start(meeting.host.port)
    with pytest.raises(GitError) as caught:
        push(meeting, tree)
    assert any("Host key verification failed" in line for line in caught.value.evidence)
    assert [] == stranger.requests()
    assert not (stranger.folder / "srv/got").exists()


def test_a_host_that_does_not_let_us_in_says_so(meeting: Meeting, tree: SourceTree) -> None:
    """OpenSSH's own words, and nobody is asked for a password."""
    meeting.host.authorize(mint("somebody else").public)
    with pytest.raises(GitError) as caught:
        push(meeting, tree)
    assert any("Permission denied" in line for line in caught.value.evidence)


BREAKS = {
    "before a word": "kill -9 $PPID",
    "after some words": "echo 'cloudship: hello' >&2; sleep 0.1; kill -9 $PPID",
    "in the middle of the protocol": "printf '00'; kill -9 $PPID",
    "with another protocol": "echo 'HTTP/1.1 200 OK'; exit 0",
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_push_that_breaks_off_is_told_as_that(meeting: Meeting, tree: SourceTree, name: str) -> None:
    """It is no refused release, and it is over at once."""
    meeting.host.program("bin/git-receive-pack", BREAKS[name])
    with pytest.raises(GitError, match="broke off") as caught:
        push(meeting, tree)
    assert not isinstance(caught.value, ReleaseFailed)
    assert 0 < len(caught.value.evidence) <= 10


def test_a_host_that_says_nothing_is_given_up_at_the_limit(meeting: Meeting, tree: SourceTree) -> None:
    """Nothing of git or ssh is left running."""
    meeting.host.program("bin/git-receive-pack", "sleep 60")
    with pytest.raises(WaitTimeout, match="the push and the release"):
        push(meeting, tree, limit=1)
    assert sshd.soon(lambda: f"127.0.0.1:{meeting.host.port}" not in _commands_of_all())


def _commands_of_all() -> str:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it ended meanwhile
            found.append(path.read_text(errors="replace").replace("\0", " "))
    return "\n".join(found)
