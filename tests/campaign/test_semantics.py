"""T7: answers that were changed on the way, a token that ends between any two calls, listings of several pages."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from campaign import case, cloudbox, oracle
from campaign.changed import droplets, everywhere, linked, listed_again, listing, moving, once, refusing, without_images
from campaign.cloudbox import SHIP, CloudBox
from campaign.conftest import Field, preload, record, told
from campaign.faraway import Faraway, played
from campaign.points import Point
from campaign.relay import Answer, Plan
from cloudship import tags, waiting

IMAGES = ("ubuntu-20-04-x64", "ubuntu-22-04-x64", "ubuntu-24-04-x64")


@pytest.fixture(scope="module")
def cloud(field_of_cases: Field) -> Iterator[Faraway]:
    """The host, played for this worker's cloud."""
    with played(field_of_cases.box, field_of_cases.app, field_of_cases.folder / "host") as found:
        yield found


@pytest.fixture
def host(cloud: Faraway, ground: Field) -> Faraway:
    """The same, with this test's environment."""
    return cloud


SCENARIOS: dict[str, tuple[Callable[[], Answer], int, str]] = {
    "an address that changes": (moving, 1, "SSH on 10.9.8."),
    "a droplet that is locked": (lambda: droplets(lambda one: {**one, "locked": True}), 0, "web is up"),
    "an id that is listed again": (lambda: listed_again(3), 0, "web is up"),
    "the default image gone": (lambda: without_images(IMAGES[:1]), 0, "using ubuntu-22-04-x64"),
    "two images gone": (lambda: without_images(IMAGES[:2]), 0, "using ubuntu-24-04-x64"),
    "all images gone": (lambda: without_images(IMAGES), 2, "There is no image"),
    "an account that is locked": (
        lambda: refusing("POST", 403, "Your account has been locked; contact support"),
        2,
        "has been locked",
    ),
    "a key that is there already": (
        lambda: refusing("POST", 422, "SSH Key is already in use on your account", "/v2/account/keys"),
        1,
        "already in use",
    ),
    "an event that is pending": (
        lambda: once(refusing("DELETE", 422, "Droplet already has a pending event.", "/v2/droplets/"), 4),
        0,
        "web is up",
    ),
    "fields that nobody knows": (
        lambda: everywhere(lambda one: {**one, "x_new": {"a": [None]}}),
        0,
        "web is up",
    ),
    "a state that nobody knows": (
        lambda: droplets(lambda one: {**one, "status": "migrating"}),
        1,
        "status unknown",
    ),
    "tags that are null": (lambda: droplets(lambda one: {**one, "tags": None}), 1, "not one of cloudship's"),
    "an image without a slug": (
        lambda: droplets(lambda one: {**one, "image": {**one["image"], "slug": None}}),
        0,
        "web is up",
    ),
    "an image that is null": (lambda: droplets(lambda one: {**one, "image": None}), 0, "web is up"),
    "networks that are null": (
        lambda: droplets(lambda one: {**one, "networks": None}),
        1,
        "else than it documents",
    ),
    "an address that is none": (
        lambda: droplets(lambda one: {**one, "networks": {"v4": [{"type": "public", "ip_address": "::1"}]}}),
        1,
        "else than it documents",
    ),
    "an id that is a text": (lambda: droplets(lambda one: {**one, "id": str(one["id"])}), 1, ""),
    "an id that is true": (lambda: droplets(lambda one: {**one, "id": True}), 1, ""),
    "tags that are one text": (lambda: droplets(lambda one: {**one, "tags": "cloudship"}), 1, ""),
    "a price that is no number": (
        lambda: droplets(lambda one: {**one, "size": {**one["size"], "price_hourly": float("nan")}}),
        1,
        "",
    ),
    "pages that lead to themselves": (lambda: listing(linked), 0, "web is up"),
    "a total that is never reached": (
        lambda: listing(lambda told: {**told, "meta": {"total": 10**9}}),
        1,
        "and then no more",
    ),
    "a total below nothing": (lambda: listing(lambda told: {**told, "meta": {"total": -1}}), 1, "their total"),
    "a total that is true": (lambda: listing(lambda told: {**told, "meta": {"total": True}}), 1, "their total"),
}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_answers_that_were_changed(host: Faraway, ground: Field, scenario: str) -> None:
    """The exit status is right, the message says what there is to say, and after `down` the account is what it was."""
    make, status, words = SCENARIOS[scenario]
    host.begin(Plan(answer=make()))
    place = ground.place()
    ended = host.up(place)
    found = (status == ended.status, words in ended.output, ended.output[-500:])
    assert [] == host.judge(place, ended)
    assert (True, True) == found[:2], found[2]
    record("T7 API semantics", cases=1, points=1)


@pytest.mark.parametrize(
    "scenario",
    ["an id that is listed again", "an event that is pending", "fields that nobody knows", "a droplet that is locked"],
)
def test_a_teardown_whose_answers_were_changed(host: Faraway, ground: Field, scenario: str) -> None:
    """It goes on until all is proved gone."""
    place = ground.place()
    host.begin()
    assert host.up(place).status == 0
    host.begin(Plan(answer=SCENARIOS[scenario][0]()))
    ended = host.down(place)
    assert 0 == ended.status, ended.output
    assert [] == oracle.difference(host.box)
    assert [] == host.judge(place, ended)
    record("T7 API semantics", cases=1, points=1)


@pytest.mark.parametrize("state", ["revoked", "read-only"])
@pytest.mark.parametrize("verb", ["up", "down"])
def test_a_token_that_ends_between_any_two_calls(ground: Field, verb: str, state: str) -> None:
    """Status 2 while nothing was created, 1 from then on; what may be left is named, and found once it opens again."""
    wrong, calls = {}, len(ground.calls_of(verb))
    faults: dict[str, dict[str, Any]] = {
        "revoked": {"status": 401, "message": "Unable to authenticate you"},
        "read-only": {"status": 403, "message": "You are not authorized to perform this operation"},
    }
    for number in range(calls):
        place = ground.place()
        if verb == "down":
            assert ground.up(place).status == 0
        ground.box.knobs.clear_requests()
        ground.box.knobs.fault("status", skip=number, times=None, **faults[state])
        ended = getattr(ground, verb)(place)
        made = [one for one in ground.box.knobs.requests() if one["method"] == "POST" and one["status"] in (201, 202)]
        expected = (1, 2) if verb == "down" else (1,) if made else (2,)
        found = [] if ended.status in expected else [f"it ended with {ended.status}: {ended.output[-400:]}"]
        if made and "left behind" not in ended.output:
            found.append(f"what is left is not named: {ended.output[-400:]}")
        found += oracle.judge(ground.box, place, ended)
        if found:
            wrong[f"from call {number} on"] = found
    record("T7 token ends", cases=calls, points=calls)
    assert not wrong, told(wrong)


@pytest.mark.parametrize("days", [-2, 2])
def test_a_machine_whose_clock_is_wrong_writes_the_clouds_time(ground: Field, days: int) -> None:
    """The end of a ship, the deadline of a launch and the age of a key mean the same moment to whoever reads them."""

    def skew() -> None:
        plain = waiting.REAL.wall
        object.__setattr__(waiting.REAL, "wall", lambda: plain() + days * 86_400)

    place = ground.place()
    environ = case.environment(place) | {"CLOUDSHIP_LOCAL_DIR": str(ground.box.directory)}
    words = ["up", str(ground.app), "--name", SHIP, "--ttl", "1h", "--cloud", "local"]
    now = ground.box.knobs.time()
    ended = case.run(words, ground.box.knobs, environ, lambda _point: None, skew)
    assert ended.status == 0, ended.output
    account = ground.box.account()
    ((_, _, carried),) = account.droplets - ground.box.baseline.droplets
    ((_, key),) = account.keys - ground.box.baseline.keys
    found, named = tags.read(carried), tags.read_key_name(key)
    assert found is not None
    assert named is not None
    assert abs((found.expires or 0) - now - 3600) < 300
    assert abs(named.created - now) < 300
    assert [] == oracle.judge(ground.box, place, ended)
    record("T7 API semantics", cases=1, points=1)


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudBox]:
    """A cloud with more droplets and tags than one page holds, all of them made before ours."""
    preload()
    with cloudbox.running(tmp_path_factory.mktemp("crowd") / "local") as box:
        box.knobs.fault("droplet_limit", limit=1000)
        for number in range(205):
            cloudbox.foreign_droplet(box.client, f"crowd-{number}", (f"crowd-{number}",))
        yield CloudBox(box.directory, box.knobs, box.client, box.account())


@pytest.fixture
def crowded(crowd: CloudBox, monkeypatch: pytest.MonkeyPatch) -> CloudBox:
    """Point this process at it; whoever judges a case clears the faults, the higher limit among them."""
    monkeypatch.setenv("CLOUDSHIP_LOCAL_DIR", str(crowd.directory))
    crowd.knobs.fault("droplet_limit", limit=1000)
    return crowd


@pytest.mark.parametrize("loss", ["none", "reset", "killed", "500, and listings that lag"])
def test_a_ship_is_found_among_more_than_a_page_holds(
    crowded: CloudBox, tmp_path: Path, flask_app: Path, loss: str
) -> None:
    """T6 again: exactly one after a lost answer, none after `down`, and not one of two hundred others is touched."""
    faults: dict[str, dict[str, Any]] = {
        "reset": {"kind": "reset", "effect": "after"},
        "500, and listings that lag": {"kind": "status", "status": 500, "effect": "after"},
    }
    if loss in faults:
        crowded.knobs.fault(**faults[loss], operation="droplets_create")
    if "lag" in loss:
        crowded.knobs.fault("listing_lag", seconds=30)

    def act(here: Point) -> None:
        if loss == "killed" and here == Point("api POST droplets/", 1, "after"):
            os.kill(os.getpid(), signal.SIGKILL)

    environ = case.environment(tmp_path / "case") | {"CLOUDSHIP_LOCAL_DIR": str(crowded.directory)}
    words = ["up", str(flask_app), "--name", SHIP, "--cloud", "local"]
    ended = case.run(words, crowded.knobs, environ, act, wire=3.0)
    assert (-signal.SIGKILL if loss == "killed" else 0) == ended.status, ended.output
    crowded.knobs.advance(60)
    assert 1 == len(crowded.account().droplets - crowded.baseline.droplets)
    crowded.knobs.clear_faults()
    down = case.run(["down", SHIP, "--cloud", "local"], crowded.knobs, environ, lambda _point: None, wire=3.0)
    assert (0, []) == (down.status, oracle.difference(crowded)), down.output
    record("T6 lost answers", cases=1, points=1)
