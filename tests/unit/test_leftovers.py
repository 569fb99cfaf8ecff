"""What an interrupted launch says: that nothing is left only where that is so."""

from __future__ import annotations

import pytest

from cloudship import records, tags
from cloudship.cli import failure
from cloudship.cli.interrupts import Interrupts
from cloudship.cli.leftovers import LEFTOVERS
from cloudship.events import Chosen, Destroying, Event, Gone, Phase, PhaseEnded, nobody
from cloudship.models import Kind

CHOSEN = Chosen(cloud="digitalocean", ship="web", price_hourly=0.00893)
ANSWERED = PhaseEnded(phase=Phase.ANSWER.value, seconds=1.0, outcome="http://192.0.2.7/")
TAKING, TAKEN = Destroying(kind="droplet", id="7"), Gone(kind="droplet", id="7")
NOTHING = ["interrupted; nothing is left behind"]
NEXT = "next: cloudship down web --cloud digitalocean"


def _interrupted(*events: Event, capsys: pytest.CaptureFixture[str], ship: str | None = None) -> list[str]:
    """Interrupt a launch after these events, a ship having been asked for meanwhile; gives what is said."""
    interrupts = Interrupts(lambda: None, tidies=True)
    notify = LEFTOVERS.hearing(nobody)

    def command() -> None:
        for event in events:
            notify(event)
        if ship is not None:
            records.journal().intend("a" * 10, "digitalocean", Kind.DROPLET, tags.droplet_name(ship, "a" * 10))
            records.journal().done("a" * 10, "digitalocean", Kind.DROPLET, "7")
        raise KeyboardInterrupt

    assert 130 == failure.guarded(command, ["up"], interrupts)
    return capsys.readouterr().err.splitlines()


@pytest.mark.parametrize("events", [(), (CHOSEN,), (CHOSEN, ANSWERED, TAKING, TAKEN)])
def test_nothing_is_left_where_nothing_was_made_or_all_is_gone(
    capsys: pytest.CaptureFixture[str], events: tuple[Event, ...]
) -> None:
    """Before the first create, and after a rollback that was carried to its end."""
    assert NOTHING == _interrupted(*events, capsys=capsys)


def test_a_ship_that_is_up_is_named_with_its_url(capsys: pytest.CaptureFixture[str]) -> None:
    """The signal came when there was nothing to undo any more: it stays, and costs."""
    told = ["interrupted", "web is up: http://192.0.2.7/, $0.00893 an hour", NEXT]
    assert told == _interrupted(CHOSEN, ANSWERED, capsys=capsys)


def test_what_was_asked_for_and_is_not_proved_gone_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Once, with its price, whether or not its teardown has begun; another ship's launch is none of ours."""
    told = ["interrupted", "may be left: droplet 7, $0.00893 an hour", NEXT]
    assert told == _interrupted(CHOSEN, TAKING, capsys=capsys, ship="web")
    assert NOTHING == _interrupted(CHOSEN, capsys=capsys, ship="other")


def test_a_dead_launch_that_is_half_taken_down_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """It was being replaced; the journal of this machine need not know it."""
    assert ["interrupted", "may be left: droplet 7", NEXT] == _interrupted(CHOSEN, TAKING, capsys=capsys)


@pytest.mark.parametrize(("events", "more"), [((), ["next: cloudship down web"]), ((TAKING, TAKEN), [])])
def test_a_teardown_that_had_not_begun_is_to_be_typed_again(
    capsys: pytest.CaptureFixture[str], events: tuple[Event, ...], more: list[str]
) -> None:
    """One that had begun was finished before the signal ended it."""
    notify = LEFTOVERS.hearing(nobody)

    def command() -> None:
        LEFTOVERS.mended_by("cloudship down web")
        for event in events:
            notify(event)
        raise KeyboardInterrupt

    assert 130 == failure.guarded(command, ["down", "web"], Interrupts(lambda: None, tidies=True))
    assert ["interrupted", *more] == capsys.readouterr().err.splitlines()
    LEFTOVERS.mended_by()


def test_of_several_ships_more_may_follow_the_one_that_is_gone(capsys: pytest.CaptureFixture[str]) -> None:
    """The signal ended `down --all` or `reap` behind it: what is left is said to be taken down by the same again."""
    notify = LEFTOVERS.hearing(nobody)

    def command() -> None:
        LEFTOVERS.mended_by("cloudship reap", several=True)
        for event in (TAKING, TAKEN):
            notify(event)
        raise KeyboardInterrupt

    assert 130 == failure.guarded(command, ["reap"], Interrupts(lambda: None, tidies=True))
    assert ["interrupted", "next: cloudship reap"] == capsys.readouterr().err.splitlines()
    LEFTOVERS.mended_by()
