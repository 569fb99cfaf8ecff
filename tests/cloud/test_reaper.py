"""Reaping: what has outlived its time goes, everything else stays, and the output says why."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from orders import order
from typer.testing import CliRunner

from cloudship import clouds, extending, fleet, reaper, tags, teardown
from cloudship.cli.app import app
from cloudship.client import Client
from cloudship.errors import ConfigError, ShipBusy
from cloudship.keys import mint
from cloudship.local.handle import LocalCloud
from cloudship.models import Cloud, Destroyed, Endpoint, Reaped, Secret

NOW = 4_000_000_000
OLD = NOW - 100_000


@pytest.fixture(autouse=True)
def within_reach(cloud: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Only this test's cloud is within reach, and its clock stands at NOW."""
    cloud.context.clock.advance(NOW - cloud.context.clock.time())
    endpoint = Endpoint(cloud=Cloud.LOCAL, url=f"{cloud.url}/v2/", token=Secret(cloud.token))
    monkeypatch.setattr(clouds, "reachable", lambda _cloud=None, **_more: (endpoint,))
    monkeypatch.setenv("CLOUDSHIP_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("CLOUDSHIP_OWNER", "me")


class _Stopped:
    """A clock that stands."""

    def __init__(self, at: float) -> None:
        self.at = at

    def wall(self) -> float:
        """Say the time."""
        return self.at

    def monotonic(self) -> float:
        """Say how long."""
        import time

        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait a little."""
        import time

        time.sleep(min(seconds, 0.01))


def _launch(client: Client, name: str, launch: str, owner: str, expires: int | None, pending: int | None) -> int:
    asked = order(tags.droplet_name(name, launch), tags.launch_tags(name, launch, owner, expires, pending))
    return client.create_droplet(asked)


def _populate(client: Client) -> None:
    _launch(client, "expired", "a" * 10, "me", NOW - 60, None)
    _launch(client, "dead", "b" * 10, "me", None, NOW - 60)
    _launch(client, "alive", "c" * 10, "me", NOW + 60, None)
    _launch(client, "for-ever", "d" * 10, "me", None, None)
    _launch(client, "launching", "e" * 10, "me", None, NOW + 60)
    _launch(client, "foreign", "f" * 10, "you", NOW - 60, None)
    client.create_key(tags.key_name("orphan", "1" * 10, OLD), mint("x").public)
    client.create_key(tags.key_name("coming", "2" * 10, NOW - 60), mint("x").public)
    client.create_key("cloudship:almost:ours", mint("x").public)


def _reap(**more: Any) -> dict[str, Reaped]:
    return {one.name: one for one in fleet.reap(clock=_Stopped(NOW), **more)}  # type: ignore[arg-type]


def test_what_outlived_its_time_goes_and_nothing_else(client: Client) -> None:
    """Expired ships, dead launches and keys without a droplet; not the living, not another owner's, not look-alikes."""
    _populate(client)
    found = _reap()
    assert {"expired", "dead", "orphan"} == {name for name, one in found.items() if one.taken}
    names = {one.name.rpartition("-")[0] for one in client.droplets()}
    assert {"alive", "for-ever", "launching", "foreign"} == names
    assert {"cloudship:almost:ours", tags.key_name("coming", "2" * 10, NOW - 60)} == {
        one.name for one in client.ssh_keys()
    }
    assert "it is you's, not me's" == found["foreign"].reason
    assert "expired 1 min ago" in found["expired"].reason
    assert "under way until" in found["launching"].reason


def test_a_dry_run_destroys_nothing(client: Client) -> None:
    """It says the same and leaves everything."""
    _populate(client)
    before = {one.id for one in client.droplets()}
    found = _reap(dry_run=True)
    assert {"expired", "dead", "orphan"} == {name for name, one in found.items() if one.taken}
    assert before == {one.id for one in client.droplets()}


def test_older_than_narrows_and_never_widens(cloud: Any, client: Client) -> None:
    """What is expired but young stays; what is old but not expired stays too."""
    cloud.context.clock.advance(-11 * (NOW - OLD))
    _populate(client)  # the droplets are made long before NOW; the keys say when
    cloud.context.clock.advance(11 * (NOW - OLD))
    found = _reap(older_than=10 * (NOW - OLD))
    assert not found["orphan"].taken
    assert found["expired"].taken
    assert not found["alive"].taken


def test_tags_of_times_that_have_passed_go_when_nothing_carries_them(client: Client) -> None:
    """Those that are carried, that lie ahead, or that are none of ours stay; a dry run takes none."""
    number = _launch(client, "foreign", "f" * 10, "you", NOW - 60, None)
    kept = {tags.expires_tag(NOW + 60), "cloudship:expires:soon", "expires:5"}
    for tag in (*kept, tags.expires_tag(NOW - 7), tags.pending_tag(NOW - 8)):
        client.attach_tag(tag, number)
        client.detach_tag(tag, number)
    before = set(client.tags())
    _reap(dry_run=True)
    assert before == set(client.tags())
    _reap()
    assert before - {tags.expires_tag(NOW - 7), tags.pending_tag(NOW - 8)} == set(client.tags())


def test_tags_that_were_swept_are_told_of(client: Client, root: Path) -> None:
    """Like everything that goes, in lines and in the document; a dry run says which would."""
    number = _launch(client, "alive", "c" * 10, "me", NOW + 600, None)
    client.attach_tag(tags.expires_tag(1000), number)
    client.detach_tag(tags.expires_tag(1000), number)
    would = _reap(dry_run=True)[tags.expires_tag(1000)]
    assert (True, "", ()) == (would.taken, would.launch, would.destroyed)
    done = CliRunner().invoke(app, ["reap", "--json"], standalone_mode=False)
    told = json.loads(done.stdout)
    jsonschema.validate(told, json.loads((root / "docs/schemas/reap.json").read_text()))
    (swept,) = (one for one in told if not one["launch"])
    assert [{"kind": "tag", "id": tags.expires_tag(1000)}] == swept["destroyed"]
    assert "gone: cloudship:expires:1000 (a tag): its moment passed" in done.stderr


def test_a_droplet_whose_tags_cannot_be_read_is_listed_and_stays(client: Client, root: Path) -> None:
    """It may cost its owner money without an end: the reason is said, and the document is valid."""
    number = client.create_droplet(order("web", (tags.SHARED, tags.ship_tag("web"), tags.expires_tag(1000))))
    done = CliRunner().invoke(app, ["reap", "--json"], standalone_mode=False)
    (told,) = json.loads(done.stdout)
    jsonschema.validate([told], json.loads((root / "docs/schemas/reap.json").read_text()))
    assert ("web", "", False, f"droplet {number}") == tuple(told[key] for key in ("name", "launch", "taken", "objects"))
    assert "stays: web" in done.stderr
    assert "its tags are not what a launch of cloudship writes" in done.stderr
    client.delete_droplet(number)
    number = client.create_droplet(order(f"web-{'a' * 10}", (tags.SHARED,)))
    done = CliRunner().invoke(app, ["reap"], standalone_mode=False)
    assert "if it was launched here: cloudship down web" in done.stderr
    assert number == client.droplet(number).id


def test_an_owner_is_needed(client: Client) -> None:
    """An empty owner would be everybody, and an empty filter would list everything."""
    from cloudship.reaper import Rule, reap

    with pytest.raises(ConfigError, match="owner"):
        reap(client, Rule("", NOW), lambda *_: (), dry_run=False)
    with pytest.raises(ConfigError, match="empty filter"):
        client.droplets(tag="")


def test_a_ship_extended_after_the_inventory_stays(client: Client) -> None:
    """Every launch is looked at once more right before its end."""
    first = _launch(client, "first", "a" * 10, "me", NOW - 60, None)
    second = _launch(client, "second", "b" * 10, "me", NOW - 60, None)
    taken: list[str] = []

    def take_down(name: str, *_: object) -> tuple[()]:
        taken.append(name)
        extending.until(client, client.droplet(second), NOW + 600)
        return ()

    done = reaper.reap(client, reaper.Rule("me", NOW), take_down, dry_run=False)
    assert (["first"], [True, False]) == (taken, [one.taken for one in done])
    assert client.droplet(first).id == first


class _Changing(Client):
    """A client beside which somebody acts between a reaper's look at what is there and the end of it."""

    act: Callable[[], object] | None = None

    def tags(self) -> tuple[str, ...]:
        """List them; a teardown does, once it has looked at all droplets and before the first one goes."""
        act, self.act = self.act, None
        if act is not None:
            act()
        return super().tags()


def _reaped_while(client: Client, act: Callable[[], object]) -> Reaped:
    """Reap the one launch that is there, and let something happen after the last look before its teardown."""

    def take_down(name: str, launch: str, stays: teardown.Stays) -> tuple[Destroyed, ...]:
        client.act = act  # type: ignore[attr-defined]
        return teardown.take_down(client, name, launch=launch, stays=stays).destroyed

    client.__class__ = _Changing
    (done,) = reaper.reap(client, reaper.Rule("me", NOW), take_down, dry_run=False)
    return done


def test_a_ship_extended_while_its_teardown_looks_around_stays(client: Client) -> None:
    """It is asked about right before its end, and the output says why it stays; nothing of it is taken."""
    number = _launch(client, "web", "a" * 10, "me", NOW - 60, None)
    client.create_key(tags.key_name("web", "a" * 10, OLD), mint("x").public)
    done = _reaped_while(client, lambda: client.attach_tag(tags.expires_tag(NOW + 600), number))
    assert (False, (), ()) == (done.taken, done.destroyed, done.left)
    assert f"droplet {number} was to go and stays: it may live until" in done.reason
    assert (number, 1) == (client.droplet(number).id, len(client.ssh_keys()))
    assert tags.ship_tag("web") in client.tags()


def test_a_key_that_has_another_name_by_then_stays(client: Client, cloud: Any) -> None:
    """Its name was all that made it ours."""
    key = client.create_key(tags.key_name("web", "a" * 10, OLD), mint("x").public)
    done = _reaped_while(client, lambda: cloud("PUT", f"/v2/account/keys/{key.id}", {"name": "mine now"}))
    assert (False, "mine now") == (done.taken, client.ssh_key(key.id).name)
    assert "its name is no longer the one" in done.reason


def test_a_droplet_that_comes_to_an_old_key_at_the_last_moment_stays(client: Client) -> None:
    """Its launch is under way after all."""
    client.create_key(tags.key_name("web", "a" * 10, OLD), mint("x").public)

    def take_down(name: str, launch: str, stays: teardown.Stays) -> tuple[Destroyed, ...]:
        _launch(client, name, launch, "me", None, NOW + 600)
        return teardown.take_down(client, name, launch=launch, stays=stays).destroyed

    (done,) = reaper.reap(client, reaper.Rule("me", NOW), take_down, dry_run=False)
    assert (False, 1, 1) == (done.taken, len(client.droplets()), len(client.ssh_keys()))
    assert "its launch is under way until" in done.reason


def test_extending_adds_to_what_is_left(client: Client) -> None:
    """Broken off between its two steps the ship has two ends, of which the later counts."""
    number = _launch(client, "web", "a" * 10, "me", NOW + 100, None)
    assert NOW + 700 == _expires(client, fleet.extend("web", 600, clock=_Stopped(NOW)).droplet_id)  # type: ignore[arg-type]
    client.attach_tag(tags.expires_tag(NOW + 9000), number)
    assert NOW + 9000 == _expires(client, number)
    fleet.extend("web", 1000, clock=_Stopped(NOW))  # type: ignore[arg-type]
    assert [tags.expires_tag(NOW + 10000)] == [tag for tag in client.tags() if ":expires:" in tag]


def test_extending_a_ship_whose_time_is_over_counts_from_now(client: Client) -> None:
    """What has expired an hour ago and is given ten minutes has ten minutes."""
    number = _launch(client, "web", "a" * 10, "me", NOW - 3600, None)
    fleet.extend("web", 600, clock=_Stopped(NOW))  # type: ignore[arg-type]
    assert NOW + 600 == _expires(client, number)


def test_a_ship_that_is_taken_down_while_its_extension_waits_is_told_as_that(client: Client) -> None:
    """Whoever comes second hears who came first, not that some resource could not be found."""
    number = _launch(client, "web", "a" * 10, "me", NOW + 100, None)
    listed = client.droplet(number)
    client.delete_droplet(number)
    with pytest.raises(ShipBusy, match="was taken down from elsewhere while it got more time"):
        extending.extend(client, listed, 600, _Stopped(NOW))  # type: ignore[arg-type]
    assert tags.expires_tag(NOW + 700) not in client.tags()


def test_the_command_says_why_and_its_document_has_its_schema(client: Client, root: Path) -> None:
    """One line for each launch on stderr, one document on stdout."""
    _launch(client, "expired", "a" * 10, "me", 1000, None)
    _launch(client, "alive", "c" * 10, "me", NOW + 600, None)
    done = CliRunner().invoke(app, ["reap", "--json"], standalone_mode=False)
    told = json.loads(done.stdout)
    jsonschema.validate(told, json.loads((root / "docs/schemas/reap.json").read_text()))
    assert {"expired": True, "alive": False} == {one["name"]: one["taken"] for one in told}
    assert "gone: expired" in done.stderr
    assert "stays: alive" in done.stderr


@pytest.mark.parametrize("operation", ["droplets_destroy", "sshKeys_delete"])
def test_what_a_sweep_left_is_taken_away_by_what_it_says_and_nothing_else_is(
    cloud: Any, client: Client, operation: str
) -> None:
    """Neither what was to be spared, nor another launch of the name."""
    launch, young = "a" * 10, "b" * 10
    _launch(client, "web", launch, "me", NOW - 60, None)
    client.create_key(tags.key_name("web", launch, NOW - 60), mint("x").public)
    cloud.context.clock.advance(7200)
    spared = _launch(client, "web", young, "me", NOW - 60, None)
    LocalCloud(cloud.url, cloud.token).fault("status", operation=operation, status=403)
    done = CliRunner().invoke(app, ["reap", "--older-than", "1h"])
    (step,) = (line.removeprefix("next: cloudship ") for line in done.stderr.splitlines() if line.startswith("next: "))
    assert f"down web --launch {launch} --cloud local" == step
    assert 0 == CliRunner().invoke(app, step.split()).exit_code
    assert ([spared], ()) == ([one.id for one in client.droplets()], client.ssh_keys())


def test_what_a_sweep_left_is_named_and_nothing_that_has_gone(cloud: Any, client: Client) -> None:
    """A droplet that is away costs nothing any more."""
    number = _launch(client, "web", "a" * 10, "me", NOW - 60, None)
    LocalCloud(cloud.url, cloud.token).fault("status", operation="DELETE /v2/tags*", status=403, times=None)
    (line,) = (
        one for one in CliRunner().invoke(app, ["reap"]).stderr.splitlines() if one.startswith("LEFT BEHIND: web")
    )
    assert (True, False) == ("tag cloudship:launch:" in line, str(number) in line)


def _expires(client: Client, number: int) -> int | None:
    found = tags.read(client.droplet(number).tags)
    assert found is not None
    return found.expires
