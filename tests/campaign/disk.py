"""
What a machine's crash leaves of a folder: what `recorder` has written down is played again, with some of it lost.

    Disk       plays it, and knows what has reached the disk for certain: what was synced
    MODELS     the ways in which file systems lose what was not
"""

from __future__ import annotations

import base64
import json
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class _File:
    mode: int
    data: bytearray = field(default_factory=bytearray)
    synced: bytes = b""  # what is on the disk for certain


@dataclass
class _Folder:
    mode: int
    entries: dict[str, _File | _Folder] = field(default_factory=dict)
    synced: dict[str, _File | _Folder] = field(default_factory=dict)


class Disk:
    """
    A folder as it was, and what happened to it since.

    Args:
        root: the folder; what is in it now has been on the disk for long.
    """

    def __init__(self, root: Path) -> None:
        self._files: dict[int, _File] = {}
        self._root = self._read(root)

    def play(self, acts: Iterable[dict[str, Any]]) -> Disk:
        """Do again what was recorded."""
        for act in acts:
            told = dict(act)
            getattr(self, "_" + told.pop("act").replace(" ", "_"))(**told)
        return self

    def left(self, model: Model) -> dict[str, tuple[int, bytes | None]]:
        """Say what a crash leaves: by path the mode, and of a file what is in it."""
        return dict(self._walk(self._root, "", model))

    def _read(self, folder: Path) -> _Folder:
        made = _Folder(stat.S_IMODE(folder.stat().st_mode))
        for path in folder.iterdir():
            if path.is_dir():
                made.entries[path.name] = self._read(path)
            else:
                found = path.stat()
                held = path.read_bytes()
                made.entries[path.name] = self._files[found.st_ino] = _File(
                    stat.S_IMODE(found.st_mode), bytearray(held), held
                )
        made.synced = dict(made.entries)
        return made

    def _walk(self, folder: _Folder, prefix: str, model: Model) -> Iterator[tuple[str, tuple[int, bytes | None]]]:
        for name, found in (folder.synced if model.loses_entries else folder.entries).items():
            if isinstance(found, _Folder):
                yield prefix + name, (found.mode, None)
                yield from self._walk(found, f"{prefix}{name}/", model)
            else:
                yield prefix + name, (found.mode, model.content(bytes(found.data), found.synced))

    def _at(self, path: str) -> tuple[_Folder, str]:
        *above, name = path.split("/")
        folder = self._root
        for part in above:
            inner = folder.entries[part]
            assert isinstance(inner, _Folder)
            folder = inner
        return folder, name

    def _mark(self, text: str) -> None:
        """Nothing happens on the disk."""

    def _create(self, path: str, file: int, mode: int) -> None:
        folder, name = self._at(path)
        folder.entries[name] = self._files[file] = _File(mode)

    def _write(self, file: int, offset: int, data: str) -> None:
        held, found = base64.b64decode(data), self._files[file]
        found.data[offset : offset + len(held)] = held

    def _cut(self, file: int, size: int) -> None:
        del self._files[file].data[size:]
        self._files[file].synced = self._files[file].synced[:size]

    def _fchmod(self, file: int, mode: int) -> None:
        self._files[file].mode = mode

    def _sync(self, file: int) -> None:
        self._files[file].synced = bytes(self._files[file].data)

    def _sync_folder(self, path: str) -> None:
        folder, name = (None, "") if path == "." else self._at(path)
        found = self._root if folder is None else folder.entries[name]
        assert isinstance(found, _Folder)
        found.synced = dict(found.entries)

    def _rename(self, path: str, target: str) -> None:
        folder, name = self._at(path)
        other, new = self._at(target)
        other.entries[new] = folder.entries.pop(name)

    def _unlink(self, path: str) -> None:
        folder, name = self._at(path)
        del folder.entries[name]

    _rmdir = _unlink

    def _mkdir(self, path: str, mode: int) -> None:
        folder, name = self._at(path)
        folder.entries[name] = _Folder(mode)

    def _chmod(self, path: str, mode: int) -> None:
        folder, name = self._at(path)
        folder.entries[name].mode = mode


@dataclass(frozen=True)
class Model:
    """A way in which file systems lose what was not synced."""

    name: str
    content: Callable[[bytes, bytes], bytes]  # of what was written and what was synced, what is there
    loses_entries: bool = False  # names that were made, moved or removed since their folder was synced


def _torn(written: bytes, synced: bytes) -> bytes:
    """Half of what came after the sync is there."""
    same = next((at for at, (one, other) in enumerate(zip(written, synced, strict=False)) if one != other), len(synced))
    same = min(same, len(written))
    return written[: same + (len(written) - same + 1) // 2]


MODELS = (
    Model("all in order", lambda written, _synced: written),
    Model("data lost", lambda _written, synced: synced),
    Model("data torn", _torn),
    Model("data zero", lambda written, synced: (synced + bytes(len(written)))[: len(written)]),
    Model("names lost", lambda written, _synced: written, loses_entries=True),
    Model("names and data lost", lambda _written, synced: synced, loses_entries=True),
)


def restore(folder: Path, left: dict[str, tuple[int, bytes | None]]) -> None:
    """Make a folder what a crash left of it."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    for name, (mode, data) in left.items():
        path = folder / name
        if data is None:
            path.mkdir()
        else:
            path.write_bytes(data)
        path.chmod(mode)


def seen(folder: Path) -> dict[str, tuple[int, bytes | None]]:
    """Read a folder as `Disk.left` describes one."""
    found = {}
    for path in sorted(folder.rglob("*")):
        data = None if path.is_dir() else path.read_bytes()
        found[str(path.relative_to(folder))] = (stat.S_IMODE(path.stat().st_mode), data)
    return found


def recorded(log: Path) -> list[dict[str, Any]]:
    """Read what was written down."""
    return [json.loads(line) for line in log.read_text("utf-8").splitlines()]


def marks(acts: Iterable[dict[str, Any]]) -> list[str]:
    """List what happened besides, in its order."""
    return [one["text"] for one in acts if one["act"] == "mark"]


def count(acts: Iterable[dict[str, Any]]) -> int:
    """Count what was done to the disk."""
    return sum(one["act"] != "mark" for one in acts)


__all__ = ["MODELS", "Disk", "Model", "count", "marks", "recorded", "restore", "seen"]
