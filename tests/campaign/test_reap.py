"""T16: a reaper in an account that is not as it seems: what is not its own, or not over yet, is never touched."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from apiserver import Api, serving
from orders import order

from campaign.conftest import record
from campaign.relay import Exchange, Plan, Relay
from cloudship import clouds, fleet, tags
from cloudship.client import Client
from cloudship.errors import BadAnswer, ConfigError
from cloudship.keys import mint
from cloudship.local.handle import LocalCloud
from cloudship.models import Cloud, Endpoint, Secret, Timeouts
from cloudship.waiting import Clock

DAY = 86_400
FAST = Timeouts(request=30, visible=10, listed=10, destroy=60)  # the clock of waits is stepped


@dataclass
class Account:
    """An account with everything in it that a reaper could mistake, and what of it may go."""

    api: Api
    knobs: LocalCloud
    relay: Relay
    client: Client
    now: float
    ids: dict[str, int] = field(default_factory=dict)  # droplets and keys, by what they are
    skew: float = 0.0  # by which the reaper's machine is wrong

    def droplet(self, what: str, carried: tuple[str, ...], name: str | None = None) -> int:
        """Make a droplet."""
        asked = order(name or what, carried)
        self.ids[what] = self.client.create_droplet(asked)
        return self.ids[what]

    def launch(self, what: str, owner: str, expires: float | None, pending: float | None = None) -> int:
        """Make what a launch makes: a droplet and its key."""
        launch = f"{len(self.ids):010x}"
        ends = (int(one) if one is not None else None for one in (expires, pending))
        self.key(f"{what}'s key", tags.key_name(what, launch, int(self.now - 10 * DAY)))
        return self.droplet(what, tags.launch_tags(what, launch, owner, *ends), tags.droplet_name(what, launch))

    def key(self, what: str, name: str) -> None:
        """Make a key."""
        self.ids[what] = self.client.create_key(name, mint("x").public).id

    def left(self) -> set[str]:
        """Name what is still there, as the cloud itself knows it."""
        there = {one.id for one in self.client.droplets()} | {one.id for one in self.client.ssh_keys()}
        return {what for what, number in self.ids.items() if number in there}

    def reap(self, **more: Any) -> Any:
        """Reap, as a machine does whose clock may be wrong."""
        asked = {"owner": "me", "timeouts": FAST, **more}
        return fleet.reap(clock=self._clock(), **asked)

    def _clock(self) -> Clock:
        def sleep(seconds: float) -> None:
            self.knobs.advance(seconds)

        return Clock(monotonic=self.knobs.time, sleep=sleep, wall=lambda: self.knobs.time() + self.skew)


OVER = {"over", "over's key", "dead", "dead's key", "orphan"}  # what may go


def _populate(one: Account) -> None:
    now = one.now
    one.launch("over", "me", now - 60)
    one.launch("dead", "me", None, now - 60)
    one.launch("alive", "me", now + DAY)
    one.launch("for-ever", "me", None)
    one.launch("launching", "me", None, now + 600)
    one.launch("theirs-over", "you", now - 60)
    one.launch("theirs-dead", "you", None, now - 60)
    one.key("orphan", tags.key_name("orphan", "a" * 10, int(now - DAY)))
    one.key("coming", tags.key_name("coming", "b" * 10, int(now - 60)))
    one.key("almost", "cloudship:web:abc:1")
    one.key("plain", "me@laptop")
    one.droplet("bare", ("cloudship",))
    one.droplet("half", ("cloudship", "cloudship:ship:half", "cloudship:by:me", f"cloudship:expires:{int(now - 60)}"))


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    """Such an account, reached through a relay that may change what is asked and answered."""
    monkeypatch.setenv("CLOUDSHIP_STATE_DIR", str(tmp_path / "state"))
    with serving(tmp_path) as api:
        api.context.clock.advance(30 * DAY)
        relay = Relay(api.url, api.token, None)
        with relay.running():
            direct = Endpoint(cloud=Cloud.LOCAL, url=f"{api.url}/v2/", token=Secret(api.token))
            through = Endpoint(cloud=Cloud.LOCAL, url=f"http://127.0.0.1:{relay.port}/v2/", token=Secret(api.token))
            monkeypatch.setattr(clouds, "reachable", lambda _cloud=None, **_more: (through,))
            knobs = LocalCloud(api.url, api.token)
            found = Account(api, knobs, relay, Client(direct, timeouts=FAST), knobs.time())
            _populate(found)
            yield found


def _unfiltered(name: str) -> Callable[[str], str]:
    """Forget a filter on its way to the cloud."""

    def change(path: str) -> str:
        bare, _, query = path.partition("?")
        kept = [(key, value) for key, value in parse_qsl(query) if key != name]
        return f"{bare}?{urlencode(kept)}"

    return change


def _answering(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Plan:
    """Change each droplet that is told of."""

    def answer(exchange: Exchange) -> bytes:
        if exchange.method != "GET" or not exchange.path.startswith("/v2/droplets"):
            return exchange.written()
        told = json.loads(exchange.body)
        if "droplets" in told:
            told["droplets"] = [change(one) for one in told["droplets"]]
        if "droplet" in told:
            told["droplet"] = change(told["droplet"])
        return exchange.written(json.dumps(told).encode())

    return Plan(answer=answer)


def _is(what: str, account: Account) -> Callable[[dict[str, Any]], bool]:
    return lambda one: one["id"] == account.ids[what]


def _with_tags(account: Account, what: str, *carried: str) -> None:
    """Show a droplet with other tags than it has."""
    mine = _is(what, account)
    account.relay.begin(_answering(lambda one: {**one, "tags": list(carried)} if mine(one) else one))


def _when_first_destroyed(account: Account, act: Callable[[], None]) -> None:
    """Let something happen as soon as the first droplet is asked to go."""
    done: list[bool] = []

    def answer(exchange: Exchange) -> bytes:
        if exchange.method == "DELETE" and "/droplets/" in exchange.path and not done:
            done.append(True)
            act()
        return exchange.written()

    account.relay.begin(Plan(answer=answer))


Prepare = Callable[[Account], None]
_LONG_AGO = 1_500_000_000
_SPARED = {"over", "over's key"}


def _over(one: Account, *more: str, owner: str = "me", end: int | None = _LONG_AGO, shared: bool = True) -> None:
    """Show the ship that is over with tags of other words."""
    ours = tags.launch_tags("over", "0" * 10, owner, end, None)
    _with_tags(one, "over", *(ours if shared else ours[1:]), *more)


def _tagged_later(account: Account) -> None:
    """Give the other ship that is over to somebody else while the first goes."""
    ours = tags.read(account.client.droplet(account.ids["over"]).tags)
    assert ours is not None

    def act() -> None:
        account.client.attach_tag("cloudship:by:you", account.ids["over"])
        account.client.detach_tag("cloudship:by:me", account.ids["over"])

    _when_first_destroyed(account, act)


def _extended_later(account: Account) -> None:
    def act() -> None:
        account.client.attach_tag(tags.expires_tag(int(account.now + DAY)), account.ids["over"])

    _when_first_destroyed(account, act)


def _extended_at_last(account: Account) -> None:
    """Extend the ship that is over as soon as it was looked at by its id, which is when its turn has come."""
    done: list[bool] = []

    def answer(exchange: Exchange) -> bytes:
        if exchange.method == "GET" and exchange.path == f"/v2/droplets/{account.ids['over']}" and not done:
            done.append(True)
            account.client.attach_tag(tags.expires_tag(int(account.now + DAY)), account.ids["over"])
        return exchange.written()

    account.relay.begin(Plan(answer=answer))


def _crowded_later(account: Account) -> None:
    """Let other people's droplets come and go while ours are taken down."""

    def act() -> None:
        for number in range(5):
            account.droplet(f"new-{number}", (f"new-{number}",))
        account.launch("late", "you", account.now - 60)
        account.client.delete_droplet(account.ids.pop("bare"))

    _when_first_destroyed(account, act)


def _fault(kind: str, **more: Any) -> Prepare:
    def prepare(account: Account) -> None:
        asked = dict(more)
        for name, number in account.ids.items():
            asked["operation"] = str(asked.get("operation", "")).replace(f"<{name}>", str(number))
        account.knobs.fault(kind, **{key: value for key, value in asked.items() if value != ""})

    return prepare


def _status(status: int, operation: str, **more: Any) -> Prepare:
    return _fault("status", status=status, operation=operation, times=None, **more)


def _skewed(days: float, *more: Prepare) -> Prepare:
    def prepare(account: Account) -> None:
        account.skew = days * DAY
        for one in more:
            one(account)

    return prepare


def _rewritten(*names: str) -> Prepare:
    def prepare(account: Account) -> None:
        def change(path: str) -> str:
            for name in names:
                path = _unfiltered(name)(path) if "?" in path else path
            return path

        account.relay.rewrite = change

    return prepare


# Each: what is prepared, what more `reap` is told, and what stays of what could go.
CASES: dict[str, tuple[Prepare, dict[str, Any], set[str]]] = {
    "nothing is wrong": (lambda _: None, {}, set()),
    "a dry run": (lambda _: None, {"dry_run": True}, OVER),
    "the filter by tag is ignored": (_rewritten("tag_name"), {}, set()),
    "the filter by name is ignored": (_rewritten("name"), {}, set()),
    "all filters are ignored": (_rewritten("tag_name", "name"), {}, set()),
    "all filters are ignored, and the clock is ahead": (_skewed(2, _rewritten("tag_name", "name")), {}, set()),
    "the clock is two days ahead": (_skewed(2), {}, set()),
    "the clock is two days behind": (_skewed(-2), {}, set()),
    "the clock is ten years ahead": (_skewed(3650), {}, set()),
    "the clock stands at the beginning": (_skewed(-365 * 50), {}, set()),
    "another owner": (lambda _: None, {"owner": "nobody"}, OVER - {"orphan"}),
    "an owner that ours begins with": (lambda _: None, {"owner": "m"}, OVER - {"orphan"}),
    "an owner that begins with ours": (lambda _: None, {"owner": "me2"}, OVER - {"orphan"}),
    "the same owner in capital letters": (lambda _: None, {"owner": "ME"}, set()),  # one tag, to DigitalOcean
    "only what is older than a year": (lambda _: None, {"older_than": 365.0 * DAY}, OVER),
    "only what is older than an hour": (lambda _: None, {"older_than": 3600.0}, OVER - {"orphan"}),
    "given to somebody else meanwhile": (_tagged_later, {}, _SPARED),
    "extended meanwhile": (_extended_later, {}, {"over", "over's key"}),
    "extended once its turn has come": (_extended_at_last, {}, _SPARED),
    "others come and go meanwhile": (_crowded_later, {}, set()),
    "403 for the end of one": (_status(403, "DELETE /v2/droplets/<dead>"), {}, {"dead", "dead's key"}),
    "403 for a look at one": (_status(403, "GET /v2/droplets/<dead>"), {}, {"dead", "dead's key"}),
    "403 for a key": (_status(403, "DELETE /v2/account/keys/<dead's key>"), {}, {"dead's key"}),
    "403 for every tag": (_status(403, "DELETE /v2/tags/*"), {}, {"dead's key", "over's key"}),  # they lead there
    "500 for the end of one": (_status(500, "DELETE /v2/droplets/<dead>"), {}, {"dead", "dead's key"}),
    "an event that is pending for ever": (
        _status(422, "DELETE /v2/droplets/<dead>", message="Droplet already has a pending event."),
        {},
        {"dead", "dead's key"},
    ),
    "an end that does not stick": (_fault("delete_ignored", times=2), {}, set()),
    "a key that cannot be listed": (_fault("status", status=500, operation="sshKeys_list", times=2), {}, set()),
    "an end in twelve digits": (lambda one: _over(one, end=10**12), {}, _SPARED),
    "an end that is none": (lambda one: _over(one, "cloudship:expires:x", end=None), {}, _SPARED),
    "two ends, one to come": (lambda one: _over(one, tags.expires_tag(int(one.now + DAY))), {}, _SPARED),
    "two owners": (lambda one: _over(one, "cloudship:by:you"), {}, _SPARED),
    "two ships": (lambda one: _over(one, "cloudship:ship:x"), {}, _SPARED),
    "two launches": (lambda one: _over(one, "cloudship:launch:ffffffffff"), {}, _SPARED),
    "no tag that all ships share": (lambda one: _over(one, shared=False), {}, _SPARED),
    "no tags at all": (lambda one: _with_tags(one, "over"), {}, _SPARED),
    "an owner with a line end": (lambda one: _over(one, owner="me\n"), {}, _SPARED),
    "a droplet that is made tomorrow": (
        lambda one: one.relay.begin(_answering(lambda told: {**told, "created_at": "2099-01-01T00:00:00Z"})),
        {"older_than": 1.0},
        OVER - {"orphan"},
    ),
    "a key whose droplet has lost its tags": (
        lambda one: one.droplet("bare-orphan", (), tags.droplet_name("orphan", "a" * 10)) and None,
        {},
        {"orphan"},
    ),
    "a key that is made tomorrow": (
        lambda one: one.key("tomorrow", tags.key_name("tomorrow", "c" * 10, int(one.now + DAY))),
        {},
        set(),
    ),
    "listings that lag": (_fault("listing_lag", seconds=5, by="tag"), {}, set()),
    "a page at a time": (lambda _: None, {"per_page": 3}, set()),
}


def _doubled(exchange: Exchange) -> bytes:
    told = json.loads(exchange.body) if exchange.body else {}
    for key in ("droplets", "ssh_keys", "tags"):
        if isinstance(told.get(key), list):
            told[key] = [*told[key], *told[key]]
            told["meta"]["total"] *= 2
    return exchange.written(json.dumps(told).encode()) if exchange.body else exchange.written()


@pytest.mark.parametrize("name", CASES)
def test_nothing_goes_that_is_not_over(account: Account, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """What is of others, or lives, stays, whatever the account says; what is over goes, if nothing is in its way."""
    prepare, more, stays = CASES[name]
    asked = dict(more)
    if per_page := asked.pop("per_page", None):
        monkeypatch.setattr("cloudship.client.PER_PAGE", per_page)
    before, known = account.left(), set(account.ids)
    prepare(account)
    before |= set(account.ids) - known
    found = account.reap(**asked)
    account.knobs.clear_faults()
    account.relay.begin()
    now = account.left()
    assert set() == (before - now) & set(account.ids) - OVER
    assert stays == OVER & now
    assert all(one.reason for one in found)
    assert {"bare", "half"} & {one.name for one in found if one.taken} == set()
    record("T16 reaper", cases=1, points=1)


def test_a_listing_that_cannot_be_whole_is_none(account: Account) -> None:
    """Of twice as many objects as there are, half never come: nothing is decided on, nothing goes."""
    before = account.left()
    account.relay.begin(Plan(answer=_doubled))
    with pytest.raises(BadAnswer, match="and then no more"):
        account.reap()
    assert before == account.left()
    record("T16 reaper", cases=1, points=1)


@pytest.mark.parametrize("owner", ["", " ", "me\n", "me:you", "*", "x" * 61, "\u00fc"])
def test_an_owner_that_no_tag_can_name_is_refused(account: Account, owner: str) -> None:
    """An empty one would be everybody; nothing is asked for, nothing goes."""
    before = account.left()
    with pytest.raises(ConfigError, match="owner"):
        account.reap(owner=owner)
    assert (before, 0) == (account.left(), account.relay.requests)
    record("T16 reaper", cases=1, points=1)
