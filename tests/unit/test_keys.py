"""Key pairs and pinned hosts."""

from __future__ import annotations

import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from cloudship.errors import ConfigError, KeyMissing, StorageError
from cloudship.keys import LaunchFiles, mint, own_public_keys, ssh_config, state_folder
from cloudship.ssh import Shell


def test_openssh_itself_understands_the_keys(tmp_path: Path) -> None:
    """ssh-keygen derives the same public half."""
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed")
    pair, files = mint("who"), LaunchFiles(tmp_path / "l", "0123456789")
    files.save_identity(pair)
    derived = subprocess.run(["ssh-keygen", "-y", "-f", files.identity], capture_output=True, text=True, check=True)
    assert pair.public.split()[:2] == derived.stdout.split()[:2]


def test_private_keys_are_created_for_their_user_alone(tmp_path: Path) -> None:
    """0600 in 0700 from the first moment, and never over an old file."""
    files = LaunchFiles(tmp_path / "l", "0123456789")
    files.save_identity(mint("who"))
    assert (0o600, 0o700) == tuple(stat.S_IMODE(path.stat().st_mode) for path in (files.identity, files.folder))
    with pytest.raises(StorageError, match="File exists"):
        files.save_identity(mint("who"))


def test_pinning_replaces_all_earlier_keys(tmp_path: Path) -> None:
    """A host is known by the keys that were pinned last, under the launch's alias and no address."""
    files = LaunchFiles(tmp_path / "l", "0123456789")
    files.folder.mkdir()
    files.pin(["ssh-ed25519 AAA old", "ssh-ed25519 BBB new"])
    files.pin(["ssh-ed25519 BBB new"])
    assert ("ssh-ed25519 BBB",) == files.pinned()
    assert files.known_hosts.read_text().startswith("cloudship-0123456789 ")


def test_a_host_is_settled_once_the_temporary_key_is_forgotten(tmp_path: Path) -> None:
    """The mark stands where OpenSSH allows a comment: it finds both keys, and the host is not settled before."""
    files, own, temporary = LaunchFiles(tmp_path / "l", "0123456789"), mint("own").public, mint("temporary").public
    files.folder.mkdir()
    settled = []
    for step in (((), temporary), ((own,), temporary), ((own,), None)):
        files.pin(*step)
        settled.append(files.is_settled)
        found = ["ssh-keygen", "-F", files.alias, "-f", str(files.known_hosts)]
        listed = subprocess.run(found, capture_output=True, text=True, check=True).stdout
        assert all(key in listed for key in files.pinned())
    assert [False, False, True] == settled


def test_a_folder_of_keys_that_cannot_be_listed_holds_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has asked for those keys; a launch goes on without them."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").touch()
    assert () == own_public_keys(())


@pytest.mark.parametrize("text", ["", "no key", "\ufffd"])
def test_a_key_that_cannot_be_read_is_told_as_that(tmp_path: Path, text: str) -> None:
    """Whatever a disk has made of it: the path, and what is wrong."""
    files = LaunchFiles(tmp_path / "l", "0123456789")
    pair = mint("who")
    files.save_identity(pair)
    whole = pair.private.reveal()
    for broken in (text, whole[: len(whole) // 2], whole.replace("b3BlbnNzaC1rZXktdjE", "b3BlbnNzaC1rZXktdjF")):
        files.identity.write_text(broken)
        with pytest.raises(KeyMissing, match="cannot be read"):
            Shell.connect("127.0.0.1", files=files, port=9)


def test_the_ssh_command_trusts_nothing_of_the_users_own(tmp_path: Path) -> None:
    """Its configuration, agent and known hosts have no say."""
    words = LaunchFiles(tmp_path, "0123456789").openssh("192.0.2.1")
    assert ("ssh", "-F", "/dev/null") == words[:3]
    assert {"-oStrictHostKeyChecking=yes", "-oIdentityAgent=none", "-oGlobalKnownHostsFile=/dev/null"} <= set(words)
    assert "root@192.0.2.1" == words[-1]


@pytest.mark.parametrize("name", ["plain", "Application Support", "50%h", "a*b[c]?"])
def test_openssh_reads_paths_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A blank parts no words, % begins no token and * stands for itself: in options, and in the file for `git push`."""
    monkeypatch.setenv("CLOUDSHIP_STATE_DIR", str(tmp_path / name))
    files = LaunchFiles(state_folder() / "ships" / "local" / "web" / "0123456789", "0123456789")
    files.save_identity(mint("who"))
    files.save_config("192.0.2.1")
    for words in (files.openssh("192.0.2.1"), ("ssh", "-F", str(ssh_config()), files.host)):
        told = _asked(*words)
        assert ("192.0.2.1", [files.identity], [files.known_hosts]) == (
            told["hostname"][0],
            [Path(one.replace("%%", "%")) for one in told["identityfile"]],  # as it is written: it is read later
            [Path(one.replace("%%", "%")) for one in told["userknownhostsfile"]],
        )


def test_openssh_gives_up_a_droplet_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a minute without a word, in our own calls and in `git push`; the kernel's own limit is two hours."""
    monkeypatch.setenv("CLOUDSHIP_STATE_DIR", str(tmp_path))
    files = LaunchFiles(tmp_path / "ships" / "local" / "web" / "0123456789", "0123456789")
    files.save_identity(mint("who"))
    files.save_config("192.0.2.1")
    for words in (files.openssh("192.0.2.1"), ("ssh", "-F", str(ssh_config()), files.host)):
        told = _asked(*words)
        assert (["15"], ["4"]) == (told["serveraliveinterval"], told["serveralivecountmax"])


def _asked(*words: str) -> dict[str, list[str]]:
    """Ask OpenSSH what it makes of such a call: each setting with its values."""
    done = subprocess.run([words[0], "-G", *words[1:]], capture_output=True, text=True, check=True)
    found: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        name, _, value = line.partition(" ")
        found.setdefault(name, []).append(value)
    return found


def test_a_configured_key_file_that_holds_none_is_refused(tmp_path: Path) -> None:
    """Naming the private half by mistake is caught before anything is created."""
    (tmp_path / "id").write_text(mint("x").private.reveal())
    with pytest.raises(ConfigError, match=r"\.pub"):
        own_public_keys([str(tmp_path / "id")])


def test_a_key_pair_does_not_show_its_private_half() -> None:
    """The repr is safe to log."""
    assert "PRIVATE" not in repr(mint("x"))


def test_default_keys_that_cannot_be_used_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder, several lines or foreign letters in ~/.ssh are no reason to fail."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh" / "id_folder.pub").mkdir(parents=True)
    for name, text in (("good", "ssh-ed25519 AAA me"), ("two", "ssh-rsa A\nssh-rsa B"), ("odd", "ssh-rsa A J\u00f6rg")):
        (tmp_path / ".ssh" / f"id_{name}.pub").write_text(text, encoding="utf-8")
    assert ("ssh-ed25519 AAA me",) == own_public_keys(())
