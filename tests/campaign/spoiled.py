"""Files and folders of a user's state that are not what they were: turned bits, cut, of others, of another kind."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = "*/checkout"
FILES = ("journal.jsonl", "ssh_config", "*/id_ed25519", "*/known_hosts", "*/ssh_config", CHECKOUT, "lock")
NOBODY = 65534
PRECIOUS = "somebody else's\n"


@dataclass(frozen=True)
class Spoiling:
    """One file, and what becomes of it."""

    file: str  # one of FILES
    way: str
    act: Callable[[Path], None]
    heals: bool  # commands cope with it, and whoever takes the ship down next needs no repair

    def __str__(self) -> str:
        return f"{self.file}, {self.way}"

    def path(self, state: Path) -> Path:
        """Find the file."""
        ship = state / "ships" / "local" / "web"
        if self.file in ("journal.jsonl", "ssh_config"):
            return state / self.file
        return next(iter(ship.glob(self.file)))


def spoilings(flips: int) -> Iterator[Spoiling]:
    """List them: every file in every way, and as many turned bits, spread over regions of all files."""
    for file in FILES:
        for way, (act, heals) in WAYS.items():
            yield Spoiling(file, way, act, heals)
        share = flips // (len(FILES) - 1)
        for region in range(share if file != "lock" else 0):  # there is nothing in it
            yield Spoiling(file, f"a bit turned in region {region} of {share}", _turned(region, share), heals=True)


def _turned(region: int, regions: int) -> Callable[[Path], None]:
    def act(path: Path) -> None:
        data, chance = bytearray(path.read_bytes()), random.Random(region)  # noqa: S311  the same every time
        begin, end = len(data) * region // regions, len(data) * (region + 1) // regions
        place = chance.randrange(begin, max(end, begin + 1))
        data[place] ^= 1 << chance.randrange(8)
        path.write_bytes(data)

    return act


def _halved(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def _emptied(path: Path) -> None:
    path.write_bytes(b"")


def _newer(path: Path) -> None:
    """Say what only a later version will say, in the shape that such a file has."""
    text = path.read_text()
    if path.suffix == ".jsonl":
        lines = text.splitlines()
        more = [line[:-1] + ', "since": "version 9", "nested": {"a": [1]}}' for line in lines]
        text = "\n".join([*lines, *more, '{"version": 9}', "[9]", "9", "null"]) + "\n"
    else:
        text += "# version 9\nAFutureKeyword yes\n"
    path.write_text(text)


def _of_somebody_else(path: Path) -> None:
    path.chmod(0o600 if os.geteuid() == 0 else 0)
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY)


def _linked(path: Path) -> None:
    victim = path.parent / "victim"
    victim.write_text(PRECIOUS)
    victim.chmod(0o600)
    path.unlink()
    path.symlink_to(victim)


def _linked_nowhere(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.parent / "nowhere" / "at all")


def _linked_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def _a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir(mode=0o700)
    (path / "inside").touch(mode=0o600)


def _a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def _gone(path: Path) -> None:
    path.unlink()


WAYS: dict[str, tuple[Callable[[Path], None], bool]] = {
    "half of it": (_halved, True),
    "empty": (_emptied, True),
    "gone": (_gone, True),
    "of a newer version": (_newer, True),
    "somebody else's": (_of_somebody_else, False),
    "a link to another file": (_linked, True),
    "a link to nowhere": (_linked_nowhere, False),
    "a link to itself": (_linked_to_itself, False),
    "a folder": (_a_folder, False),
    "a pipe": (_a_pipe, False),
}


def kept(path: Path, aside: Path) -> Callable[[], None]:
    """Keep a file, and give what puts it back in the place of whatever lies there then."""
    shutil.copy2(path, aside)

    def back() -> None:
        if not path.parent.is_dir():
            return  # the ship is gone, and its files with it
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        shutil.copy2(aside, path)

    return back
