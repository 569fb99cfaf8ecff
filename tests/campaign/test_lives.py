"""T11: whole lives of a ship, step by step as Hypothesis draws them, with kills, losses and strangers on the way."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from campaign import cloudbox, oracle
from campaign.case import Ended
from campaign.cloudbox import Account, CloudBox
from campaign.conftest import SOAK, Field, record
from campaign.points import Point
from cloudship import fleet, tags
from cloudship.journal import INTENT, Journal
from cloudship.models import Droplet

SHARDS, STEPS = 4, 50
LIVES = int(os.environ.get("CLOUDSHIP_LIVES", "400")) if SOAK else 100
YARD, STRANGER = "yard", "f" * 10
VERBS = st.sampled_from(("up", "down", "deploy", "reap"))
LOOK_ALIKES = {
    "name alone": (tags.droplet_name(YARD, STRANGER), ()),
    "half of the tags": ("half", (tags.SHARED, tags.ship_tag(YARD))),
    "a launch of another name": (tags.droplet_name(YARD, STRANGER), (tags.SHARED, tags.launch_tag("e" * 10))),
    "a longer name": (
        tags.droplet_name(f"{YARD}2", STRANGER),
        tags.launch_tags(f"{YARD}2", STRANGER, "me", None, None),
    ),
}
SETTINGS = settings(
    max_examples=LIVES // SHARDS,
    stateful_step_count=STEPS,
    derandomize=True,
    database=None,
    deadline=None,
    phases=(Phase.generate, Phase.shrink) if SOAK else (Phase.generate,),
    suppress_health_check=list(HealthCheck),
)
STEPS_TAKEN: list[str] = []


class Life(RuleBasedStateMachine):
    """
    One machine, one account, one ship.

    Args:
        ground: where it takes place.
    """

    def __init__(self, ground: Field) -> None:
        super().__init__()
        self.yard = dataclasses.replace(ground, ship=YARD, folder=ground.place())
        self.place = self.yard.place()
        self.box: CloudBox = self.yard.box
        self.forgotten: set[str] = set()  # launches whose state was dropped
        self.strangers: set[str] = set()
        self.output = ""
        self.held: list[Droplet] = []  # of the ship, since the last step

    @rule(ttl=st.sampled_from(((), ("--ttl", "1h"))))
    def up(self, ttl: tuple[str, ...]) -> None:
        """Launch, or launch again over what is there."""
        before = len(self.held)
        ended = self.ended("up", self.yard.up(self.place, None, *ttl))
        assert (ended.status == 0) <= (len(self.ships()) == 1), ended.output
        assert (ended.status == 2) == ("is already running" in ended.output) or before == 0, ended.output

    @rule()
    def down(self) -> None:
        """Take it down: it is gone, whatever came before."""
        ended = self.ended("down", self.yard.down(self.place))
        assert (0, []) == (ended.status, self.ships()), ended.output

    @rule()
    def deploy(self) -> None:
        """Deploy to it."""
        ended = self.ended("deploy", self.yard.deploy(self.place))
        assert (ended.status == 0) <= (len(self.ships()) == 1), ended.output

    @rule()
    def reap(self) -> None:
        """Sweep."""
        ended = self.ended("reap", self.yard.run(["reap"], self.place))
        assert 0 == ended.status, ended.output

    @rule()
    def look(self) -> None:
        """Look at what it says is there: as many, of the same ids, for nothing on the local cloud."""
        ended = self.ended("list", self.yard.run(["list", "--json"], self.place))
        shown = [one for one in json.loads(ended.output[ended.output.index("[") :]) if one["name"] == YARD]
        assert [one.id for one in self.held] == [one["droplet_id"] for one in shown]
        assert {0} >= {one["price_hourly"] for one in shown}

    @rule(verb=VERBS, crossing=st.integers(1, 120))
    def killed(self, verb: str, crossing: int) -> None:
        """Kill a command at one of its points, where it has so many."""
        run: Callable[[Path, Callable[[Point], None]], Ended] = getattr(self.yard, verb)
        self.ended("killed", run(self.place, _killing(crossing)), signal.SIGKILL)

    @rule(operation=st.sampled_from(("droplets_create", "sshKeys_create")), status=st.sampled_from((500, 502)))
    def response_lost(self, operation: str, status: int) -> None:
        """Lose the answer to a create that had its effect."""
        self.box.knobs.fault("status", operation=operation, status=status, effect="after", times=1)
        ended = self.ended("response lost", self.yard.up(self.place))
        self.box.knobs.clear_faults()
        assert (ended.status == 0) <= (len(self.ships()) == 1), ended.output

    @rule(verb=VERBS, status=st.sampled_from((401, 429, 503)), skip=st.integers(0, 12))
    def refused(self, verb: str, status: int, skip: int) -> None:
        """Refuse one call of a command, somewhere."""
        self.box.knobs.fault("status", status=status, skip=skip, times=1)
        self.ended("refused", getattr(self.yard, verb)(self.place))
        self.box.knobs.clear_faults()

    @rule()
    def state_dropped(self) -> None:
        """Lose everything that this machine knows."""
        self.forgotten |= {found.launch for one in self.held if (found := tags.of(one))}
        self.forgotten |= {
            found.launch for key in self.box.client.ssh_keys() if (found := tags.read_key_name(key.name))
        }
        shutil.rmtree(self.place / "state", ignore_errors=True)

    @precondition(lambda self: len(self.strangers) < 3)
    @rule(kind=st.sampled_from(sorted(LOOK_ALIKES)))
    def stranger(self, kind: str) -> None:
        """Let somebody else make what looks like it."""
        name, carried = LOOK_ALIKES[kind]
        if kind in self.strangers:
            return
        self.strangers.add(kind)
        before = self.box.account()
        cloudbox.foreign_droplet(self.box.client, name, carried)
        added = self.box.account().droplets - before.droplets
        known = self.box.baseline
        baseline = Account(known.droplets | added, known.keys, known.tags | frozenset(carried))
        self.box = self.yard.box = dataclasses.replace(self.box, baseline=baseline)

    @rule(seconds=st.sampled_from((60, 1200, 4000)))
    def time_passes(self, seconds: int) -> None:
        """Let deadlines and ends pass."""
        self.box.knobs.advance(seconds)

    @rule(kind=st.sampled_from(("power_off", "power_on", "reboot")))
    def flipped(self, kind: str) -> None:
        """Do something to its droplet behind its back."""
        for one in self.held:
            _act(self.box, one.id, kind)

    @invariant()
    def all_is_as_it_must_be(self) -> None:
        """At most one of the ship, strangers untouched, journal and bill as the account is."""
        droplets, now = self.box.look()
        self.held = _ours(droplets)
        assert len(self.held) <= 1
        self._strangers_are_untouched(now)
        self._the_journal_knows(now)
        self._the_bill_is_right()

    def _strangers_are_untouched(self, now: Account) -> None:
        """All that is not ours is as it was."""
        before = self.box.baseline
        for kind in ("droplets", "keys", "tags"):
            assert getattr(before, kind) <= getattr(now, kind), kind

    def _the_journal_knows(self, now: Account) -> None:
        """What is there of launches that this machine has not forgotten was written down before it was made."""
        written = {
            one.launch for one in Journal(self.place / "state" / "journal.jsonl").entries() if one.what == INTENT
        }
        keys = {found.launch for _, label in now.keys if (found := _key_of_yard(label))}
        launches = {found.launch for one in self.held if (found := tags.of(one))} | keys
        assert set() == launches - self.forgotten - written

    def _the_bill_is_right(self) -> None:
        """What the library lists costs what the account holds, droplet for droplet."""
        held = {one.id: one.price_hourly for one in self.held}
        assert held == {one.droplet_id: one.droplet.price_hourly for one in fleet._ships(self.box.client, YARD)}

    def teardown(self) -> None:
        """Take it down at last: sweep what only time makes nobody's, and have it judged."""
        self.box.knobs.clear_faults()
        self.box.knobs.advance(20_000)
        swept = self.yard.run(["reap"], self.place)
        wrong = oracle.judge(self.box, self.place, Ended(0, self.output + swept.output, 0.0), YARD)
        for number, _, _ in self.box.account().droplets - self.yard_before().droplets:
            self.box.client.delete_droplet(number)
        for tag in self.box.account().tags - self.yard_before().tags:
            self.box.client.delete_tag(tag)
        assert [] == wrong, wrong

    def yard_before(self) -> Account:
        """Give what was there before the strangers came."""
        return BEFORE[self.box.directory]

    def ships(self) -> list[Droplet]:
        """List the droplets that a launch of the ship made, by what is written on each."""
        return _ours(self.box.client.droplets())

    def ended(self, what: str, ended: Ended, *more: int) -> Ended:
        """Look at how a command ended."""
        STEPS_TAKEN.append(what)
        self.output += ended.output
        assert ended.status in (0, 1, 2, *(-one for one in more)), (what, ended)
        assert "Traceback (most" not in ended.output, ended.output
        return ended


BEFORE: dict[Path, Account] = {}


def _ours(droplets: Iterable[Droplet]) -> list[Droplet]:
    return [one for one in droplets if _is_ours(one)]


def _is_ours(droplet: Droplet) -> bool:
    name, _, launch = droplet.name.rpartition("-")
    return name == YARD and f"cloudship:launch:{launch}" in droplet.tags and "cloudship" in droplet.tags


def _key_of_yard(label: str) -> tags.KeyName | None:
    found = tags.read_key_name(label)
    return found if found is not None and found.name == YARD else None


def _killing(crossing: int) -> Callable[[Point], None]:
    left = [crossing]

    def act(_point: Point) -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return act


def _act(box: CloudBox, droplet_id: int, kind: str) -> None:
    """Ask the API for an action, as its panel does."""
    asked = urllib.request.Request(  # noqa: S310  http on the loopback
        f"{box.knobs.url}/v2/droplets/{droplet_id}/actions",
        json.dumps({"type": kind}).encode(),
        {"Authorization": f"Bearer {box.knobs.token}", "Content-Type": "application/json"},
        method="POST",
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(asked, timeout=10) as answer:
        assert answer.status == 201


@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_ship_lives_and_goes_without_a_trace(ground: Field, shard: int) -> None:
    """At most one, strangers untouched, journal and bill as the account is, after every step; and then nothing."""
    BEFORE[ground.box.directory] = ground.box.baseline
    STEPS_TAKEN.clear()

    @seed(shard)
    def life() -> Life:
        return Life(ground)

    run_state_machine_as_test(life, settings=SETTINGS)
    record("T11 lives of a ship", cases=LIVES // SHARDS, points=len(STEPS_TAKEN))
    assert len(set(STEPS_TAKEN)) >= 4, STEPS_TAKEN
