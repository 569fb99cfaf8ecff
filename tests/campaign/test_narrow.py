"""
T9: a terminal of twenty columns, as in a corner of a screen or on a telephone.

Commands end there as they do elsewhere, and what somebody has to copy, the URL and the ids of what is left, is never
cut: it stands in one piece in what is written, and whole on the screen that a person sees.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable

import pyte
import pytest

from campaign import case, oracle, terminal
from campaign.case import Ended
from campaign.client import told_well
from campaign.conftest import Field, not_one_ship, record
from campaign.points import Point
from cloudship import git
from cloudship.errors import GitError

COLUMNS, ROWS = 20, 24
_CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def _nothing() -> None:
    """Break nothing."""


def _push_breaks_off() -> None:
    def push(_tree: object, **_more: object) -> None:
        raise GitError("The push broke off", evidence=["fatal: the remote end hung up unexpectedly " * 3])

    git.push = push  # type: ignore[assignment]


def _twice_after_the_create() -> Callable[[Point], None]:
    """Press Ctrl-C when a droplet is there, and again at what comes next."""
    pressed: list[Point] = []

    def act(here: Point) -> None:
        if str(here) == "after journal done droplet #1" or len(pressed) == 1:
            pressed.append(here)
            os.kill(os.getpid(), signal.SIGINT)

    return act


class Narrow:
    """Such a terminal, and the ship that is seen on it."""

    def __init__(self, ground: Field) -> None:
        self.ground, self.place = ground, ground.place()

    def run(
        self,
        *words: str,
        act: Callable[[Point], None] = lambda _point: None,
        mutate: Callable[[], None] = _nothing,
    ) -> Ended:
        """Run a command on it; what it says is given without what steers the terminal."""
        work = case.work_of(list(words), self.ground.box.knobs, act, mutate)
        ended = terminal.fork(work, self.ground.environment(self.place), columns=COLUMNS)
        written = _CONTROLS.sub("", ended.output).replace("\r", "")
        self.seen = _seen(ended.output)
        plain = Ended(ended.status, written, ended.seconds, ended.words, ended.left)
        assert [] == told_well(plain)
        return plain

    def shows(self, text: str, ended: Ended) -> bool:
        """Whether a text stands whole in what is written, and on the screen, where only its edge parts it."""
        return text in ended.output and text in self.seen

    def url(self) -> str:
        """Say where the one droplet of ours answers."""
        return next(f"http://{one.ip_address}/" for one in self.ground.box.client.droplets() if one.id == self.id())

    def id(self) -> int:
        """Say which one that is."""
        (found,) = self.ground.box.account().droplets - self.ground.box.baseline.droplets
        return found[0]


def _seen(output: str) -> str:
    """Draw what is written, and read it as a person does who knows that lines go on below."""
    screen = pyte.HistoryScreen(COLUMNS, ROWS, history=1000)
    pyte.Stream(screen).feed(output)
    above = ["".join(line[x].data for x in range(COLUMNS)) for line in screen.history.top]
    lines = [*above, *screen.display]
    return "".join(line if line[-1] != " " else line.rstrip() + "\n" for line in lines)


@pytest.fixture
def narrow(ground: Field) -> Narrow:
    """Such a terminal."""
    return Narrow(ground)


def test_a_ships_life_is_seen_on_it(narrow: Narrow) -> None:
    """Launched, listed, deployed to and taken down; the URL is shown each time, and alone in the last line."""
    ground = narrow.ground
    ended = narrow.run(*ground.words("up"))
    assert (0, []) == (ended.status, not_one_ship(ground)), ended.output
    url = narrow.url()
    assert narrow.shows(url, ended), ended.output
    assert url == ended.output.splitlines()[-1]
    for words in (["list", "--cloud", "local"], ground.words("deploy"), ["show", ground.ship, "--cloud", "local"]):
        ended = narrow.run(*words)
        assert (0, True) == (ended.status, narrow.shows(url, ended)), ended.output
    number = narrow.id()
    ended = narrow.run(*ground.words("down"))
    assert (0, True) == (ended.status, narrow.shows(f"droplet {number}", ended)), ended.output
    assert [] == oracle.judge(ground.box, narrow.place, ended)
    record("T9 conditions of the machine", cases=5, points=1)


@pytest.mark.parametrize("kept", [True, False])
def test_a_launch_fails_on_it(narrow: Narrow, kept: bool) -> None:
    """What went wrong and what to do is there whole, and with `keep` the id of what is left."""
    ground = narrow.ground
    more = ("--on-failure", "keep") if kept else ()
    ended = narrow.run(*ground.words("up"), *more, mutate=_push_breaks_off)
    assert 1 == ended.status, ended.output
    assert narrow.shows("The push broke off", ended), ended.output
    if kept:
        assert narrow.shows(f"left behind: droplet {narrow.id()}", ended), ended.output
    else:
        assert [] == oracle.difference(ground.box)
    assert [] == oracle.judge(ground.box, narrow.place, ended)
    record("T9 conditions of the machine", cases=1, points=1)


def test_a_launch_is_broken_off_on_it(narrow: Narrow) -> None:
    """After the second Ctrl-C the id of the droplet and the command that takes it down are there whole."""
    ground = narrow.ground
    ended = narrow.run(*ground.words("up"), act=_twice_after_the_create())
    assert 130 == ended.status, ended.output
    assert narrow.shows(f"may be left: droplet {narrow.id()}", ended), ended.output
    assert narrow.shows(f"cloudship down {ground.ship} --cloud local", ended), ended.output
    assert [] == oracle.judge(ground.box, narrow.place, ended)
    record("T9 conditions of the machine", cases=1, points=1)


def test_what_is_cut_would_be_noticed(narrow: Narrow) -> None:
    """A URL in two pieces, and one that runs out of the screen's edge."""
    url = "http://127.64.0.100/"
    for cut in ("  http://127.64.0\r\n  .100/\r\n", f"  {url[:15]}...\r\n"):
        narrow.seen = _seen(cut)
        assert not narrow.shows(url, Ended(0, cut, 0.0))
    narrow.seen = _seen(f"url {url}\r\n")
    assert narrow.shows(url, Ended(0, url, 0.0))
