"""A user's machine under a condition: a command runs on it, and what is judged then."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from campaign import case, oracle, privileges, sleep, spoiled
from campaign.case import Ended
from campaign.conditions import ANY, Condition
from campaign.conftest import Field, not_one_ship
from campaign.points import Point
from campaign.spoiled import Spoiling

Act = Callable[[Point], None]
MOST = 12  # lines of an error
DOCUMENTED = (0, 1, 2, 130, 143)
VERBS = ("up", "deploy", "list", "down")
PAGE = 4096  # bytes: what a disk in memory gives out
_AFTER_SPOILING = {"up": (1, 2), "deploy": (0, 1), "list": (0,), "down": (0,)}
_UNSAID = ("did not foresee", "Traceback (most", "Exception ignored", "it took too long")
_COMMIT = ("-c", "user.name=n", "-c", "user.email=e@example.org", "commit", "-q", "-m", "first")


class Client:
    """
    A user's machine, with a checkout of an app on it for each case.

    Args:
        ground: where its cases take place.
    """

    def __init__(self, ground: Field) -> None:
        self.ground = ground
        self.box = ground.box
        self._checkout = ground.folder / "client" / "app"
        if not self._checkout.exists():
            shutil.copytree(ground.app, self._checkout)
            for words in (("init", "-q", "-b", "main", "--template="), ("add", "."), _COMMIT):
                subprocess.run(["git", *words], cwd=self._checkout, check=True)
        self._config = (self._checkout / ".git" / "config").read_text()

    def judge(self, condition: Condition, verb: str) -> list[str]:
        """Run a verb under a condition, and say what is wrong; empty when all is well."""
        place = self.prepared(verb)
        condition.spoil(place)
        ended = self.run(verb, place, condition)
        found = open_to_others(place / "state")
        condition.repair(place)
        found += _as_documented(condition, verb, ended)
        if verb == "up" and ended.status == 2:
            found += [f"and yet {one}" for one in oracle.difference(self.box)]
        if verb in ("deploy", "list"):
            found += not_one_ship(self.ground)
        if condition.forgets:
            self._untie(place)
        return found + self.settled(place, ended)

    def judge_spoiled(self, spoiling: Spoiling, verb: str) -> list[str]:
        """Spoil a file of a ship's, and run a verb; the file is put back where nothing else helps."""
        place = self.prepared("list")
        path = spoiling.path(place / "state")
        back = spoiled.kept(path, place / "aside")
        spoiling.act(path)
        ended = self.run(verb, place)
        found = told_well(ended) + open_to_others(place / "state")
        if ended.status not in _AFTER_SPOILING[verb]:
            found.append(f"it ended with {ended.status}: {ended.output[-700:]}")
        victim = path.parent / "victim"
        if victim.exists() and not victim.read_text().startswith(spoiled.PRECIOUS):
            found.append("somebody else's file was changed")
        if verb == "down":
            found += oracle.difference(self.box)
        elif verb != "up" or ended.status == 2:
            found += not_one_ship(self.ground)
        if not spoiling.heals:
            back()
        if spoiling.file == spoiled.CHECKOUT:
            self._untie(place)
        return found + self.settled(place, ended)

    def judge_asleep(self, verb: str, point: Point, *, counts: bool) -> list[str]:
        """Close the laptop at a point of a verb, for an hour."""
        place = self.prepared(verb)
        ended = self.run(verb, place, act=sleep.at(point, self.box.knobs, counts=counts))
        found = told_well(ended)
        if ended.status not in (0, 1):
            found.append(f"it ended with {ended.status}: {ended.output[-700:]}")
        if verb == "deploy" or (verb == "up" and ended.status == 0):
            found += not_one_ship(self.ground)
        elif "left behind" not in ended.output:
            found += [f"half done: {one}" for one in oracle.difference(self.box)]
        return found + self.settled(place, ended)

    def judge_full(self, verb: str, room: str) -> list[str]:
        """Run a verb on a disk that has room for so many pages, or files; make room, and try again."""
        place = self.ground.place()
        place.mkdir(parents=True)
        count, what = room.split()
        limit = "size=1m" if what == "pages" else "size=1m,nr_inodes=200"
        privileges.mount("-t", "tmpfs", "-o", f"mode=700,{limit}", "tmpfs", str(place))
        shutil.copytree(self._checkout, place / "app")
        if verb != "up":
            assert self.run("up", place).status == 0
        assert replace(self.ground, app=place / "app").values.exists()  # the user's, from before the disk was full
        (place / "temporary").mkdir()
        fill(place, int(count), what)
        elsewhere = {"TMPDIR": str(place / "temporary" if int(count) % 3 == 0 else place.parent)}
        ended = self.run(verb, place, Condition("full", environ=elsewhere))
        shutil.rmtree(place / "filler")
        found = told_well(ended) + open_to_others(place / "state")
        if verb == "deploy":
            found += not_one_ship(self.ground)
        elif ended.status != 0 or verb == "down":
            found += [f"half done: {one}" for one in oracle.difference(self.box)]
        return found + self.settled(place, ended)

    def prepared(self, verb: str) -> Path:
        """Give a case a folder of its own, with what a verb is for."""
        place = self.ground.place()
        place.mkdir(parents=True)
        shutil.copytree(self._checkout, place / "app")
        if verb != "up":
            ready = self.run("up", place)
            assert ready.status == 0, ready.output
        return place

    def run(self, verb: str, place: Path, condition: Condition | None = None, act: Act = lambda _point: None) -> Ended:
        """Run a verb in a fork, under a condition or none."""
        here = replace(self.ground, app=place / "app")
        words = ["list", "--cloud", "local"] if verb == "list" else here.words(verb)
        return self.say(words, place, condition, act)

    def say(
        self, words: list[str], place: Path, condition: Condition | None = None, act: Act = lambda _point: None
    ) -> Ended:
        """Run a command of so many words in a fork, under a condition or none."""
        found = condition or Condition("none")

        def impose() -> None:
            sleep.remember_foreign_sockets()
            privileges.like_anybody()
            found.impose(place)

        environ = self.ground.environment(place) | found.environment(place)
        return case.run(words, self.box.knobs, environ, act, impose)

    def _untie(self, place: Path) -> None:
        """Untie a checkout by hand: nobody can know any more where it lay."""
        (place / "app" / ".git" / "config").write_text(self._config)

    def settled(self, place: Path, ended: Ended) -> list[str]:
        """Take the ship down as the oracle does, and look at what is left in the checkout too."""
        found = oracle.judge(self.box, place, ended)
        config = (place / "app" / ".git" / "config").read_text()
        if '[remote "ship"]' in config:
            found.append(f"the checkout still knows a ship: {config}")
        if (place / "ran").exists():
            found.append("a program of somebody else's was run")
        return found


def fill(place: Path, count: int, what: str) -> None:
    """Fill a disk, but for so many pages or files."""
    filler = place / "filler"
    filler.mkdir()
    left = os.statvfs(place)
    if what == "files":
        for number in range(left.f_favail - count):
            (filler / str(number)).touch()
    else:
        (filler / "data").write_bytes(bytes(max(0, left.f_bavail * left.f_frsize - count * PAGE)))


def told_well(ended: Ended) -> list[str]:
    """Say what is wrong with the words of a command, and with its status."""
    found = [f"{wrong!r} is said: {ended.output[-1500:]}" for wrong in _UNSAID if wrong in ended.output]
    if ended.status not in DOCUMENTED:
        found.append(f"the status {ended.status} is not documented: {ended.output[-1500:]}")
    lines = ended.output.splitlines()
    begun = next((at for at, line in enumerate(lines) if line.startswith("error")), None)
    if begun is not None:
        told = lines[begun:]
        if len(told) > MOST or not any(line.startswith("next: ") for line in told):
            found.append(f"the error is too long, or does not say what to do: {told}")
    return found


def open_to_others(state: Path) -> list[str]:
    """Name what of a state folder others could read or write."""
    modes = {path: path.lstat().st_mode for path in (state, *state.rglob("*")) if path.exists()}
    return [
        f"{path.name} is open to others: {stat.S_IMODE(mode):o}"
        for path, mode in modes.items()
        if not stat.S_ISLNK(mode) and mode & 0o077
    ]


def _as_documented(condition: Condition, verb: str, ended: Ended) -> list[str]:
    wanted, found = condition.status.get(verb, 0), told_well(ended)
    if wanted not in (ANY, ended.status):
        found.append(f"it ended with {ended.status}, not {wanted}: {ended.output[-700:]}")
    if ended.status != 0 and condition.says not in ended.output:
        found.append(f"it does not say {condition.says!r}: {ended.output[-700:]}")
    return found
