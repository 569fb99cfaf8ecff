"""How a ship stands: under way, failed, ended, alive; and what each of these may have."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from orders import order

from cloudship import extending, fleet, launch, records, standing, tags
from cloudship.client import Client
from cloudship.errors import ConfigError, ShipBusy
from cloudship.models import Droplet, Kind, Timeouts
from cloudship.ship import Ship
from cloudship.tags import ShipTags

LAUNCH = "0123456789"
FAST = Timeouts(request=30, visible=1, listed=1, active=3, destroy=1)


def _ship(client: Client, *, expires: float | None = None, pending: float | None = None) -> Droplet:
    """Make a ship whose end and deadline are so many seconds from now."""
    now = int(time.time())
    ends, deadline = (None if seconds is None else now + int(seconds) for seconds in (expires, pending))
    carried = tags.launch_tags("web", LAUNCH, "me", ends, deadline)
    return client.droplet(client.create_droplet(order(tags.droplet_name("web", LAUNCH), carried)))


def _tags(droplet: Droplet) -> ShipTags:
    found = tags.of(droplet)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("expires", "pending", "word"),
    [(None, None, "active"), (60, None, "active"), (-60, None, "ended"), (None, 600, "launching"), (60, -60, "failed")],
)
def test_a_word_says_how_a_ship_stands(client: Client, expires: int | None, pending: int | None, word: str) -> None:
    """Whoever reads `active` may think that it answers."""
    assert word == Ship(client, _ship(client, expires=expires, pending=pending)).state


def test_a_ship_that_has_ended_takes_no_release(client: Client) -> None:
    """It says so before anything is sent, and what gives it more time; one under way says whose it is."""
    over, under_way = _ship(client, expires=-60), _ship(client, pending=600)
    with pytest.raises(ConfigError, match="web has ended: its time was over at ") as caught:
        standing.check_takes_releases(client, _tags(over), over)
    assert "cloudship extend web 1h" in str(caught.value.next_step)
    with pytest.raises(ShipBusy, match="is being launched by me"):
        standing.check_takes_releases(client, _tags(under_way), under_way)
    kept = _ship(client, pending=-60)
    standing.check_takes_releases(client, _tags(kept), kept)
    extending.extend(client, client.droplet(over.id), 600)
    standing.check_takes_releases(client, _tags(over), over)  # whoever holds it does not know yet


def test_a_launch_over_a_ship_that_has_ended_says_that_it_has(
    cloud: Any, client: Client, flask_app: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not answer, so that `deploy` would be the wrong advice."""
    monkeypatch.setenv("DIGITALOCEAN_END_POINT", f"{cloud.url}/v2/")
    monkeypatch.setenv("DIGITALOCEAN_TOKEN", cloud.token)
    number = _ship(client, expires=-60).id
    with pytest.raises(ConfigError, match="web has ended") as caught:
        launch.up(flask_app, name="web", timeouts=FAST)
    assert "cloudship down web" in caught.value.advice
    assert [number] == [one.id for one in client.droplets()]


def test_more_time_does_not_keep_a_launch_that_died(client: Client) -> None:
    """A reap takes it in any case, and whoever gives it more time is told so."""
    droplet = _ship(client, pending=-60)
    with pytest.raises(ConfigError, match=r"The launch of web died at .*: more time keeps no reap from it"):
        extending.extend(client, droplet, 600)
    assert droplet.tags == client.droplet(droplet.id).tags


@pytest.mark.parametrize("deadlines", [(-60,), (-60, 600)])
def test_a_kept_launch_that_answers_after_all_is_a_ship_like_any_other(
    client: Client, deadlines: tuple[int, ...]
) -> None:
    """No reap takes it, no `up` replaces it, and it can be given more time."""
    droplet = _ship(client, pending=deadlines[0])
    for more in deadlines[1:]:
        client.attach_tag(tags.pending_tag(int(time.time()) + more), droplet.id)
    records.journal().intend(LAUNCH, client.mark, Kind.DROPLET, tags.droplet_name("web", LAUNCH))
    ship = Ship(client, client.droplet(droplet.id))
    ship._answers_with(2)
    assert ("active", 2, None) == (ship.state, ship.release, ship.pending)
    assert not [tag for tag in client.tags() if tag.startswith(tags.PENDING)]
    assert () == records.journal().asked(client.mark)
    extending.extend(client, ship.droplet, 600)


def test_a_stopped_local_cloud_may_hold_what_is_looked_for(
    cloud: Any, tmp_path: Path, typed: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody else has the ship, that is the next thing to try."""
    assert cloud.url
    (tmp_path / "asleep").mkdir()
    (tmp_path / "asleep" / "account.sqlite").touch()
    monkeypatch.setenv("CLOUDSHIP_LOCAL_DIR", str(tmp_path / "asleep"))
    said = typed("show", "web")
    assert (1, True) == (said.status, "may hold it: cloudship local start" in said.err)
    assert fleet.ships() == ()
