"""What this machine keeps of launches: the means to log in to each, and the journal of what they asked for."""

from __future__ import annotations

from pathlib import Path

from cloudship.journal import Journal
from cloudship.keys import LaunchFiles, state_folder
from cloudship.models import Cloud


def launch_files(cloud: Cloud, name: str, launch: str) -> LaunchFiles:
    """Say where the means to log in to a launch lie on this machine."""
    return LaunchFiles(files_root(cloud) / name / launch, launch)


def files_root(cloud: Cloud) -> Path:
    """Say where the files of all launches on a cloud lie on this machine."""
    return state_folder() / "ships" / cloud.value


def journal() -> Journal:
    """Open the journal of this machine's user."""
    return Journal(state_folder() / "journal.jsonl")
