"""Files that nginx serves itself: one `public` folder for each release, made of links into its tree."""

from __future__ import annotations

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
            place.symlink_to(folder)
