"""The create protocol against an API that refuses, is busy, or does not say whether a create took effect."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from orders import order

from cloudship import creation, tags
from cloudship.client import Client
from cloudship.errors import ApiRefused, Conflict, RateLimited, ServerFault, TryAgain, Unprocessable
from cloudship.journal import DONE, INTENT, REFUSED, Journal
from cloudship.keys import mint
from cloudship.local.handle import LocalCloud
from cloudship.local.transitions import Transitions
from cloudship.models import Timeouts
from cloudship.waiting import Clock

LAUNCH = "0123456789"
ORDER = order(tags.droplet_name("web", LAUNCH), tags.launch_tags("web", LAUNCH, "me", None, 4102444800))
LIMITS = Timeouts(request=30, visible=2, listed=1, destroy=60)
UNCLEAR = (408, 409, 412, 423, 425, 499, 500, 503)


@pytest.fixture
def knobs(cloud: Any) -> LocalCloud:
    """The handle on this test's cloud."""
    return LocalCloud(cloud.url, cloud.token)


@pytest.fixture
def stepped(cloud: Any) -> Clock:
    """A clock on which a pause costs nothing, and moves the cloud's time on."""
    now = [1000.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds
        cloud.context.account.clock.advance(seconds)

    return Clock(monotonic=lambda: now[0], sleep=sleep)


def _created(client: Client, book: Journal, clock: Clock) -> int:
    return creation.create_droplet(client, book, ORDER, launch=LAUNCH, timeouts=LIMITS, clock=clock)


def _posts(knobs: LocalCloud, operation: str = "droplets_create") -> int:
    return [one["operation"] for one in knobs.requests()].count(operation)


@pytest.mark.parametrize("status", UNCLEAR)
def test_an_unclear_create_that_took_effect_is_adopted_after_one_post(
    client: Client, knobs: LocalCloud, stepped: Clock, tmp_path: Path, status: int
) -> None:
    """A conflict may be one with its own effect: asked for again there would be two droplets of one launch."""
    knobs.fault("status", operation="droplets_create", status=status, effect="after")
    book = Journal(tmp_path / "j")
    number = _created(client, book, stepped)
    assert [number] == [one.id for one in client.droplets()]
    assert 1 == _posts(knobs)
    assert [INTENT, DONE] == [one.what for one in book.entries()]


@pytest.mark.parametrize("status", UNCLEAR)
def test_an_unclear_create_without_effect_fails_after_one_post(
    client: Client, knobs: LocalCloud, stepped: Clock, tmp_path: Path, status: int
) -> None:
    """With its own error; the journal does not take it for a clear no."""
    knobs.fault("status", operation="droplets_create", status=status)
    book = Journal(tmp_path / "j")
    with pytest.raises(Conflict if status in (409, 412, 423) else ServerFault):
        _created(client, book, stepped)
    assert 1 == _posts(knobs)
    assert [INTENT] == [one.what for one in book.entries()]


def test_a_create_that_meets_a_pending_event_is_unclear(
    client: Client, knobs: LocalCloud, stepped: Clock, tmp_path: Path
) -> None:
    """The event may be that of its own effect."""
    knobs.fault("status", operation="droplets_create", status=422, effect="after", message="There is a pending event.")
    number = _created(client, Journal(tmp_path / "j"), stepped)
    assert ([number], 1) == ([one.id for one in client.droplets()], _posts(knobs))


@pytest.mark.parametrize("status", [409, 412, 423, 499])
def test_an_unclear_key_is_looked_for_too(
    client: Client, knobs: LocalCloud, stepped: Clock, tmp_path: Path, status: int
) -> None:
    """By its name, after one POST."""
    knobs.fault("status", operation="sshKeys_create", status=status, effect="after")
    name = tags.key_name("web", LAUNCH, 1)
    key = creation.create_key(
        client,
        Journal(tmp_path / "j"),
        name=name,
        launch=LAUNCH,
        public_key=mint("x").public,
        timeouts=LIMITS,
        clock=stepped,
    )
    assert [(key.id, name)] == [(one.id, one.name) for one in client.ssh_keys()]
    assert 1 == _posts(knobs, "sshKeys_create")


REPEATED = {
    "try again": (TryAgain, {"status": 422, "message": "Something went wrong, please try again."}),
    "429": (RateLimited, {"status": 429}),
    "429 for longer than a call may take": (RateLimited, {"status": 429, "headers": {"retry-after": "45"}}),
}


@pytest.mark.parametrize("name", REPEATED)
def test_only_what_the_api_says_had_no_effect_is_asked_for_again(
    client: Client, knobs: LocalCloud, stepped: Clock, tmp_path: Path, name: str
) -> None:
    """Twice refused it is made at the third time, once."""
    knobs.fault("status", operation="droplets_create", times=2, **REPEATED[name][1])
    number = _created(client, Journal(tmp_path / "j"), stepped)
    assert ([number], 3) == ([one.id for one in client.droplets()], _posts(knobs))


@pytest.mark.parametrize("name", REPEATED)
def test_what_is_refused_for_ever_is_a_clear_no(
    client: Client, knobs: LocalCloud, stepped: Clock, tmp_path: Path, name: str
) -> None:
    """After its tries; nothing is looked for."""
    knobs.fault("status", operation="droplets_create", times=None, **REPEATED[name][1])
    book = Journal(tmp_path / "j")
    with pytest.raises(REPEATED[name][0]):
        _created(client, book, stepped)
    assert [INTENT, REFUSED] == [one.what for one in book.entries()]
    assert 0 == _posts(knobs, "droplets_list")


def test_extras_that_are_still_being_made_are_destroyed_once_that_is_possible(
    cloud: Any, client: Client, knobs: LocalCloud, stepped: Clock, tmp_path: Path
) -> None:
    """The API refuses to destroy them for as long as an event is pending; the first is adopted all the same."""
    cloud.context.bodies.transitions = Transitions.parse("20")
    first = client.create_droplet(ORDER)
    knobs.fault("status", operation="droplets_create", status=503, effect="after")
    assert first == _created(client, Journal(tmp_path / "j"), stepped)
    assert _posts(knobs, "droplets_destroy") > 1
    knobs.advance(60)
    _until_only(client, first)


def _until_only(client: Client, number: int) -> None:
    """Wait for an end that was taken: it comes in a thread of the cloud's."""
    deadline = time.monotonic() + 60
    while [number] != [one.id for one in client.droplets()]:
        assert time.monotonic() < deadline


def test_an_extra_whose_end_is_refused_otherwise_is_no_success(
    client: Client, knobs: LocalCloud, stepped: Clock, tmp_path: Path
) -> None:
    """The launch fails, and its rollback finds both."""
    client.create_droplet(ORDER)
    knobs.fault("status", operation="droplets_create", status=503, effect="after")
    knobs.fault("status", operation="droplets_destroy", status=400, times=None)
    with pytest.raises(Unprocessable) as caught:
        _created(client, Journal(tmp_path / "j"), stepped)
    assert isinstance(caught.value, ApiRefused)
    assert 2 == len(client.droplets())
