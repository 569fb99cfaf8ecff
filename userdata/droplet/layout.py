"""Where everything lies on the droplet, and what the bootstrap was told."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Optional, Tuple

CONFIG = Path("/etc/cloudship/droplet.json")
ENVIRONMENT = Path("/etc/cloudship/env.json")
STATE = Path("/var/lib/cloudship")
PROGRAM = Path("/opt/cloudship")
USER = "app"


@dataclass(frozen=True)
class Layout:
    """The places of one app."""

    name: str
    base: Path = Path("/srv")

    @property
    def home(self) -> Path:
        """The app's own folder."""
        return self.base / self.name

    @property
    def repository(self) -> Path:
        """Where pushes go."""
        return self.home / "repo.git"

    @property
    def releases(self) -> Path:
        """One folder for each release, named by its number."""
        return self.home / "releases"

    @property
    def shared(self) -> Path:
        """What survives releases."""
        return self.home / "shared"

    @property
    def environments(self) -> Path:
        """Python environments, named by the hash of what is in them."""
        return self.home / "envs"

    @property
    def current(self) -> Path:
        """The link to the live release: the only switch there is."""
        return self.home / "current"

    @property
    def previous(self) -> Path:
        """The link to the release before: its hashed files are served while pages that name them are still open."""
        return self.home / "previous"

    @property
    def lock(self) -> Path:
        """Held by whoever makes a release, with who that is."""
        return self.home / "release.lock"

    @property
    def history(self) -> Path:
        """Which release went live when."""
        return self.home / "history.jsonl"

    @property
    def scale(self) -> Path:
        """How many of each process run."""
        return self.home / "scale.json"

    @property
    def maintenance(self) -> Path:
        """The page that nginx answers with while it is there."""
        return self.home / "maintenance.html"

    @property
    def ended(self) -> Path:
        """The page that nginx answers with once the ship's time is over."""
        return self.home / "ended.html"

    def release(self, number: int) -> Path:
        """The folder of a release."""
        return self.releases / str(number)

    def socket(self, number: int) -> Path:
        """The socket on which a release answers."""
        return self.release(number) / "run" / "web.sock"

    def live(self) -> Optional[int]:
        """The number of the live release; None before the first."""
        try:
            name = self.current.resolve(strict=True).name
        except OSError:
            return None
        return int(name) if name.isdigit() else None

    def numbers(self) -> Tuple[int, ...]:
        """The numbers of all releases that are kept, oldest first."""
        if not self.releases.is_dir():
            return ()
        return tuple(sorted(int(path.name) for path in self.releases.iterdir() if path.name.isdigit()))


@dataclass(frozen=True)
class Config:
    """What the user-data said."""

    name: str
    settings: Dict[str, Any]  # the app's keys given from outside its tree
    apt: Tuple[str, ...]
    index_url: Optional[str]
    git_url: Optional[str]
    git_ref: Optional[str]
    python_mirror: Optional[str] = None  # where uv fetches Pythons
    expires: Optional[int] = None  # unix time, as known at the creation

    @property
    def layout(self) -> Layout:
        """Where the app lies."""
        return Layout(self.name)


def read_config(path: Path = CONFIG) -> Config:
    """Read what the user-data said."""
    told = json.loads(path.read_text(encoding="utf-8"))
    git = told.get("git") or {}
    return Config(
        name=told["name"],
        settings=told.get("settings") or {},
        apt=tuple(told.get("apt") or ()),
        index_url=told.get("index_url"),
        git_url=git.get("url"),
        git_ref=git.get("ref"),
        python_mirror=told.get("python_mirror"),
        expires=told.get("expires"),
    )


def write_settings(settings: Dict[str, Any], path: Path = CONFIG) -> Any:
    """Replace the settings given from outside, whole or not at all; gives the ones before."""
    told = json.loads(path.read_text(encoding="utf-8"))
    before, told["settings"] = told.get("settings") or {}, settings
    replace_text(path, json.dumps(told), 0o644)
    return before


def replace_text(path: Path, text: str, mode: int) -> None:
    """Write a file whole or not at all, also when the power goes."""
    unfinished = path.with_name(path.name + ".part")
    unfinished.touch(mode=mode)
    unfinished.chmod(mode)
    with unfinished.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    sync_folder(path.parent)


def replace_link(path: Path, target: Path) -> None:
    """Lead a link elsewhere: one rename."""
    unfinished = path.with_name(path.name + ".part")
    if unfinished.is_symlink():
        unfinished.unlink()
    unfinished.symlink_to(target)
    unfinished.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make what was renamed in a folder last."""
    opened = os.open(str(folder), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
