"""What of a command arrived where: in the account, in the user-data, on the droplet, in the words of programs."""

from __future__ import annotations

import base64
import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from campaign import machine
from campaign.cloudbox import CloudBox
from cloudship import git
from cloudship.models import Result

_GIT = """#!/bin/sh
{ for word in "$@"; do printf '%s\\0' "$word"; done; printf '\\n\\0'; } >>"$SEEN_WORDS"
exec REAL "$@"
"""


@dataclass(frozen=True)
class Arrived:
    """What one command left behind it."""

    asked: dict[str, Any]  # the body of the create
    user_data: dict[str, Any]  # parsed
    droplet: dict[str, Any]  # what the droplet's program is told
    values: dict[str, str] | None  # the app's
    files: dict[str, bytes]  # what was pushed
    options: tuple[str, ...]  # of the push

    @property
    def settings(self) -> dict[str, Any]:
        """The app's keys from outside its tree."""
        return dict(self.droplet["settings"])


def recording(place: Path) -> Callable[[], None]:
    """Give what makes a fork write down what it brings to the droplet, and stand in an empty folder."""

    def install() -> None:
        (place / "cwd").mkdir(exist_ok=True)
        os.chdir(place / "cwd")
        plain = machine.FakeShell.run

        def run(self: Any, command: Any, *, stdin: bytes | None = None, limit: float | None = None) -> Result:
            if "env-set" in command:
                (place / "values").write_bytes(stdin or b"")
            return plain(self, command, stdin=stdin, limit=limit)

        def push(tree: Any, *, line: Callable[[str], None], options: tuple[str, ...] = (), **more: Any) -> None:
            files = {os.fsencode(path.relative_to(tree.root)): path for path in tree.root.rglob("*") if path.is_file()}
            told = {base64.b64encode(name).decode(): _content(path) for name, path in files.items()}
            (place / "pushed").write_text(json.dumps({"files": told, "options": list(options)}))
            machine.push(tree, line=line, **more)

        machine.FakeShell.run = run  # type: ignore[method-assign]
        git.push = push  # type: ignore[assignment]

    return install


def _content(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def of(box: CloudBox, place: Path) -> Arrived:
    """Read what arrived of the one launch that is there."""
    ours = {number for number, _, _ in box.account().droplets - box.baseline.droplets}
    with closing(sqlite3.connect(f"file:{box.directory / 'account.sqlite'}?mode=ro", uri=True)) as database:
        rows = dict(database.execute("SELECT id, asked FROM droplets").fetchall())
    (number,) = ours
    asked = json.loads(rows[number])
    parsed = yaml.safe_load(asked["user_data"])
    told = next(one["content"] for one in parsed["write_files"] if one["path"] == "/etc/cloudship/droplet.json")
    pushed = json.loads((place / "pushed").read_text())
    values = json.loads((place / "values").read_text())
    files = {os.fsdecode(base64.b64decode(name)): base64.b64decode(data) for name, data in pushed["files"].items()}
    return Arrived(asked, parsed, json.loads(told), values, files, tuple(pushed["options"]))


def masked(user_data: dict[str, Any]) -> str:
    """Write user-data without what differs from launch to launch: two of one intent are equal then."""
    told = {**user_data, "ssh_keys": None, "users": [{**user_data["users"][0], "ssh_authorized_keys": None}]}
    own = ("/etc/cloudship/droplet.json", "/opt/cloudship/droplet.tar.bz2")
    told["write_files"] = [{**one, "content": None} if one["path"] in own else one for one in user_data["write_files"]]
    return json.dumps(told, sort_keys=True)


def programs(folder: Path) -> dict[str, str]:
    """Put a git before the real one that writes down its words; gives the variables that make it so."""
    real = next(place for place in os.environ["PATH"].split(":") if Path(place, "git").exists())
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "git").write_text(_GIT.replace("REAL", f"{real}/git"))
    (folder / "git").chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def words(seen: Path) -> list[list[str]]:
    """Read the words of each git that was started."""
    if not seen.exists():
        return []
    calls, current = [], []
    for word in seen.read_bytes().split(b"\0"):
        if word == b"\n":
            calls.append(current)
            current = []
        else:
            current.append(os.fsdecode(word))
    return calls
