"""Launches of others in the same account, and launches that leave something: who goes, who stays, what is said."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from orders import order

from cloudship import fleet, launch, tags, teardown
from cloudship.client import Client
from cloudship.errors import CloudshipError, CredentialsError, LeftBehind, ShipBusy, Unprocessable
from cloudship.events import Event, Gone, PhaseEnded
from cloudship.journal import Journal
from cloudship.keys import mint
from cloudship.local.handle import LocalCloud
from cloudship.models import Receipt, Timeouts
from cloudship.ship import Ship

pytestmark = pytest.mark.slow

FIRST, SECOND = "0123456789", "1123456789"
FAST = Timeouts(request=30, visible=1, listed=4, active=3, destroy=1)


@pytest.fixture
def knobs(cloud: Any, monkeypatch: pytest.MonkeyPatch) -> LocalCloud:
    """The local cloud's knobs; it is the one within reach."""
    monkeypatch.setenv("DIGITALOCEAN_END_POINT", f"{cloud.url}/v2/")
    monkeypatch.setenv("DIGITALOCEAN_TOKEN", cloud.token)
    return LocalCloud(cloud.url, cloud.token)


def _key(client: Client, made: str) -> None:
    client.create_key(tags.key_name("web", made, int(time.time())), mint("x").public)


def _droplet(client: Client, made: str, pending: int | None = None) -> int:
    return client.create_droplet(
        order(tags.droplet_name("web", made), tags.launch_tags("web", made, "me", None, pending))
    )


def _down(client: Client, tmp_path: Path, **more: Any) -> Receipt:
    place = {"journal": Journal(tmp_path / "j"), "files_root": tmp_path / "f"}
    return teardown.down(client, "web", timeouts=FAST, **place, **more)


@pytest.mark.parametrize("launch", [None, FIRST], ids=["the ship", "one launch"])
def test_a_young_key_is_waited_for_until_its_droplet_is_listed(
    knobs: LocalCloud, client: Client, tmp_path: Path, launch: str | None
) -> None:
    """Whoever took the tags of that launch away at once would leave a droplet that nobody's verbs find."""
    knobs.fault("listing_lag", seconds=1.5)
    _key(client, FIRST)
    number = _droplet(client, FIRST, int(time.time()) + 600)
    assert () == client.droplets()
    gone = _down(client, tmp_path, launch=launch).destroyed
    assert str(number) in {one.id for one in gone}
    knobs.advance(2)
    assert () == client.droplets()


def test_an_old_key_is_not_waited_for(client: Client, tmp_path: Path) -> None:
    """No listing lags for so long: its droplet never came to be, or went."""
    client.create_key(tags.key_name("web", FIRST, int(time.time()) - 60), mint("x").public)
    began = time.monotonic()
    _down(client, tmp_path)
    assert (True, ()) == (time.monotonic() - began < FAST.listed / 2, client.ssh_keys())


def test_the_one_that_answers_is_meant_beside_one_that_was_kept_for_a_look(knobs: LocalCloud, client: Client) -> None:
    """The later droplet of the two is a launch that died."""
    assert knobs.url
    number = _droplet(client, FIRST)
    _droplet(client, SECOND, int(time.time()) - 60)
    assert number == fleet.get("web").droplet_id


def _refused(app: Path, notify: Callable[[Event], None] = lambda _event: None, **more: Any) -> CloudshipError:
    with pytest.raises(CloudshipError) as caught:
        launch.up(app, name="web", on_failure="keep", notify=notify, timeouts=FAST, **more)
    return caught.value


def test_who_comes_second_is_not_kept_for_a_look(knobs: LocalCloud, client: Client, flask_app: Path) -> None:
    """One ship or none, also with `--on-failure keep`: there is nothing to look at in a launch that gave way."""
    knobs.fault("listing_lag", seconds=3600, times=1)
    first = _droplet(client, FIRST)

    def hear(event: Event) -> None:
        if isinstance(event, PhaseEnded) and event.phase == "create":
            knobs.advance(3600)

    error = _refused(flask_app, hear)
    assert (ShipBusy, ()) == (type(error), error.left)
    assert ([first], ()) == ([one.id for one in client.droplets()], client.ssh_keys())


def test_who_comes_second_is_not_told_to_take_the_first_down(
    knobs: LocalCloud, client: Client, flask_app: Path
) -> None:
    """Where the API does not say what is there, what to type names the launch and not the ship."""
    knobs.fault("listing_lag", seconds=3600, times=1)
    first = _droplet(client, FIRST)

    def hear(event: Event) -> None:
        if isinstance(event, PhaseEnded) and event.phase == "create":
            knobs.advance(3600)
            knobs.fault("status", operation="tags_list", status=401, times=None)

    error = _refused(flask_app, hear)
    knobs.clear_faults()
    (mine,) = (found.launch for one in client.droplets() if one.id != first and (found := tags.of(one)) is not None)
    assert f"cloudship down web --launch {mine} --cloud local" == error.advice


def test_without_a_droplet_nothing_is_kept(knobs: LocalCloud, client: Client, flask_app: Path) -> None:
    """A create that was refused leaves a key alone, which is nothing to look at."""
    message = "Size is not available in this region."
    knobs.fault("status", operation="droplets_create", status=422, message=message)
    error = _refused(flask_app)
    assert (Unprocessable, ()) == (type(error), error.left)
    assert ((), ()) == (client.droplets(), client.ssh_keys())


def test_a_launch_is_taken_for_dead_when_all_its_waits_could_be_over(knobs: LocalCloud, flask_app: Path) -> None:
    """Whoever gives a launch more time must not have it taken down from elsewhere meanwhile."""
    knobs.fault("status", operation="droplets_create", status=422)
    began = knobs.time()
    _refused(flask_app)
    (asked,) = [one for one in knobs.requests() if one["operation"] == "droplets_create"]
    (moment,) = [
        at for tag in asked["body"]["tags"] if tag.startswith("cloudship:pending:") and (at := tags.moment_of(tag))
    ]
    assert began + FAST.launch - 2 <= moment <= began + FAST.launch + 30
    assert FAST.launch > FAST.active + FAST.ssh + 3 * FAST.boot + FAST.push + FAST.release + FAST.answer


def test_a_launch_counts_from_when_there_is_room_for_it(knobs: LocalCloud, client: Client, flask_app: Path) -> None:
    """Others judge by its key's age if its droplet may be unlisted yet, and by its deadline and its end if it goes."""
    _droplet(client, FIRST, int(time.time()) - 60)

    def hear(event: Event) -> None:
        if isinstance(event, Gone) and event.kind == "droplet":
            knobs.advance(5000)

    knobs.fault("status", operation="droplets_create", status=422)
    _refused(flask_app, hear, ttl="10m")
    asked = {one["operation"]: one["body"] for one in knobs.requests() if one["method"] == "POST"}
    named = tags.read_key_name(asked["sshKeys_create"]["name"])
    ends, deadline = sorted(at for tag in asked["droplets_create"]["tags"] if (at := tags.moment_of(tag)) is not None)
    assert named is not None
    assert knobs.time() - named.created < 60
    assert (600, int(FAST.launch)) == (ends - named.created, deadline - named.created)


def test_no_limit_makes_a_deadline_that_nobody_can_read(knobs: LocalCloud, client: Client, flask_app: Path) -> None:
    """One without an end is the last moment that a tag can name."""
    knobs.fault("status", operation="droplets_create", status=422)
    with pytest.raises(Unprocessable):
        launch.up(flask_app, name="web", timeouts=FAST.model_copy(update={"answer": float("inf")}))
    (asked,) = [one for one in knobs.requests() if one["operation"] == "droplets_create"]
    assert f"cloudship:pending:{tags.LAST}" in asked["body"]["tags"]
    assert () == client.ssh_keys()


def test_what_stays_of_one_launch_is_not_taken_away_with_another(
    knobs: LocalCloud, client: Client, typed: Callable[..., Any], tmp_path: Path
) -> None:
    """`down` would take all of the name: what is to be typed names the launch, and leaves the others alone."""
    droplets = []
    for one in (FIRST, SECOND):
        _key(client, one)
        droplets.append(_droplet(client, one))
    knobs.fault("status", operation="droplets_destroy", status=500, times=None)
    with pytest.raises(LeftBehind) as caught:
        _down(client, tmp_path, launch=FIRST)
    assert (f"cloudship down web --launch {FIRST} --cloud local", True) == (
        caught.value.next_step,
        caught.value.retryable,
    )
    knobs.clear_faults()
    said = typed("down", "web", "--launch", FIRST, "--cloud", "local")
    assert (0, droplets[1:]) == (said.status, [one.id for one in client.droplets()])
    assert [SECOND] == [found.launch for key in client.ssh_keys() if (found := tags.read_key_name(key.name))]
    assert 2 == typed("down", "web", "--launch", "latest").status


def test_what_a_reap_leaves_is_taken_down_as_that_launch_alone(
    knobs: LocalCloud, client: Client, typed: Callable[..., Any]
) -> None:
    """Not as the ship: one of that name may live, and be somebody else's."""
    client.create_key(tags.key_name("web", FIRST, int(time.time()) - 9000), mint("x").public)
    _key(client, SECOND)
    number = client.create_droplet(
        order(tags.droplet_name("web", SECOND), tags.launch_tags("web", SECOND, "you", None, None))
    )
    knobs.fault("status", operation="sshKeys_delete", status=403, times=None)
    said = typed("reap", "--cloud", "local")
    assert (1, f"next: cloudship down web --launch {FIRST} --cloud local") == (said.status, said.err.splitlines()[-1])
    assert [number] == [one.id for one in client.droplets()]


@pytest.mark.parametrize("verb", [fleet.reap, lambda: fleet.down("web")])
def test_where_no_cloud_is_within_reach_nothing_is_said_to_be_gone(verb: Callable[[], object]) -> None:
    """As where the secret that holds the token is empty: nobody has looked."""
    with pytest.raises(CredentialsError, match=r"No cloud is within reach: no token .* never started"):
        verb()


def test_no_ship_of_mine_is_said_by_a_cloud_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """`down --all` asks nobody either, and says so with the exit status of what was not begun."""
    from cloudship.cli import failure
    from cloudship.cli.app import app
    from cloudship.cli.interrupts import Interrupts

    words = ["down", "--all", "--yes"]
    command = lambda: app(args=words, prog_name="cloudship", standalone_mode=False)  # noqa: E731
    assert 2 == failure.guarded(command, words, Interrupts(lambda: None, tidies=False))
    assert "No cloud is within reach" in capsys.readouterr().err


def test_the_owner_in_the_folders_configuration_counts(
    knobs: LocalCloud,
    client: Client,
    typed: Callable[..., Any],
    flask_app: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """For `reap` and `down --all` as for `up`; in whatever case: to DigitalOcean it is one tag."""
    assert knobs.url
    monkeypatch.delenv("CLOUDSHIP_OWNER")
    (flask_app / "cloudship.toml").write_text('owner = "Team"\n')
    monkeypatch.chdir(flask_app)
    client.create_droplet(
        order(tags.droplet_name("web", FIRST), tags.launch_tags("web", FIRST, "TEAM", 1_600_000_000, None))
    )
    assert "gone: web" in typed("reap").err
    number = client.create_droplet(
        order(tags.droplet_name("db", SECOND), tags.launch_tags("db", SECOND, "team", None, None))
    )
    assert number
    assert "db: gone" in typed("down", "--all", "--yes").err
    assert () == client.droplets()


def test_what_the_environment_says_of_the_owner_does_not_need_the_folder(
    knobs: LocalCloud, typed: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does anything that is wrong in it count then, nor that it is gone."""
    assert knobs.url
    (tmp_path / "cloudship.toml").write_text("ownr = 1\n")
    monkeypatch.chdir(tmp_path)
    assert 0 == typed("reap").status
    monkeypatch.delenv("CLOUDSHIP_OWNER")
    assert 2 == typed("reap").status
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert (0, 0) == (typed("reap").status, typed("down", "--all", "--yes").status)


class _Interrupted:
    """What takes a ship down, and is interrupted at its first tries."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
        self._real, self._left = teardown.take_down, times
        monkeypatch.setattr(teardown, "take_down", self)

    def __call__(self, *given: Any, **more: Any) -> Receipt:
        """Take it down."""
        self._left -= 1
        if self._left >= 0:
            raise KeyboardInterrupt
        return self._real(*given, **more)


def test_the_first_ctrl_c_finishes_a_ships_own_way_down(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """From Python as on the command line."""
    ship = Ship(client, client.droplet(_droplet(client, FIRST)), timeouts=FAST)
    _Interrupted(monkeypatch, 1)
    with pytest.raises(KeyboardInterrupt):
        ship.down()
    assert () == client.droplets()


def test_a_ctrl_c_in_the_block_and_one_after_it_stop_the_wait(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first was what ended the block."""
    ship = Ship(client, client.droplet(_droplet(client, FIRST)), timeouts=FAST)
    _Interrupted(monkeypatch, 1)
    with pytest.raises(KeyboardInterrupt), ship:
        raise KeyboardInterrupt
    assert 1 == len(client.droplets())


def test_what_a_teardown_left_is_taken_away_with_its_owners_tag(
    knobs: LocalCloud, client: Client, typed: Callable[..., Any]
) -> None:
    """Where nobody here knows the launch, and its droplet has gone first: only cloudship's own tag is left."""
    _droplet(client, FIRST)
    client.create_key(tags.key_name("web", FIRST, int(time.time()) - 1000), mint("x").public)
    knobs.fault("status", operation="DELETE /v2/tags*", status=403, times=None)
    assert 1 == typed("down", "web").status
    knobs.clear_faults()
    assert "cloudship:by:me" in client.tags()
    other = client.create_droplet(order("web2", (tags.SHARED, "cloudship:by:you")))
    assert 0 == typed("down", "web").status
    assert {tags.SHARED, "cloudship:by:you"} == set(client.tags())
    assert [other] == [one.id for one in client.droplets()]
