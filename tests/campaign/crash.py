"""A user's machine that crashes: scenarios, the states in which that leaves it, and what is judged then."""

from __future__ import annotations

import copy
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from campaign import case, disk, oracle
from campaign.case import Ended
from campaign.cloudbox import SHIP
from campaign.conftest import Field, not_one_ship
from campaign.disk import MODELS, Disk, Model
from campaign.machine import FakeShell
from campaign.points import Point, kill_at
from campaign.recorder import Recorder

LAG = 20  # seconds that listings are behind: a launch whose journal is lost is not found by its tags yet
BUSY = ("lock", "holder.json")  # of whoever holds a ship right now; whatever a crash leaves of them says nothing
CREATED = Point("api POST droplets/", 1, "after")
_PUSHING = Point("git push", 1, "before")
_KEY_GONE = Point("api DELETE account/keys/N", 1, "after")
_COMMIT = ("-c", "user.name=n", "-c", "user.email=e@example.org", "commit", "-q", "-m", "first")
Left = dict[str, tuple[int, bytes | None]]


@dataclass(frozen=True)
class Scenario:
    """A command whose machine crashes."""

    verb: str
    before: str = ""  # what was there: nothing, a ship, or what a killed launch left
    interrupt: Point | None = None  # Ctrl-C there; only what comes after it is new


SCENARIOS = {
    "up": Scenario("up"),
    "down": Scenario("down", "ship"),
    "up, interrupted": Scenario("up", interrupt=_PUSHING),
    "down, interrupted": Scenario("down", "ship", _KEY_GONE),
    "up after a kill": Scenario("up", "killed"),
}


@dataclass(frozen=True)
class State:
    """One state in which a crash leaves cloud and disk."""

    scenario: str
    stop: int | None  # the act before which the machine crashes; None: after the last one
    model: Model

    def __str__(self) -> str:
        where = "after the last act" if self.stop is None else f"before act {self.stop}"
        return f"{self.scenario}, {where}, {self.model.name}"


@dataclass(frozen=True)
class Ran:
    """A command that was recorded."""

    ended: Ended
    acts: list[dict[str, Any]]
    disk: Disk  # as it was before

    def played(self, stop: int | None = None) -> Disk:
        """Give the disk as it was right before an act."""
        return copy.deepcopy(self.disk).play(self.prefix(stop))

    def prefix(self, stop: int | None) -> list[dict[str, Any]]:
        """Leave out what comes from an act on; what happened besides right before it has happened."""
        places = [at for at, one in enumerate(self.acts) if one["act"] != "mark"]
        return self.acts if stop is None else self.acts[: places[stop]]

    def stops(self, first: int = 0) -> list[int | None]:
        """List the acts before which the machine can crash, and the end."""
        return [*range(first, disk.count(self.acts)), None]

    def acts_before(self, text: str) -> int:
        """Count what was done to the disk before something happened."""
        return disk.count(self.acts[: self.acts.index({"act": "mark", "text": text})])


class Machine:
    """
    A user's machine with a checkout of an app on it.

    Args:
        ground: where its cases take place.
        app: is copied into the checkout.
        mutate: breaks something in everything that is recorded.
    """

    def __init__(self, ground: Field, app: Path, mutate: Callable[[], None] = lambda: None) -> None:
        self.ground, self.app, self._mutate = ground, ground.folder / "checkout", mutate
        self.app.mkdir()
        for path in app.iterdir():
            (self.app / path.name).write_bytes(path.read_bytes())
        for words in (("init", "-q", "-b", "main"), ("add", "."), _COMMIT):
            subprocess.run(["git", *words], cwd=self.app, check=True)
        self._config = (self.app / ".git" / "config").read_text()
        self._traces: dict[str, Ran] = {}

    def trace(self, name: str) -> Ran:
        """Record a command that comes to its own end, once."""
        if name not in self._traces:
            place = self.ground.place()
            self._prepare(SCENARIOS[name], place)
            ran = self._recorded(name, place, None)
            assert ran.ended.status == (130 if SCENARIOS[name].interrupt else 0), ran.ended.output
            self.ground.box.knobs.advance(LAG + 1)
            assert [] == oracle.judge(self.ground.box, place, ran.ended)
            assert [] == self._untied()
            self._traces[name] = ran
        return self._traces[name]

    def states(self, name: str) -> Iterator[State]:
        """List all states in which a crash leaves cloud and disk, each once."""
        ran, interrupt = self.trace(name), SCENARIOS[name].interrupt
        known: list[Any] = []
        for stop in ran.stops(ran.acts_before(str(interrupt)) if interrupt else 0):
            happened, played = len(disk.marks(ran.prefix(stop))), ran.played(stop)
            for model in MODELS:
                found = happened, settled(played.left(model))
                if found not in known:
                    known.append(found)
                    yield State(name, stop, model)

    def judge(self, state: State, *, again: bool) -> list[str]:
        """
        Crash, and say what is wrong then; empty when all is well.

        Args:
            state: when, and what the disk keeps.
            again: the ship is launched once more; else ships are listed. Then it is taken down.
        """
        place, box = self.ground.place(), self.ground.box
        self._prepare(SCENARIOS[state.scenario], place)
        ran = self._recorded(state.scenario, place, state.stop)
        disk.restore(place, ran.played().left(state.model))
        found = self._launched_again(place) if again else self._listed(place)
        found += oracle.judge(box, place, ran.ended)
        box.knobs.advance(LAG + 1)  # what was hidden from `down` is seen now
        found += oracle.difference(box)
        box.clean()
        return found + self._untied()

    def _prepare(self, scenario: Scenario, place: Path) -> None:
        place.mkdir(parents=True)
        if scenario.before == "ship":
            assert self._run("up", place).status == 0
        elif scenario.before == "killed":
            self._run("up", place, kill_at(CREATED, signal.SIGKILL))

    def _recorded(self, name: str, place: Path, stop: int | None) -> Ran:
        """Run a scenario's command, and record it; listings lag behind what it makes."""
        scenario, log = SCENARIOS[name], self.ground.folder / f"{place.name}.log"
        log.unlink(missing_ok=True)
        before, running = Disk(place), []
        for resource in ("droplets", "keys") if scenario.verb == "up" else ():
            self.ground.box.knobs.fault("listing_lag", resource=resource, seconds=LAG)

        def install() -> None:
            self._mutate()
            running.append(Recorder(place, log, stop))
            running[0].install()

        def act(here: Point) -> None:
            running[0].mark(str(here))
            if here.boundary == "ssh sh -s generate":
                running[0].mark(f"made {FakeShell.made}")
            if here == scenario.interrupt:
                os.kill(os.getpid(), signal.SIGINT)

        ran = Ran(self._run(scenario.verb, place, act, install), disk.recorded(log), before)
        assert ran.played().left(MODELS[0]) == disk.seen(place), "there are writes that are not recorded"
        assert stop in (None, disk.count(ran.acts)), f"it came to act {disk.count(ran.acts)}: {ran.ended.output}"
        return ran

    def _run(
        self,
        verb: str,
        place: Path,
        act: Callable[[Point], None] = lambda _point: None,
        mutate: Callable[[], None] = lambda: None,
    ) -> Ended:
        source = [str(self.app), "--name", SHIP, "--env", f"SECRET={oracle.CANARY}"]
        words = {"up": ["up", *source], "down": ["down", SHIP], "list": ["list"]}[verb]
        environ = case.environment(place) | {"CLOUDSHIP_LOCAL_DIR": str(self.ground.box.directory)}
        return case.run([*words, "--cloud", "local"], self.ground.box.knobs, environ, act, mutate)

    def _listed(self, place: Path) -> list[str]:
        ended = self._run("list", place)
        well = ended.status == 0 and "Traceback (most" not in ended.output
        return [] if well else [f"list ended with {ended.status}: {ended.output[-500:]}"]

    def _launched_again(self, place: Path) -> list[str]:
        ended = self._run("up", place)
        self.ground.box.knobs.advance(LAG + 1)
        wrong = not_one_ship(self.ground)
        if "Traceback (most" in ended.output or (ended.status != 0 and "is already running" not in ended.output):
            wrong.append(f"up ended with {ended.status}: {ended.output[-500:]}")
        return wrong

    def _untied(self) -> list[str]:
        """Say what of a ship is still in the checkout's configuration, and make that what it was."""
        place = self.app / ".git" / "config"
        extra = [line.strip() for line in place.read_text().splitlines() if line not in self._config.splitlines()]
        place.write_text(self._config)
        return [f"the checkout still knows {line}" for line in extra]


def settled(left: Left) -> Left:
    """Leave out what is only there while somebody holds the ship."""
    return {path: found for path, found in left.items() if Path(path).name not in BUSY}
