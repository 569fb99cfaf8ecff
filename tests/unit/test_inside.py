"""What is done inside a ship becomes an `ssh` of the user's own, word for word."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from cloudship.cli import inside
from cloudship.errors import ConfigError

LOGIN = ("ssh", "-i", "key", "root@192.0.2.7")


@pytest.fixture
def became(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The programs that this process would have become."""
    seen: list[list[str]] = []
    monkeypatch.setattr(inside, "the_ship", lambda *_words: SimpleNamespace(openssh=lambda: LOGIN))
    monkeypatch.setattr(os, "execvp", lambda _program, words: seen.append(words))
    return seen


@pytest.mark.parametrize("command", [None, ["uptime"], ["ls", "/srv", "|", "wc"]])
def test_ssh_logs_in_or_does_one_thing(became: list[list[str]], command: list[str] | None) -> None:
    """What stands behind the name goes to the shell there as `ssh` itself would give it."""
    inside.ssh("web", command)
    assert [[*LOGIN, *(command or [])]] == became


@pytest.mark.parametrize(("verb", "name"), [(inside.ssh, "ssh"), (inside.run, "run")])
def test_a_flag_in_the_place_of_a_command_is_refused(
    became: list[list[str]], verb: Callable[[str, list[str]], None], name: str
) -> None:
    """OpenSSH would take it for one of its own."""
    with pytest.raises(ConfigError, match=f"{name} has no flag -oProxyCommand"):
        verb("web", ["-oProxyCommand=touch /tmp/x"])
    assert [] == became


@pytest.mark.parametrize("verb", [inside.ssh, inside.run])
def test_what_such_a_flag_was_given_is_not_shown(
    became: list[list[str]], verb: Callable[[str, list[str]], None]
) -> None:
    """It may be a secret that was meant for `up`."""
    with pytest.raises(ConfigError, match=r"has no flag --env$"):
        verb("web", ["--env=API_KEY=s3cret", "ls"])
    assert [] == became
