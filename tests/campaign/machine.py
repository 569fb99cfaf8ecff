"""
What stands for a booted droplet at the seams of SSH, git and HTTP.

Driver none boots nothing, so the three modules that speak to a droplet are given these in a forked child, never in the
test's own process. Everything that speaks to the API, the journal and the disk is the real thing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from typing_extensions import Self

from cloudship import git, hostkey, launch, readiness, ssh
from cloudship.keys import mint
from cloudship.models import Result
from cloudship.probe import Answer

BOOT = ("apt", "uv", "user", "repo", "git", "nginx", "bootstrap")


class FakeShell:
    """A connection to a droplet on which everything goes well."""

    made = ""

    @classmethod
    def connect(cls, address: str, **_more: Any) -> FakeShell:
        """Connect."""
        del address
        return cls()

    def run(self, command: str | Sequence[str], *, stdin: bytes | None = None, limit: float | None = None) -> Result:
        """Run one of the commands that a launch runs."""
        del stdin, limit
        words = command.split() if isinstance(command, str) else list(command)
        if words[:2] == ["sh", "-s"]:
            if words[2] == "generate":
                FakeShell.made = " ".join(mint("droplet").public.split()[:2])
            return Result(exit_status=0, stdout=FakeShell.made + "\n", stderr="")
        return Result(exit_status=0, stdout=json.dumps({"release": 1}), stderr="")

    def stream(
        self,
        command: Sequence[str],
        *,
        line: Callable[[str], None],
        stdin: bytes | None = None,
        limit: float | None = None,
    ) -> int:
        """Follow the first boot."""
        del stdin, limit
        if "boot-log" in command:
            for stage in BOOT:
                line(json.dumps({"stage": stage, "state": "done", "text": "", "seconds": 0.1}))
        return 0

    def close(self) -> None:
        """Close."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def push(_tree: Any, *, line: Callable[[str], None], **_more: Any) -> None:
    """Release what is pushed."""
    line("-> receive")
    line("cloudship: release 1 is live")


def look(_url: str, *, limit: float) -> Answer:
    """Answer as the app would, through nginx."""
    del limit
    return Answer(200, "OK", {"x-cloudship-release": "1"}, "hello")


def stand_in() -> None:
    """Put them in place, in this process."""
    for module in (ssh, launch, readiness, hostkey):
        module.Shell = FakeShell  # type: ignore[attr-defined,assignment,misc]
    git.push = push  # type: ignore[assignment]
    readiness.look = look  # type: ignore[attr-defined]


__all__ = ["FakeShell", "stand_in"]
