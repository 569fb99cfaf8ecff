"""Files that nginx serves itself: one `public` folder for each release, made of links into its tree."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Dict


def publish(public: Path, folders: Dict[str, Path]) -> None:
    """
    Make the public folder.

    Args:
        public: where nginx looks.
        folders: URL prefix, then the folder that answers it; one that does not exist is left out.
    """
    public.mkdir()
    for prefix, folder in folders.items():
        parts = [part for part in prefix.split("/") if part]
        if not folder.is_dir() or not parts or ".." in parts:
            continue
        place = public.joinpath(*parts)
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            link(place, folder)


def link(place: Path, folder: Path) -> None:
    """Lead to a folder of the same release by a relative link, so that a copy of the release leads to its own."""
    release = next((one for one in place.parents if one.parent.name == "releases"), None)
    inside = release is not None and release in folder.parents
    place.symlink_to(os.path.relpath(str(folder), str(place.parent)) if inside else str(folder))
