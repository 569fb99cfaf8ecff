"""
Which app it is, found out by the very module that decides on the droplet: a preview can never differ.

The package lies in `userdata/`, outside of `cloudship`, because it runs on the droplet.
"""

from __future__ import annotations

import importlib
import io
import json
import sys
import tarfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from cloudship.config import APP_KEYS, written_in
from cloudship.errors import AppNotUnderstood, ConfigError
from cloudship.models import Value
from cloudship.render import userdata_folder


class AppInfo(Value):
    """What was found out."""

    kind: str
    why: str
    warnings: tuple[str, ...]
    dependency_files: tuple[str, ...]
    wanted: Mapping[str, Any]  # what the Python environment depends on, as the droplet reads it
    health_path: str
    health_status: int | None
    health_timeout: float  # seconds
    apt: tuple[str, ...]


def inspect(tree: Path, override: Mapping[str, Any]) -> AppInfo:
    """
    Find out which app a tree holds.

    Args:
        tree: the app.
        override: the app's keys given from outside the tree.

    Raises:
        AppNotUnderstood: none was found, or more than one; with the candidates and the line to write.
        ConfigError: its configuration cannot be.
    """
    app_module, settings_module = _module("app"), _module("settings")
    try:
        settings = settings_module.load(tree, override)
        found = app_module.detect(tree, settings)
    except settings_module.SettingsError as error:
        raise ConfigError(_placed(str(error), tree, override)) from error
    except app_module.AppError as error:
        raise AppNotUnderstood(str(error), evidence=error.candidates, next_step=error.next_step or None) from error
    return AppInfo(
        kind=found.kind,
        why=found.why,
        warnings=found.warnings,
        dependency_files=found.dependency_files,
        wanted={
            "mode": found.requirements.mode,
            "files": found.dependency_files,
            "extras": found.extras,
            "python": found.python,
        },
        health_path=settings.health_path,
        health_status=settings.health_status,
        health_timeout=settings.health_timeout,
        apt=settings.apt,
    )


def _placed(message: str, tree: Path, override: Mapping[str, Any]) -> str:
    """Name the file of a key that cannot be, where it stands in the tree and not outside."""
    key = message.partition(":")[0].partition(".")[0]
    if key in override or key not in APP_KEYS:
        return message
    return f"{written_in(tree)}: {message}"


def dependency_archive(tree: Path, info: AppInfo) -> bytes | None:
    """Pack what the Python environment depends on, to be made while packages install; None: it cannot be early."""
    if info.kind == "static" or info.wanted["mode"] == "project":
        return None
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in info.dependency_files:
            archive.add(tree / name, arcname=name, recursive=False)
        data = json.dumps(dict(info.wanted)).encode()
        entry = tarfile.TarInfo("wanted.json")
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


@cache
def _module(name: str) -> Any:
    folder = str(userdata_folder())
    if folder not in sys.path:
        sys.path.append(folder)
    return importlib.import_module(f"droplet.{name}")
