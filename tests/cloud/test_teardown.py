"""Creation that happens once, and teardown that destroys what is ours and nothing else."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from cloudship import creation, tags, teardown
from cloudship.client import Client
from cloudship.errors import Conflict, LeftBehind, ServerFault, TryAgain, Unprocessable, Unreachable
from cloudship.journal import DONE, ENDED, INTENT, Journal
from cloudship.keys import LaunchFiles, mint
from cloudship.models import Cloud, Droplet, DropletRequest, Kind, Timeouts
from cloudship.waiting import Clock

FAST = Timeouts(request=30, visible=1, listed=1, active=5, destroy=1)


def _request(ship: str, launch: str, **more: Any) -> DropletRequest:
    asked = {
        "name": tags.droplet_name(ship, launch),
        "region": "nyc3",
        "size": "s-1vcpu-1gb",
        "image": "ubuntu-20-04-x64",
        "ssh_keys": (),
        "tags": tags.launch_tags(ship, launch, "me", None, 4102444800),
        "user_data": "#cloud-config\n",
        **more,
    }
    return DropletRequest(**asked)  # type: ignore[arg-type]


def _ship(client: Client, name: str, launch: str) -> int:
    client.create_key(tags.key_name(name, launch, int(time.time())), mint("x").public)
    return client.create_droplet(_request(name, launch))


def _account(client: Client) -> tuple[set[str], set[str], set[str]]:
    return (
        {one.name for one in client.droplets()},
        {one.name for one in client.ssh_keys()},
        set(client.tags()) - {tags.SHARED},
    )


def _down(client: Client, tmp_path: Path, name: str, **more: Any) -> Any:
    return teardown.down(
        client, name, journal=Journal(tmp_path / "j"), files_root=tmp_path / "f", timeouts=FAST, **more
    )


def _look_alikes(client: Client) -> None:
    """Seven objects that look like ours and are not."""
    first = "aaaaaaaaaa"
    ours = tags.launch_tags("web", first, "me", None, None)
    for name, carried in (
        ("web-without-tags", ()),
        ("web-half-tagged", ("cloudship:ship:web",)),
        ("web-two-ships", (*ours, "cloudship:ship:db")),
        ("webby", tags.launch_tags("webby", "bbbbbbbbbb", "me", None, None)),
    ):
        client.create_droplet(_request("web", first, name=name, tags=carried))
    for name in ("cloudship", "cloudship:web:x", "cloudship:webby:bbbbbbbbbb:1"):
        client.create_key(name, mint(name).public)


def test_a_ship_is_found_by_tags_alone_and_leaves_nothing(client: Client, tmp_path: Path) -> None:
    """Droplet, key and tags go; the shared tag stays."""
    _ship(client, "web", "0123456789")
    receipt = _down(client, tmp_path, "web")
    assert (set(), set(), set()) == _account(client)
    assert tags.SHARED in client.tags()
    assert {Kind.DROPLET, Kind.KEY, Kind.TAG} == {one.kind for one in receipt.destroyed}
    assert (0.0, True) == (receipt.cost, receipt.seconds_lived is not None)


def test_look_alikes_survive(client: Client, tmp_path: Path) -> None:
    """Seven foreign objects are there before and after, untouched."""
    _look_alikes(client)
    before = _account(client)
    _ship(client, "web", "0123456789")
    _down(client, tmp_path, "web")
    assert before == _account(client)


def test_only_the_launch_that_is_named_goes(client: Client, tmp_path: Path) -> None:
    """A rollback never touches another launch of the same ship."""
    _ship(client, "web", "0123456789")
    before = _account(client)
    _ship(client, "web", "1123456789")
    _down(client, tmp_path, "web", launch="1123456789")
    assert before == _account(client)


def test_taking_down_what_is_not_there_is_success(client: Client, tmp_path: Path) -> None:
    """Also twice."""
    assert () == _down(client, tmp_path, "web").destroyed
    _ship(client, "web", "0123456789")
    _down(client, tmp_path, "web")
    assert () == _down(client, tmp_path, "web").destroyed


def test_a_key_without_its_droplet_goes_too(client: Client, tmp_path: Path) -> None:
    """A launch that died between key and droplet leaves a key, which is found by its name."""
    client.create_key(tags.key_name("web", "0123456789", 1), mint("x").public)
    _down(client, tmp_path, "web")
    assert (set(), set(), set()) == _account(client)


def test_the_means_to_log_in_go_after_the_proof(client: Client, tmp_path: Path) -> None:
    """Keys and known hosts of the launch are removed, and the journal says that it ended."""
    files = LaunchFiles(tmp_path / "f" / "web" / "0123456789", "0123456789")
    files.save_identity(mint("x"))
    _ship(client, "web", "0123456789")
    _down(client, tmp_path, "web")
    assert not files.folder.exists()
    assert [ENDED] == [entry.what for entry in Journal(tmp_path / "j").entries()]


class Stubborn(Client):
    """A client whose droplets do not go away."""

    def delete_droplet(self, droplet_id: int) -> None:
        """Pretend."""


class Busy(Client):
    """A client whose first deletes meet a pending event."""

    refusals = 2

    def delete_droplet(self, droplet_id: int) -> None:
        """Refuse twice."""
        if Busy.refusals:
            Busy.refusals -= 1
            raise Conflict("Droplet already has a pending event.", status=422)
        super().delete_droplet(droplet_id)


def test_what_cannot_be_proved_gone_is_named_with_its_price(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit status 1, the id, and the command to run; what leads there stays, and nothing of the ship is forgotten."""
    number = _ship(client, "web", "0123456789")
    client.__class__ = Stubborn
    monkeypatch.setattr(client, "_endpoint", client._endpoint.model_copy(update={"cloud": Cloud.DIGITALOCEAN}))
    with pytest.raises(LeftBehind) as caught:
        _down(client, tmp_path, "web")
    (key,) = (one.id for one in client.ssh_keys())
    assert [f"droplet {number}, $0.00893 an hour", f"key {key}"] == [str(one) for one in caught.value.left]
    assert ("destroy", True) == (caught.value.phase, "cloudship down web" in (caught.value.next_step or ""))
    assert "cloudship:ship:web" in client.tags()


def test_a_tag_of_the_users_own_stays(client: Client, tmp_path: Path) -> None:
    """Whatever it begins with: it may be on what is no droplet, and of that nobody asks."""
    number = _ship(client, "web", "0123456789")
    for tag in ("cloudship:team", "cloudship:owner:us"):
        client.attach_tag(tag, number)
    _down(client, tmp_path, "web")
    assert {tags.SHARED, "cloudship:team", "cloudship:owner:us"} == set(client.tags())


def test_a_pending_event_is_waited_out(client: Client, tmp_path: Path) -> None:
    """DigitalOcean refuses to destroy what is still being made."""
    _ship(client, "web", "0123456789")
    client.__class__ = Busy
    teardown.down(client, "web", journal=Journal(tmp_path / "j"), files_root=tmp_path, timeouts=Timeouts(destroy=20))
    assert (set(), set(), set()) == _account(client)


class Unclear(Client):
    """A client whose creates take effect, and whose answers are lost."""

    failure: Exception = Unreachable("lost")
    twice = False

    def create_droplet(self, request: DropletRequest) -> int:
        """Make it, and say that nobody knows."""
        super().create_droplet(request)
        if self.twice:
            super().create_droplet(request)
        raise self.failure

    def create_key(self, name: str, public_key: str) -> Any:
        """Make it, and say that nobody knows."""
        super().create_key(name, public_key)
        raise self.failure


@pytest.mark.parametrize("failure", [Unreachable("lost"), ServerFault("503", status=503)])
def test_a_create_whose_answer_is_lost_is_adopted(client: Client, tmp_path: Path, failure: Exception) -> None:
    """One droplet, found by name and tag; the journal knew before the call."""
    client.__class__ = Unclear
    client.failure = failure  # type: ignore[attr-defined]
    book = Journal(tmp_path / "j")
    number = creation.create_droplet(client, book, _request("web", "0123456789"), launch="0123456789", timeouts=FAST)
    key = creation.create_key(
        client,
        book,
        name=tags.key_name("web", "0123456789", 1),
        launch="0123456789",
        public_key=mint("x").public,
        timeouts=FAST,
    )
    assert [number] == [one.id for one in client.droplets()]
    assert [key.id] == [one.id for one in client.ssh_keys()]
    assert [INTENT, DONE, INTENT, DONE] == [entry.what for entry in book.entries()]


def test_of_two_that_came_of_one_create_the_first_is_kept(client: Client, tmp_path: Path) -> None:
    """The extra is destroyed at once."""
    client.__class__ = Unclear
    client.twice = True  # type: ignore[attr-defined]
    number = creation.create_droplet(
        client, Journal(tmp_path / "j"), _request("web", "0123456789"), launch="0123456789", timeouts=FAST
    )
    assert [number] == [one.id for one in client.droplets()]


class Vain(Client):
    """A client whose creates fail without effect."""

    posts = 0

    def create_droplet(self, request: DropletRequest) -> int:
        """Fail."""
        Vain.posts += 1
        raise ServerFault("503", status=503)


def test_a_create_that_never_took_effect_fails_with_its_own_error_after_one_post(
    client: Client, tmp_path: Path
) -> None:
    """It is looked for as long as a listing may lag, and never asked for again."""
    client.__class__ = Vain
    with pytest.raises(ServerFault):
        creation.create_droplet(
            client, Journal(tmp_path / "j"), _request("web", "0123456789"), launch="0123456789", timeouts=FAST
        )
    assert 1 == Vain.posts


def test_a_refused_create_is_not_looked_for(client: Client, tmp_path: Path) -> None:
    """422 is an answer."""
    with pytest.raises(Unprocessable, match="invalid size"):
        creation.create_droplet(
            client,
            Journal(tmp_path / "j"),
            _request("web", "0123456789", size="nope"),
            launch="0123456789",
            timeouts=FAST,
        )


class Again(Client):
    """A client whose first create is refused for now."""

    refusals = 1

    def create_droplet(self, request: DropletRequest) -> int:
        """Refuse once."""
        if self.refusals:
            self.refusals -= 1
            raise TryAgain("Something went wrong, please try again", status=422)
        return super().create_droplet(request)


def test_a_create_that_was_refused_for_now_is_asked_for_again(client: Client, tmp_path: Path) -> None:
    """A 422 that says so had no effect: the one case besides 429."""
    client.__class__ = Again
    number = _created(client, tmp_path)
    assert [number] == [one.id for one in client.droplets()]


class Lagging(Client):
    """A client whose listings do not know yet what was just made."""

    lag = 4

    def droplets(self, *, tag: str | None = None, name: str | None = None) -> tuple[Droplet, ...]:
        """List nothing for a while."""
        if self.lag:
            self.lag -= 1
            return ()
        return super().droplets(tag=tag, name=name)


class Interrupted(Lagging):
    """The same, with Ctrl-C while the answer to the create is awaited."""

    def create_droplet(self, request: DropletRequest) -> int:
        """Make it, and be interrupted."""
        super().create_droplet(request)
        raise KeyboardInterrupt


def _created(client: Client, tmp_path: Path) -> int:
    return creation.create_droplet(
        client,
        Journal(tmp_path / "j"),
        _request("web", "0123456789"),
        launch="0123456789",
        timeouts=FAST,
        price=0.00893,
    )


def test_rollback_finds_what_no_listing_shows_yet(client: Client, tmp_path: Path) -> None:
    """The journal knows the id."""
    client.__class__ = Lagging
    _created(client, tmp_path)
    _down(client, tmp_path, "web", launch="0123456789")
    assert (set(), set(), set()) == _account(client)


@pytest.mark.parametrize("launch", ["0123456789", None])
def test_a_create_that_was_interrupted_is_waited_for_and_destroyed(
    client: Client, tmp_path: Path, launch: str | None
) -> None:
    """The journal knows that it was asked for; rollback and a later `down` by name both look long enough."""
    client.__class__ = Interrupted
    with pytest.raises(KeyboardInterrupt):
        _created(client, tmp_path)
    _down(client, tmp_path, "web", launch=launch)
    assert (set(), set(), set()) == _account(client)


def test_a_refused_create_is_not_waited_for_by_its_rollback(client: Client, tmp_path: Path) -> None:
    """There is nothing to look for; an hour of patience is not used."""
    with pytest.raises(Unprocessable):
        creation.create_droplet(
            client,
            Journal(tmp_path / "j"),
            _request("web", "0123456789", size="no"),
            launch="0123456789",
            timeouts=FAST,
        )
    book, begun = Journal(tmp_path / "j"), time.monotonic()
    teardown.down(client, "web", journal=book, files_root=tmp_path, timeouts=Timeouts(listed=3600), launch="0123456789")
    assert time.monotonic() - begun < 60


def test_an_interrupted_create_of_long_ago_is_looked_for_once(client: Client, tmp_path: Path) -> None:
    """No listing lags for an hour."""
    Journal(tmp_path / "j").intend("0123456789", "local", Kind.DROPLET, "web-0123456789")
    late = Clock(wall=lambda: time.time() + 3600, sleep=lambda _seconds: pytest.fail("it waited"))
    assert () == _down(client, tmp_path, "web", clock=late).destroyed


class Clinging(Client):
    """A client that may not take tags away."""

    def delete_tag(self, tag: str) -> None:
        """Be refused."""
        raise Unprocessable(f"{tag} stays", status=422)


def test_a_key_stays_as_long_as_the_tags_that_it_leads_to(client: Client, tmp_path: Path) -> None:
    """With the droplet gone nothing else names the launch to another machine, which then ends what was begun."""
    _ship(client, "web", "0123456789")
    client.__class__ = Clinging
    with pytest.raises(LeftBehind) as caught:
        _down(client, tmp_path / "here", "web")
    assert {Kind.TAG, Kind.KEY} == {one.kind for one in caught.value.left}
    assert any("it leads to what stays" in line for line in caught.value.evidence)
    client.__class__ = Client
    _down(client, tmp_path / "elsewhere", "web")
    droplets, keys, left = _account(client)
    assert (set(), set()) == (droplets, keys)
    assert left <= {"cloudship:by:me", "cloudship:pending:4102444800"}, (
        "an owner's, and one that reap takes in its time"
    )


class Dead(Client):
    """A client of an API that went away."""

    def droplets(self, *, tag: str | None = None, name: str | None = None) -> tuple[Droplet, ...]:
        """Say so."""
        raise Unreachable("No answer")


def test_what_may_be_left_is_named_even_where_the_api_is_silent(client: Client, tmp_path: Path) -> None:
    """From the journal, with its price; and the command that finishes it."""
    number = _created(client, tmp_path)
    client.__class__ = Dead
    with pytest.raises(LeftBehind, match="may still be there") as caught:
        _down(client, tmp_path, "web", launch="0123456789")
    assert [f"droplet {number}, $0.00893 an hour"] == [str(one) for one in caught.value.left]
    assert ("inventory", True) == (caught.value.phase, "cloudship down web" in (caught.value.next_step or ""))


class Beside(Client):
    """A client beside which somebody launches another ship of the same owner while droplets are destroyed."""

    def delete_droplet(self, droplet_id: int) -> None:
        """Destroy it, and have the other ship come up."""
        super().delete_droplet(droplet_id)
        super().create_droplet(_request("db", "2123456789"))


def test_a_tag_that_another_ship_began_to_carry_stays(client: Client, tmp_path: Path) -> None:
    """Deleting the owner's tag then would make the other ship unreadable, and so immortal."""
    _ship(client, "web", "0123456789")
    client.__class__ = Beside
    _down(client, tmp_path, "web")
    client.__class__ = Client
    _down(client, tmp_path, "db")
    assert (set(), set(), set()) == _account(client)


class Blind(Client):
    """A client whose listings do not show the newest launch yet."""

    hidden = 0

    def droplets(self, *, tag: str | None = None, name: str | None = None) -> tuple[Droplet, ...]:
        """List all but one."""
        return tuple(one for one in super().droplets(tag=tag, name=name) if one.id != self.hidden)


def test_a_rollback_beside_a_launch_that_is_not_listed_yet_leaves_it_findable(client: Client, tmp_path: Path) -> None:
    """The other's key is there first: while it is, the ship's tag stays."""
    _ship(client, "web", "0123456789")
    rival = _ship(client, "web", "1123456789")
    client.__class__ = Blind
    client.hidden = rival  # type: ignore[attr-defined]
    _down(client, tmp_path, "web", launch="0123456789")
    client.__class__ = Client
    assert [rival] == [one.id for one in client.droplets(tag=tags.ship_tag("web"))]


@pytest.mark.parametrize(
    ("hourly", "seconds", "usd"), [(0.0, 1e6, 0.0), (0.00893, 3600, 0.01), (0.00893, 36000, 0.0893), (0.14286, 1, 0.01)]
)
def test_cost_is_billed_by_the_second_with_a_minimum(hourly: float, seconds: float, usd: float) -> None:
    """At least a minute, at least a cent; nothing where nothing is charged."""
    assert usd == pytest.approx(teardown.cost(hourly, seconds))
