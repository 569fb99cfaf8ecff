"""
Conditions of a user's machine under which commands run: what is there of it, what is not, what is in the way.

Each is imposed in the fork that runs the command, or on the case's own folder before it, and can be repaired.
"""

from __future__ import annotations

import io
import os
import resource
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from campaign import hostile_git, privileges

ANY = -1  # in place of a status: any that is documented


@dataclass(frozen=True)
class Condition:
    """One condition of a user's machine."""

    name: str
    impose: Callable[[Path], object] = lambda _place: None  # in the fork, right before the command
    spoil: Callable[[Path], None] = lambda _place: None  # in the case's folder, before the command
    repair: Callable[[Path], None] = lambda _place: None  # after it
    environ: Mapping[str, str] = field(default_factory=dict)  # `@` stands for the case's folder
    status: Mapping[str, int] = field(default_factory=dict)  # by verb, where it is not 0
    forgets: bool = False  # nobody can know any more where the checkout lay
    says: str = ""  # stands in the output of verbs that fail

    def environment(self, place: Path) -> dict[str, str]:
        """Give the variables of a case."""
        return {name: value.replace("@", str(place)) for name, value in self.environ.items()}


def _without(*names: str) -> Callable[[Path], None]:
    def impose(_place: Path) -> None:
        for name in names:
            os.environ.pop(name, None)

    return impose


def _moded(name: str, mode: int) -> Callable[[Path], None]:
    """Set the mode of a folder, and of the folders in it."""

    def act(place: Path) -> None:
        root = place / name
        root.mkdir(exist_ok=True)
        for path in (root, *(one for one in root.rglob("*") if one.is_dir())):
            path.chmod(mode)

    return act


def _closed(*numbers: int) -> Callable[[Path], None]:
    """Close streams, and give the interpreter none in their places, as it has when it starts so."""

    def impose(_place: Path) -> None:
        for number in numbers:
            os.close(number)
            setattr(sys, ("stdin", "stdout", "stderr")[number], None)

    return impose


def _led_to(opened: Callable[[], int], *numbers: int) -> Callable[[Path], None]:
    def impose(_place: Path) -> None:
        descriptor = opened()
        for number in numbers:
            os.dup2(descriptor, number)
        os.close(descriptor)

    return impose


def _full() -> int:
    return os.open("/dev/full", os.O_WRONLY)


def _unread() -> int:
    reading, writing = os.pipe()
    os.close(reading)
    return writing


def _ascii_only(_place: Path) -> None:
    """Give the streams that an interpreter makes in a locale of plain ASCII."""
    sys.stdout = io.TextIOWrapper(sys.stdout.detach(), encoding="ascii")
    sys.stderr = io.TextIOWrapper(sys.stderr.detach(), encoding="ascii", errors="backslashreplace")


def _open_files(most: int) -> Callable[[Path], None]:
    def impose(_place: Path) -> None:
        os.closerange(3, 1024)  # what the campaign itself has open
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    return impose


def _masked(mask: int) -> Callable[[Path], object]:
    return lambda _place: os.umask(mask)


def _aside(place: Path) -> None:
    """Put a file in the place of the state folder."""
    if (place / "state").exists():
        (place / "state").rename(place / "aside")
    (place / "state").touch(mode=0o600)


def _back(place: Path) -> None:
    (place / "state").unlink()
    if (place / "aside").exists():
        (place / "aside").rename(place / "state")


def _linked(place: Path) -> None:
    (place / "state").mkdir(mode=0o700, exist_ok=True)
    (place / "state").rename(place / "disk")
    (place / "state").symlink_to(place / "disk")


def _gone(place: Path) -> None:
    shutil.rmtree(place / "state", ignore_errors=True)


def _in_home(place: Path) -> None:
    """Have the state where it is by default."""
    home = place / "home" / ".local" / "state"
    home.mkdir(parents=True)
    if (place / "state").exists():
        (place / "state").rename(home / "cloudship")


def _from_home(place: Path) -> None:
    found = place / "home" / ".local" / "state" / "cloudship"
    if found.exists():
        found.rename(place / "state")


def _fixed_home(place: Path) -> None:
    (place / "home").mkdir()
    (place / "home").chmod(0o500)


def _read_only_disk(place: Path) -> None:
    (place / "state").mkdir(mode=0o700, exist_ok=True)
    privileges.own_mounts()
    privileges.mount("--bind", str(place / "state"), str(place / "state"))
    privileges.mount("-o", "remount,bind,ro", str(place / "state"))


def _hollow(place: Path) -> None:
    """Have the app's own repository lack a commit, and name the command that would fetch it."""
    hostile_git.hollow(place / "app", f"touch {place}/ran")


def _only_git(place: Path) -> None:
    """Have a folder of programs in which there is nothing but git."""
    (place / "programs").mkdir()
    (place / "programs" / "git").symlink_to(str(shutil.which("git")))


_BY_DEFAULT = _without("CLOUDSHIP_STATE_DIR", "XDG_STATE_HOME")
_UNTAKEN = {"up": 1, "deploy": 1, "list": 1}
_NO_PROGRAM = {"up": 2, "deploy": 2}
_NO_PLACE = {"up": 2}
_NO_KEY = {"up": 2, "deploy": 1}
_ANY = dict.fromkeys(("up", "deploy", "list", "down"), ANY)

CONDITIONS = (
    Condition("no HOME", _without("HOME")),
    Condition("an empty HOME", environ={"HOME": ""}),
    Condition("a HOME that is not there", environ={"HOME": "@/nowhere"}),
    Condition("a HOME that is a file", spoil=lambda place: (place / "file").touch(), environ={"HOME": "@/file"}),
    Condition("a HOME that cannot be read", spoil=_moded("home", 0), environ={"HOME": "@/home"}),
    Condition("a HOME that cannot be written", spoil=_moded("home", 0o500), environ={"HOME": "@/home"}),
    Condition("the state in HOME", _BY_DEFAULT, _in_home, _from_home, environ={"HOME": "@/home"}),
    Condition(
        "a HOME with no state, and read-only",
        _BY_DEFAULT,
        _fixed_home,
        environ={"HOME": "@/home"},
        status=_NO_KEY,
        says="next: ",
    ),
    Condition(
        "a state folder that is read-only",
        spoil=_moded("state", 0o500),
        repair=_moded("state", 0o700),
        status=_NO_PLACE,
        says="export CLOUDSHIP_STATE_DIR",
    ),
    Condition("a state folder on a read-only disk", _read_only_disk, status=_NO_PLACE, says="CLOUDSHIP_STATE_DIR"),
    Condition("a file in place of the state folder", spoil=_aside, repair=_back, status=_NO_KEY, says="next: "),
    Condition("a state folder that is a link", spoil=_linked),
    Condition("a state folder that is deleted", spoil=_gone, status={"deploy": 1}, says="holds no key", forgets=True),
    Condition("no folder for temporary files", environ={"TMPDIR": "@/nowhere"}),
    Condition("no ssh", spoil=_only_git, environ={"PATH": "@/programs"}, status=_NO_PROGRAM, says="openssh-client"),
    Condition("an empty PATH", environ={"PATH": "@/nowhere"}, status=_NO_PROGRAM, says="apt-get install git"),
    Condition("a hostile configuration of git", spoil=hostile_git.hostile),
    Condition("hostile variables of git", spoil=hostile_git.hostile, environ=hostile_git.VARIABLES),
    Condition("streams of plain ASCII", _ascii_only, environ={"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0"}),
    Condition("a dumb terminal's name", environ={"TERM": "dumb", "COLUMNS": "20"}),
    Condition("no TERM", _without("TERM")),
    Condition("closed standard input", _closed(0)),
    Condition("closed standard output", _closed(1)),
    Condition("closed standard error", _closed(2)),
    Condition("all streams closed", _closed(0, 1, 2)),
    Condition("a full standard output", _led_to(_full, 1), status=_UNTAKEN, says="standard output: No space"),
    Condition("a full standard error", _led_to(_full, 2)),
    Condition("full streams", _led_to(_full, 1, 2), status=_UNTAKEN),
    Condition("standard output unread", _led_to(_unread, 1), status=_UNTAKEN),
    Condition("standard error unread", _led_to(_unread, 2)),
    Condition("streams unread", _led_to(_unread, 1, 2), status=_UNTAKEN),
    Condition("64 open files", _open_files(64)),
    Condition("16 open files", _open_files(16), status=_ANY),
    Condition("10 open files", _open_files(10), status=_ANY),
    Condition("9 open files", _open_files(9), status=_ANY),
    Condition("8 open files", _open_files(8), status=_ANY),
    Condition("umask 000", _masked(0)),
    Condition("umask 077", _masked(0o77)),
    Condition("a repository that fetches by a command of its own", spoil=_hollow),
)
