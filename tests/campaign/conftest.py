"""A cloud for each worker, and the points that a launch and a teardown cross."""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

from campaign import case, cloudbox, hugepages, oracle, points, terminal
from campaign.anchored import Anchored
from campaign.case import Ended
from campaign.cloudbox import SHIP, CloudBox
from campaign.points import Point
from cloudship import tags, waiting, wire

Act = Callable[[Point], None]
SOAK = os.environ.get("CLOUDSHIP_SOAK") == "1"  # the long campaigns, at the floors of the programme


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything here, and begin with what takes longest: several processes share it, and end together."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.campaign)
    items.sort(key=lambda item: (item.get_closest_marker("campaign") is None, item.path.name != "test_lives.py"))


@dataclass
class Field:
    """Where cases of one worker take place."""

    box: CloudBox
    app: Path
    folder: Path
    ship: str = SHIP
    count: int = 0
    wire: float = case.PATIENT  # seconds that one request may take
    traces: dict[str, list[Point]] = field(default_factory=dict)
    calls: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    anchors: dict[tuple[str, bool], Anchored] = field(default_factory=dict)

    @property
    def values(self) -> Path:
        """A file with a value for the app."""
        path = self.app.parent / "values.env"
        if not path.exists():
            path.write_text(f"FROM_FILE={oracle.FILE_CANARY}\n")
        return path

    def place(self) -> Path:
        """Give a case a folder of its own."""
        self.count += 1
        return self.folder / f"case-{self.count}"

    @contextmanager
    def impatient(self) -> Iterator[None]:
        """Give requests little time, where answers are withheld: sockets do not know the stepped clock."""
        self.wire = 0.3
        try:
            yield
        finally:
            self.wire = case.PATIENT

    def prepare(self, verb: str, place: Path) -> None:
        """Bring about what a verb is for: a ship, and for `reap` one whose time will be over."""
        if verb != "up":
            which = (self.ship, verb == "reap")
            if which not in self.anchors:
                self.anchors[which] = Anchored(self, ends=verb == "reap")
            self.anchors[which].again(self, place)

    def up(self, place: Path, act: Act | None = None, *more: str) -> Ended:
        """Launch the ship in a fork."""
        return self._run([*self.words("up"), *more], place, act)

    def down(self, place: Path, act: Act | None = None) -> Ended:
        """Take it down in a fork."""
        return self._run(self.words("down"), place, act)

    def deploy(self, place: Path, act: Act | None = None) -> Ended:
        """Deploy to it in a fork, with a value that it does not have yet."""
        return self._run(self.words("deploy"), place, act)

    def reap(self, place: Path, act: Act | None = None) -> Ended:
        """Reap in a fork, two hours later."""
        return self._run(self.words("reap"), place, act, _two_hours_later)

    def run(self, words: list[str], place: Path, act: Act | None = None) -> Ended:
        """Run any other verb in a fork."""
        return self._run([*words, "--cloud", "local"], place, act)

    def do(self, words: list[str], place: Path, mutate: Callable[[], None], *, later: bool = False) -> Ended:
        """Run a command in a fork in which something was changed first; two hours later, as a sweep."""

        def both() -> None:
            mutate()
            if later:
                _two_hours_later()

        return self._run(words, place, None, both)

    def on_terminal(self, verb: str, place: Path, closed_at: Point | None = None, columns: int = 80) -> Ended:
        """Run a verb on a terminal of its own, which is closed at a point."""
        mutate = _two_hours_later if verb == "reap" else _nothing
        work = case.work_of(self.words(verb), self.box.knobs, terminal.acting(closed_at), mutate)
        return terminal.fork(work, self.environment(place), columns=columns)

    def words(self, verb: str) -> list[str]:
        """Give the words of a verb, as cases say it."""
        source, secret = str(self.app), oracle.CANARY
        said = {
            "up": ["up", source, "--name", self.ship, "--env", f"SECRET={secret}", "--env-file", str(self.values)],
            "down": ["down", self.ship],
            "deploy": ["deploy", self.ship, source, "--env", f"MORE={secret}"],
            "reap": ["reap"],
            "extend": ["extend", self.ship, "2h"],
            "list": ["list", "--json"],
        }
        return [*said[verb], "--cloud", "local"]

    def environment(self, place: Path) -> dict[str, str]:
        """Give the variables of a case."""
        return case.environment(place) | {"CLOUDSHIP_LOCAL_DIR": str(self.box.directory)}

    def trace(self, verb: str) -> list[Point]:
        """Watch a command that goes well, once, and list its points."""
        if verb not in self.traces:
            place, seen = self.place(), place_of_trace(self.folder, verb)
            seen.unlink(missing_ok=True)
            self.prepare(verb, place)
            self.traces[verb] = _watched(getattr(self, verb), place, seen)
            assert [] == oracle.judge(self.box, place, self.down(place))
        return self.traces[verb]

    def calls_of(self, verb: str) -> list[tuple[str, int]]:
        """Watch a command that goes well, once, and list its calls: operation, and which of its calls, from 0."""
        if verb not in self.calls:
            place = self.place()
            self.prepare(verb, place)
            self.box.knobs.clear_requests()
            ended: Ended = getattr(self, verb)(place)
            assert ended.status == 0, ended.output
            seen = [one["operation"] for one in self.box.knobs.requests()]
            assert [] == oracle.judge(self.box, place, self.down(place))
            self.calls[verb] = [(operation, seen[:index].count(operation)) for index, operation in enumerate(seen)]
        return self.calls[verb]

    def _run(self, words: list[str], place: Path, act: Act | None, mutate: Callable[[], None] | None = None) -> Ended:
        return case.run(words, self.box.knobs, self.environment(place), act or _pass, mutate or _nothing, self.wire)


def _pass(_point: Point) -> None:
    """Let a command go on."""


def _nothing() -> None:
    """Break nothing."""


def _two_hours_later() -> None:
    """Let both clocks be ahead: this machine's, and the one that the cloud's answers tell."""
    real, told = waiting.REAL.wall, wire.date
    object.__setattr__(waiting.REAL, "wall", lambda: real() + 7200)

    def later(answer: wire.Answer) -> float | None:
        at = told(answer)
        return None if at is None else at + 7200

    wire.date = later  # type: ignore[assignment]


def place_of_trace(folder: Path, verb: str) -> Path:
    """Say where a trace is written by the fork that is watched."""
    return folder / f"trace-{verb}"


def _watched(command: object, place: Path, seen: Path) -> list[Point]:
    def act(point: Point) -> None:
        with seen.open("a", encoding="utf-8") as file:
            file.write(json.dumps([point.boundary, point.crossing, point.moment]) + "\n")

    ended = command(place, act)  # type: ignore[operator]
    assert ended.status == 0, ended.output
    found = [Point(*json.loads(line)) for line in seen.read_text("utf-8").splitlines()]
    return list(dict.fromkeys(found))


@pytest.fixture(scope="session")
def field_of_cases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    """Give a worker its cloud, and an app to launch."""
    preload()
    gc.collect()
    gc.freeze()  # what is here now stays; no collection has to go through it, in this process either
    hugepages.collapse()
    folder = tmp_path_factory.mktemp("campaign")
    app = folder / "tiny"
    app.mkdir()
    (app / "app.py").write_text("from flask import Flask\n\napp = Flask(__name__)\n")
    (app / "requirements.txt").write_text("flask\n")
    with cloudbox.running(folder / "local") as box:
        yield Field(box, app, folder)


@pytest.fixture
def ground(field_of_cases: Field, monkeypatch: pytest.MonkeyPatch) -> Field:
    """Point this process at that cloud, for the forks to inherit."""
    monkeypatch.setenv("CLOUDSHIP_LOCAL_DIR", str(field_of_cases.box.directory))
    return field_of_cases


def preload() -> None:
    """Import and build what commands do, so that forks need not: half of a command's time is its command line."""
    import typer.main

    from cloudship import appinfo, fleet, index, launch  # noqa: F401
    from cloudship.cli import app, failure, leftovers, lifetime, localcloud, releases, ships, upanddown  # noqa: F401
    from cloudship.display import plain  # noqa: F401
    from cloudship.render import BootSpec, render

    typer.main.get_command = cache(typer.main.get_command)
    typed = {"up": ("x", "--env", "A=b", "--env-file", "x", "--ttl", "1h"), "down": ("x",), "deploy": ("x", "x")}
    for verb, words in {**typed, "reap": (), "extend": ("x", "2h"), "list": ("--json",)}.items():
        typer.main.get_command(app.app).commands[verb].make_context(verb, [*words, "--cloud", "local"])
    index.index_url()
    for name in ("app", "settings"):
        appinfo._module(name)
    render(BootSpec(name=SHIP, authorized_keys=("ssh-ed25519 AAAA warm",)))  # packs what every launch sends


def record(name: str, **figures: int) -> None:
    """Note a campaign's figures where `make soak` gathers them."""
    target = os.environ.get("CAMPAIGN_REPORT")
    if target:
        with Path(target).open("a", encoding="utf-8") as file:
            told = {"campaign": name, "file": os.environ["PYTEST_CURRENT_TEST"].partition("::")[0], **figures}
            file.write(json.dumps(told) + "\n")


def not_one_ship(ground: Field) -> list[str]:
    """Say what is wrong unless exactly one launch of the ship is in the account, with its key and no other's."""
    now, before = ground.box.account(), ground.box.baseline
    ours = [read for _, _, carried in now.droplets - before.droplets if (read := tags.read(carried))]
    keys = [name for _, name in now.keys - before.keys]
    named = [found.launch for name in keys if (found := tags.read_key_name(name)) and found.name == ground.ship]
    wrong = [] if len(ours) == 1 else [f"{len(ours)} droplets"]
    if named != [one.launch for one in ours]:
        wrong.append(f"keys {keys} beside launches {[one.launch for one in ours]}")
    return wrong


def told(wrong: dict[str, list[str]]) -> str:
    """Write what is wrong, a case a line."""
    return "\n".join(f"{name}: {'; '.join(found)}" for name, found in wrong.items())


__all__ = ["SOAK", "Field", "not_one_ship", "points", "record", "told"]
