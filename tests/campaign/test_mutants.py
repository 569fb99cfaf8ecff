"""
The campaigns bite: a rule broken on purpose is noticed, the same case unbroken is not, nor by a campaign made blunt.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sshd import Host

from campaign import case, cloudbox, crash, oracle, test_impostor
from campaign.cloudbox import SHIP, CloudBox
from campaign.conftest import SOAK, Field, preload, record
from campaign.crash import CREATED, Machine, State
from cloudship import creation, durable, inventory, journal, teardown
from cloudship.errors import NotFound, RateLimited, ServerFault
from cloudship.plan import Plan


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudBox]:
    """A cloud of its own: a mutant may destroy what the others are compared with."""
    preload()
    monkeypatch.setenv("CLOUDSHIP_LOCAL_DIR", str(tmp_path / "local"))
    with cloudbox.running(tmp_path / "local") as found:
        yield found


def _run(box: CloudBox, place: Path, verb: str, app: Path, mutate: Callable[[], None]) -> case.Ended:
    source = [str(app), "--name", SHIP, "--env", f"SECRET={oracle.CANARY}"] if verb == "up" else [SHIP]
    environ = case.environment(place) | {"CLOUDSHIP_LOCAL_DIR": str(box.directory)}
    return case.run([verb, *source, "--cloud", "local"], box.knobs, environ, lambda _point: None, mutate)


def _ask_again_blindly() -> None:
    creation._REFUSED_FOR_NOW = (RateLimited, ServerFault)  # type: ignore[assignment]


def _take_404_for_gone() -> None:
    plain = teardown._Teardown.droplet

    def hasty(self: Any, droplet: Any) -> None:
        try:
            self._client.droplet(droplet.id)
        except NotFound:
            return
        plain(self, droplet)

    teardown._Teardown.droplet = hasty  # type: ignore[method-assign]


def _check_no_tags() -> None:
    assert callable(inventory.is_of)  # a name that is not there would break nothing
    inventory.is_of = lambda _droplet, _name, _launch: True


def _put_a_value_into_user_data() -> None:
    plain = Plan.request

    def leaking(self: Plan, key_id: int) -> Any:
        asked = plain(self, key_id)
        return asked.model_copy(update={"user_data": f"{asked.user_data}# {oracle.CANARY}\n"})

    Plan.request = leaking  # type: ignore[method-assign]


def _write_the_journal_unsynced() -> None:
    def append(path: Path, line: bytes) -> None:
        with path.open("ab") as file:
            file.write(line + b"\n")

    journal.durable = SimpleNamespace(folder=durable.folder, read=durable.read, append=append)  # type: ignore[assignment]


def _nothing() -> None:
    """Break nothing: what is judged then must be well."""


def _lost_answer(box: CloudBox, place: Path, app: Path, mutate: Callable[[], None]) -> list[str]:
    box.knobs.fault("status", operation="droplets_create", status=500, effect="after")
    _run(box, place, "up", app, mutate)
    made = box.account().droplets - box.baseline.droplets
    return [] if len(made) == 1 else [f"{len(made)} droplets"]


def _hidden_droplet(box: CloudBox, place: Path, app: Path, mutate: Callable[[], None]) -> list[str]:
    box.knobs.fault("missing_after_create", seconds=100_000)
    ended = _run(box, place, "up", app, mutate)
    left = box.account().droplets - box.baseline.droplets
    return [f"not named: {left}"] if left and "left behind: droplet" not in ended.output else []


def _foreign(box: CloudBox, place: Path, app: Path, mutate: Callable[[], None]) -> list[str]:
    _run(box, place, "up", app, _nothing)
    _run(box, place, "down", app, mutate)
    return oracle.difference(box)


def _canary(box: CloudBox, place: Path, app: Path, mutate: Callable[[], None]) -> list[str]:
    return oracle.judge(box, place, _run(box, place, "up", app, mutate))


def _crash(box: CloudBox, place: Path, app: Path, mutate: Callable[[], None]) -> list[str]:
    """Crash the machine between the create and what is written down next, in every way of T3."""
    place.mkdir()
    machine = Machine(Field(box, app, place), app, mutate)
    stop = machine.trace("up").acts_before(str(CREATED))
    states = [State("up", stop, model) for model in crash.MODELS]
    return [text for state in states for text in machine.judge(state, again=False)]


def _stranger(box: CloudBox, place: Path, app: Path, mutate: Callable[[], None]) -> list[str]:
    """Let somebody else answer on the droplet's address, with another key."""
    del box, place
    there = test_impostor.placed(Path(os.environ["CLOUDSHIP_STATE_DIR"]), app)
    return list(test_impostor.heard_by(there, "with another key", mutate))


CASES = {
    "a blind repetition of a create": (_ask_again_blindly, _lost_answer),
    "404 taken for gone": (_take_404_for_gone, _hidden_droplet),
    "no check of our own": (_check_no_tags, _foreign),
    "a secret in user-data": (_put_a_value_into_user_data, _canary),
    "a journal that is not synced": (_write_the_journal_unsynced, _crash),
    "trust in whoever answers": (test_impostor.trust_whoever_answers, _stranger),
}


def _one_more(account: cloudbox.Account) -> cloudbox.Account:
    return replace(account, droplets=account.droplets | {(0, "", frozenset[str]())})


# What each campaign notices its mutant by, made blind: the place, the name there, and what it sees then.
BLUNT: dict[str, tuple[Any, str, Any]] = {
    "a blind repetition of a create": (CloudBox, "account", lambda self: _one_more(self.baseline)),
    "404 taken for gone": (CloudBox, "account", lambda self: self.baseline),
    "no check of our own": (oracle, "difference", lambda _box: []),
    "a secret in user-data": (oracle, "_secrets", lambda *_rest: []),
    "a journal that is not synced": (crash, "MODELS", crash.MODELS[:1]),
    "trust in whoever answers": (Host, "requests", lambda _self: []),
}


@pytest.mark.parametrize("name", CASES)
def test_a_broken_rule_is_noticed(box: CloudBox, flask_app: Path, tmp_path: Path, name: str) -> None:
    """The mutant is judged to be wrong."""
    mutate, judged = CASES[name]
    assert [] != judged(box, tmp_path / "mutant", flask_app, mutate)
    record("mutants", cases=1, points=1)


@pytest.mark.parametrize("name", CASES)
def test_the_unbroken_rule_is_not(box: CloudBox, flask_app: Path, tmp_path: Path, name: str) -> None:
    """The same case without the mutant is judged to be well: it is the mutant that was noticed."""
    _, judged = CASES[name]
    assert [] == judged(box, tmp_path / "plain", flask_app, _nothing)


@pytest.mark.parametrize("name", BLUNT if SOAK else ["no check of our own", "trust in whoever answers"])
def test_a_blunt_campaign_would_not_notice(
    box: CloudBox, flask_app: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Blind to what it notices the mutant by, a campaign lets the mutant live, and the test above fails."""
    monkeypatch.setattr(*BLUNT[name])
    with pytest.raises(AssertionError):
        test_a_broken_rule_is_noticed(box, flask_app, tmp_path, name)


def test_every_rule_has_its_mutant() -> None:
    """Six rules are broken, and for each a campaign is made blunt."""
    assert 6 == len(CASES)
    assert set(CASES) == set(BLUNT)
