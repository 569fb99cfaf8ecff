"""What the user asked for: source and configuration, read and checked before any cloud is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloudship import appinfo, git, source
from cloudship.config import Config, Loaded, load
from cloudship.source import FolderSource, GitSource, Source, SourceTree


@dataclass(frozen=True)
class Request:
    """What the user asked for, read and checked, before any cloud is asked."""

    name: str
    source: Source
    loaded: Loaded
    tree: SourceTree
    app: appinfo.AppInfo
    notes: tuple[str, ...]

    @property
    def folder(self) -> Path | None:
        """The folder that is sent as it is now; None for a commit or a URL."""
        found = self.source
        return found.path if isinstance(found, FolderSource) and found.ref is None else None

    @property
    def config(self) -> Config:
        """The merged configuration."""
        return self.loaded.config


def read(text: str | Path, given: Mapping[str, Any], config_file: Path | None, workspace: Path) -> Request:
    """
    Read source and configuration, and find out which app it is.

    Raises:
        UsageError: whatever is wrong with them.
    """
    asked = source.parse(text)
    tree = git.read(asked, workspace)
    loaded = load(tree.root, file=config_file, foreign=isinstance(asked, GitSource), given=given)
    app = appinfo.inspect(tree.root, loaded.outside)
    name = loaded.config.name or source.default_name(asked)
    notes = tuple(f"{key} in the app's own file is ignored: it comes from a git URL" for key in loaded.ignored)
    return Request(name, asked, loaded, tree, app, notes)
