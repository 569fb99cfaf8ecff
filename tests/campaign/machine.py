"""
What stands for a booted droplet at the seams of SSH, git and HTTP.

Driver none boots nothing, so the modules that speak to a droplet are given these in a forked child, never in the
test's own process. Everything that speaks to the API, the journal and the disk is the real thing. What the droplet
remembers is in `memory.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from typing_extensions import Self

from campaign import memory
from campaign.memory import Memory
from cloudship import deploy, git, hostkey, launch, readiness, ssh
from cloudship.errors import GitError, HostKeyMismatch, ShellUnreachable, Unreachable
from cloudship.keys import LaunchFiles, mint
from cloudship.models import CONTROL, Result
from cloudship.probe import RELEASE_HEADER, Answer

BOOT = ("apt", "uv", "user", "repo", "git", "nginx", "bootstrap")


class FakeShell:
    """A connection to a droplet on which everything goes well."""

    made = ""

    def __init__(self, droplet: Memory) -> None:
        self._droplet = droplet

    @classmethod
    def connect(cls, address: str, *, files: LaunchFiles, **_more: Any) -> FakeShell:
        """Connect to the droplet of a launch, with its key, knowing it by the host key that it has."""
        ssh._identity(files)
        droplet = memory.answering(address, files.launch)
        if not files.pinned() or droplet.kept("host_key") not in (None, *files.pinned()):
            raise HostKeyMismatch(f"{address} offers no key of the pinned kind; nothing was sent")
        return cls(droplet)

    def run(self, command: str | Sequence[str], *, stdin: bytes | None = None, limit: float | None = None) -> Result:
        """Run a command that ends with a document, or with nothing to say."""
        del limit
        words = command.split() if isinstance(command, str) else list(command)
        if words[:2] == ["sh", "-s"]:
            if words[2] == "generate":
                FakeShell.made = " ".join(mint("droplet").public.split()[:2])
            else:
                self._droplet.store("host_key", FakeShell.made)
            return _said(FakeShell.made)
        return _said(self._verb(words[1:], stdin) if words[0] == CONTROL else "")

    def stream(
        self,
        command: str | Sequence[str],
        *,
        line: Callable[[str], None],
        stdin: bytes | None = None,
        limit: float | None = None,
    ) -> int:
        """Run a command that speaks while it works."""
        del limit
        words = command.split() if isinstance(command, str) else list(command)
        if "boot-log" in words:
            for stage in BOOT:
                line(json.dumps({"stage": stage, "state": "done", "text": "", "seconds": 0.1}))
        elif words[1] == "rollback":
            return self._rolled_back(words[2:], line)
        elif words[1] == "env-edit":
            self._edit(json.loads(stdin or b"{}"))
            line(f"cloudship: release {self._droplet.released(['action=env'])} is live")
        return 0

    def _verb(self, words: list[str], stdin: bytes | None) -> str:
        droplet = self._droplet
        match words:
            case ["env-set"]:
                droplet.store("values", json.loads(stdin or b"{}"))
            case ["settings-set"]:
                before = droplet.kept("settings")
                droplet.store("settings", json.loads(stdin or b"{}"))
                return json.dumps(before)
            case ["env-list"]:
                return json.dumps(droplet.kept("values"))
            case ["maintenance", *asked]:
                if asked != ["status"]:
                    droplet.store("closed", asked == ["on"])
                return "on" if droplet.kept("closed") else "off"
            case ["releases"]:
                return json.dumps(droplet.overview())
            case ["status"]:
                return json.dumps({"release": droplet.live, "releases": droplet.overview()[::-1], "process": "running"})
        return ""

    def _rolled_back(self, words: list[str], line: Callable[[str], None]) -> int:
        number = self._droplet.rolled_back(int(words[0]) if words and words[0].isdigit() else None)
        line(f"cloudship: release {number} is live" if number else "cloudship: there is no good release to go back to")
        return 0 if number else 2

    def _edit(self, asked: dict[str, Any]) -> None:
        kept = {key: value for key, value in self._droplet.kept("values").items() if key not in asked.get("unset", ())}
        self._droplet.store("values", {**kept, **asked.get("set", {})})

    def close(self) -> None:
        """Close."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def push(_tree: Any, *, url: str, ssh: Sequence[str], line: Callable[[str], None], **more: Any) -> None:
    """Release what is pushed."""
    alias = next(word for word in ssh if word.startswith("-oHostKeyAlias="))
    try:
        droplet = memory.answering(urlsplit(url).hostname or "", alias.rpartition("-")[2])
    except (ShellUnreachable, HostKeyMismatch) as error:
        raise GitError("The push broke off", evidence=[str(error)]) from error
    line("-> receive")
    line(f"cloudship: release {droplet.released(more.get('options', ()))} is live")


def look(url: str, *, limit: float) -> Answer:
    """Answer as the app would, through nginx, or as nginx does before there is one."""
    del limit
    found = memory.launch_at(urlsplit(url).hostname or "")
    if found is None:
        raise Unreachable("connection refused")
    live = Memory(found).live
    return Answer(200, "OK", {RELEASE_HEADER: str(live)}) if live else Answer(503, "Unavailable", {})


def stand_in() -> None:
    """Put them in place, in this process."""
    for module in (ssh, launch, readiness, hostkey, deploy):
        module.Shell = FakeShell  # type: ignore[attr-defined,assignment,misc]
    git.push = push  # type: ignore[assignment]
    readiness.look = look  # type: ignore[attr-defined]


def _said(text: str) -> Result:
    return Result(exit_status=0, stdout=text + "\n", stderr="")


__all__ = ["FakeShell", "stand_in"]
