"""A droplet that is kept for a look when its launch fails: it is paid for, whatever the API says then."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from orders import order

from cloudship import fleet, launch, tags
from cloudship.client import Client
from cloudship.errors import CloudshipError, LeftBehind, Unauthorized, WaitTimeout
from cloudship.events import Attempted, Called, Destroying, Event, Noted, PhaseEnded
from cloudship.local.handle import LocalCloud
from cloudship.models import Droplet, Kind, Timeouts

pytestmark = pytest.mark.slow

LAUNCH = "0123456789"
FAST = Timeouts(request=30, visible=1, listed=1, active=3, destroy=1)
Failing = Callable[..., tuple[CloudshipError, list[str]]]


@pytest.fixture
def failing(cloud: Any, flask_app: Path, monkeypatch: pytest.MonkeyPatch) -> Failing:
    """Launch what never becomes active, some calls being refused meanwhile; gives the error and the warnings."""
    knobs, warnings = LocalCloud(cloud.url, cloud.token), []
    monkeypatch.setenv("DIGITALOCEAN_END_POINT", f"{cloud.url}/v2/")
    monkeypatch.setenv("DIGITALOCEAN_TOKEN", cloud.token)

    def launched(*operations: str) -> tuple[CloudshipError, list[str]]:
        refused = list(operations)

        def hear(event: Event) -> None:
            while refused and isinstance(event, Attempted) and "active" in event.waiting_for:
                knobs.fault("status", operation=refused.pop(), status=401, times=None)
            if isinstance(event, Noted) and event.warning:
                warnings.append(event.text)

        knobs.fault("never_active", times=None)
        with pytest.raises(CloudshipError) as caught:
            launch.up(flask_app, name="web", on_failure="keep", notify=hear, timeouts=FAST)
        knobs.clear_faults()
        return caught.value, warnings

    return launched


@pytest.mark.parametrize(
    ("refused", "kind", "marked"),
    [
        ((), WaitTimeout, True),
        (("POST /v2/tags*",), WaitTimeout, False),
        (("droplets_list",), WaitTimeout, False),
        (("GET /v2/droplets*",), Unauthorized, False),
    ],
)
def test_what_is_kept_is_named_beside_what_the_launch_failed_of(
    failing: Failing, client: Client, refused: tuple[str, ...], kind: type[CloudshipError], marked: bool
) -> None:
    """With the command that takes it down, also where the API refuses even to say what there is."""
    error, warnings = failing(*refused)
    (droplet,), (key,) = client.droplets(), client.ssh_keys()
    assert (kind, "active") == (type(error), error.phase)
    assert [(Kind.DROPLET, str(droplet.id)), (Kind.KEY, str(key.id))] == [(one.kind, one.id) for one in error.left]
    down = "cloudship down web --cloud local; a reap takes it too"
    assert f"{kind.usual_step}; when you have looked: {down}" == error.advice
    assert marked != any("could not be marked as a dead launch" in text for text in warnings)


@pytest.mark.parametrize("call", ["attach_tag", "delete_tag"])
def test_an_interrupt_while_a_launch_is_marked_as_dead_takes_it_down(
    failing: Failing, client: Client, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """There is no moment in which it could be taken for a ship that answers."""
    real, seen = getattr(Client, call), []

    def interrupted(self: Client, tag: str, *more: Any) -> None:
        real(self, tag, *more)
        if not seen:
            seen.extend(tags.of(one) for one in client.droplets())
            raise KeyboardInterrupt

    monkeypatch.setattr(Client, call, interrupted)
    with pytest.raises(KeyboardInterrupt):
        failing()
    assert [True] == [one is not None and one.pending is not None for one in seen]
    assert ((), ()) == (client.droplets(), client.ssh_keys())


@pytest.mark.parametrize("moment", [PhaseEnded, Destroying, Called])
def test_a_listener_that_fails_leaves_nothing_behind(
    cloud: Any, client: Client, flask_app: Path, monkeypatch: pytest.MonkeyPatch, moment: type
) -> None:
    """Its error is the launch's, or the teardown's, which speaks to it too."""
    monkeypatch.setenv("DIGITALOCEAN_END_POINT", f"{cloud.url}/v2/")
    monkeypatch.setenv("DIGITALOCEAN_TOKEN", cloud.token)
    LocalCloud(cloud.url, cloud.token).fault("never_active", times=None)
    made: list[bool] = []

    def hear(event: Event) -> None:
        made.extend([True] if isinstance(event, PhaseEnded) and event.phase == "create" else [])
        if made and isinstance(event, moment):
            raise ValueError("it fails")

    with pytest.raises((ValueError, WaitTimeout)):
        launch.up(flask_app, name="web", notify=hear, timeouts=FAST)
    assert ((), ()) == (client.droplets(), client.ssh_keys())
    client.create_droplet(order(tags.droplet_name("web", LAUNCH), tags.launch_tags("web", LAUNCH, "me", None, None)))
    with pytest.raises(ValueError, match="it fails") if moment is not PhaseEnded else nullcontext():
        fleet.down("web", notify=hear, timeouts=FAST)
    assert () == client.droplets()


def test_what_has_just_answered_is_named_where_its_teardown_sees_nothing(
    cloud: Any, client: Client, flask_app: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupt between the answer and the return of `up`, and an API that fails then."""
    monkeypatch.setenv("DIGITALOCEAN_END_POINT", f"{cloud.url}/v2/")
    monkeypatch.setenv("DIGITALOCEAN_TOKEN", cloud.token)

    def answered(_drawn: object, droplet: Droplet, *_: object) -> tuple[Droplet, int]:
        return droplet, 1

    def interrupted(*_: object) -> None:
        LocalCloud(cloud.url, cloud.token).fault("status", operation="GET /v2/droplets*", status=503, times=None)
        raise KeyboardInterrupt

    monkeypatch.setattr(launch, "_brought_up", answered)
    monkeypatch.setattr(launch, "_tie", interrupted)
    with pytest.raises(LeftBehind) as caught:
        launch.up(flask_app, name="web", timeouts=FAST)
    LocalCloud(cloud.url, cloud.token).clear_faults()
    (droplet,) = client.droplets()
    assert (Kind.DROPLET, str(droplet.id)) in [(one.kind, one.id) for one in caught.value.left]
    assert "cloudship down web --launch" in caught.value.advice
