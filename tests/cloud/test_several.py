"""Several ships on several clouds: each goes where it was listed, and one that cannot go stops no other."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from apiserver import Api, serving
from orders import order

from cloudship import clouds, fleet, locking, records, tags
from cloudship.client import Client
from cloudship.errors import AmbiguousShip, LeftBehind, Unauthorized
from cloudship.models import Cloud, Endpoint, Secret, Timeouts

pytestmark = pytest.mark.slow

FAST = Timeouts(request=5, visible=1, listed=1, destroy=1)


class Pair:
    """Two clouds, both within reach, and what is on each."""

    def __init__(self, apis: dict[Cloud, Api]) -> None:
        self.apis = apis
        self.endpoints = {
            where: Endpoint(cloud=where, url=f"{api.url}/v2/", token=Secret(api.token)) for where, api in apis.items()
        }
        self.clients = {where: Client(one, timeouts=FAST) for where, one in self.endpoints.items()}

    def launch(self, where: Cloud, name: str, launch: str, *, owner: str = "me", expires: int | None = None) -> int:
        """Make the droplet of a launch."""
        asked = order(tags.droplet_name(name, launch), tags.launch_tags(name, launch, owner, expires, None))
        return self.clients[where].create_droplet(asked)

    def left(self) -> dict[str, set[str]]:
        """Name the droplets on each."""
        return {where.value: {one.name for one in client.droplets()} for where, client in self.clients.items()}

    def break_(self, where: Cloud, operation: str) -> None:
        """Let one of them fail for good at something."""
        told = {"kind": "status", "status": 403, "operation": operation, "times": None}
        self.apis[where]("POST", "/_cloudship/faults", told, check=False).raise_for_status()


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    """Two clouds of which one is called DigitalOcean."""
    with ExitStack() as stack:
        for where in Cloud:
            (tmp_path / where.value).mkdir()
        found = Pair({where: stack.enter_context(serving(tmp_path / where.value)) for where in Cloud})

        def reachable(cloud: Cloud | None = None, **_more: Any) -> tuple[Endpoint, ...]:
            return tuple(one for where, one in found.endpoints.items() if cloud in (None, where))

        monkeypatch.setattr(clouds, "reachable", reachable)
        monkeypatch.setenv("CLOUDSHIP_STATE_DIR", str(tmp_path / "state"))
        monkeypatch.setenv("CLOUDSHIP_OWNER", "me")
        yield found


def _mine() -> list[Any]:
    return [ship for ship in fleet.ships() if ship.owner == "me"]


def test_ships_of_one_name_on_two_clouds_both_go(pair: Pair) -> None:
    """By its name alone such a ship would be ambiguous; each is taken where it was listed."""
    for where in Cloud:
        pair.launch(where, "web", "a" * 10)
    with pytest.raises(AmbiguousShip):
        fleet.down("web", timeouts=FAST)
    done = fleet.down_all(_mine(), timeouts=FAST)
    assert {("local",), ("digitalocean",)} == {tuple(where.value for where in one.searched) for one in done}
    assert {"local": set(), "digitalocean": set()} == pair.left()


def test_of_one_name_only_the_launches_of_this_owner_go(pair: Pair) -> None:
    """Another's ship of the same name stays, with all that marks it."""
    pair.launch(Cloud.LOCAL, "web", "a" * 10)
    theirs = pair.launch(Cloud.LOCAL, "web", "b" * 10, owner="you")
    before = pair.clients[Cloud.LOCAL].droplet(theirs)
    fleet.down_all(_mine(), timeouts=FAST)
    assert before == pair.clients[Cloud.LOCAL].droplet(theirs)
    assert {"local": {f"web-{'b' * 10}"}, "digitalocean": set()} == pair.left()
    assert before.tags <= set(pair.clients[Cloud.LOCAL].tags())


def test_what_cannot_go_stops_no_other_and_is_named(pair: Pair) -> None:
    """A ship that somebody is at and one that does not go are told together; the rest is gone."""
    busy = pair.launch(Cloud.LOCAL, "busy", "a" * 10)
    stuck = pair.launch(Cloud.DIGITALOCEAN, "stuck", "b" * 10)
    pair.launch(Cloud.LOCAL, "web", "c" * 10)
    pair.break_(Cloud.DIGITALOCEAN, f"DELETE /v2/droplets/{stuck}")
    told: list[str] = []
    folder = records.files_root(Cloud.LOCAL) / "busy"
    with (
        locking.alone(folder, "busy", now=time.time()),
        pytest.raises(LeftBehind, match=r"2 of 3 could not be taken down: .*busy on local") as caught,
    ):
        fleet.down_all(_mine(), told=lambda one: told.append(one.name), timeouts=FAST)
    assert "stuck on digitalocean" in caught.value.message
    assert ["web"] == told
    assert {str(busy), str(stuck)} == {one.id for one in caught.value.left}
    assert {"local": {f"busy-{'a' * 10}"}, "digitalocean": {f"stuck-{'b' * 10}"}} == pair.left()


def test_the_command_ends_with_1_and_names_what_stays(pair: Pair, typed: Callable[..., Any]) -> None:
    """The receipts of the others are on standard error all the same."""
    stuck = pair.launch(Cloud.LOCAL, "a-stuck", "b" * 10)
    pair.launch(Cloud.DIGITALOCEAN, "web", "c" * 10)
    pair.break_(Cloud.LOCAL, f"GET /v2/droplets/{stuck}")
    said = typed("down", "--all", "--yes", "--json")
    assert (1, "LeftBehind") == (said.status, json.loads(said.out)["error"]["type"])
    assert "web: gone" in said.err
    assert "a-stuck on local" in said.err


def test_a_cloud_that_fails_a_teardown_is_told_of(pair: Pair) -> None:
    """By its name: the other one was gone through all the same."""
    pair.launch(Cloud.DIGITALOCEAN, "web", "a" * 10)
    pair.break_(Cloud.LOCAL, "sshKeys_list")
    with pytest.raises(Unauthorized) as caught:
        fleet.down("web", timeouts=FAST)
    assert "that was local; the other cloud was gone through" in caught.value.evidence
    assert {"local": set(), "digitalocean": set()} == pair.left()


def test_a_cloud_that_does_not_say_whether_the_ship_is_there_stops_a_teardown(pair: Pair) -> None:
    """The one of that name there may be the one that is meant: nothing goes until a cloud is named."""
    pair.launch(Cloud.DIGITALOCEAN, "web", "a" * 10)
    pair.break_(Cloud.LOCAL, "GET /v2/droplets*")
    with pytest.raises(Unauthorized) as caught:
        fleet.down("web", timeouts=FAST)
    assert "--cloud digitalocean" in caught.value.advice
    assert {f"web-{'a' * 10}"} == {one.name for one in pair.clients[Cloud.DIGITALOCEAN].droplets()}
    assert "droplet" in {one.kind.value for one in fleet.down("web", cloud="digitalocean").destroyed}


def test_a_cloud_that_fails_a_sweep_stops_no_other(pair: Pair) -> None:
    """Every launch of the other is dealt with and told of, then the failure is raised with what is left."""
    stuck = pair.launch(Cloud.DIGITALOCEAN, "stuck", "b" * 10, expires=1000)
    pair.launch(Cloud.DIGITALOCEAN, "web", "a" * 10, expires=1000)
    pair.break_(Cloud.LOCAL, "GET /v2/droplets*")
    pair.break_(Cloud.DIGITALOCEAN, f"DELETE /v2/droplets/{stuck}")
    told: list[str] = []
    with pytest.raises(Unauthorized) as caught:
        fleet.reap(told=lambda one: told.append(one.name), timeouts=FAST)
    assert {"stuck", "web"} <= set(told)
    assert [str(stuck)] == [one.id for one in caught.value.left]
    assert {f"stuck-{'b' * 10}"} == {one.name for one in pair.clients[Cloud.DIGITALOCEAN].droplets()}


def test_two_clouds_that_fail_are_both_named(pair: Pair) -> None:
    """In one error, which says of each what it was."""
    for where in Cloud:
        pair.break_(where, "GET /v2/droplets*")
    with pytest.raises(LeftBehind, match=r"failed on \w+ and on \w+") as caught:
        fleet.reap(timeouts=FAST)
    assert {"local", "digitalocean"} == {line.partition(":")[0] for line in caught.value.evidence}


@pytest.mark.parametrize(
    "words",
    [
        ("down", ""),
        ("show", ""),
        ("up", ""),
        ("up", ".", "--name", ""),
        ("up", ".", "--ttl", ""),
        ("up", ".", "--image", ""),
        ("reap", "--owner", ""),
    ],
)
def test_an_empty_word_is_not_a_missing_one(
    typed: Callable[..., Any], client: Client, words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable that is not set must not mean the ship of this folder, nor one that lives for ever: status 2."""
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "index.html").write_text("x")
    monkeypatch.chdir(tmp_path / "web")
    client.create_droplet(order(f"web-{'a' * 10}", tags.launch_tags("web", "a" * 10, "me", None, None)))
    said = typed(*words)
    assert 2 == said.status, said
    assert [f"web-{'a' * 10}"] == [one.name for one in client.droplets()]
