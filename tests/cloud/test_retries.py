"""Which requests are asked for again after which status: one table, by what is done and how it is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cloudship import creation, extending, tags, teardown
from cloudship.client import Client
from cloudship.errors import CloudshipError
from cloudship.journal import Journal
from cloudship.keys import mint
from cloudship.local.handle import LocalCloud
from cloudship.models import Cloud, DropletRequest, Endpoint, Secret, Timeouts
from cloudship.waiting import Clock

pytestmark = pytest.mark.slow

LAUNCH, LOOKING = "0123456789", Timeouts(listed=3)
ALWAYS = ("429", "429, later", "please try again")  # it had no effect, says DigitalOcean
UNCLEAR = ("408", "425", "499", "500", "502", "503", "504")  # whatever is only read, or taken away, is asked for again
BUSY = ("409", "412", "423", "pending event")  # it passes
GONE = ("404", "410")  # believed where the listing says the same
REFUSED = ("400", "401", "403", "405", "418", "422")
FAULTS: dict[str, dict[str, Any]] = {
    **{one: {"status": int(one)} for one in (*UNCLEAR, *GONE, *REFUSED, "409", "412", "423", "429")},
    "429, later": {"status": 429, "headers": {"retry-after": "45"}},
    "please try again": {"status": 422, "message": "Something went wrong, please try again."},
    "pending event": {"status": 422, "message": "Droplet already has a pending event."},
}
AGAIN: dict[str, tuple[str, ...]] = {
    "droplets_list": (*ALWAYS, *UNCLEAR),
    "sshKeys_list": (*ALWAYS, *UNCLEAR),
    "droplets_create": ALWAYS,
    "sshKeys_create": ALWAYS,
    "tags_assign_resources": (),
    "droplets_destroy": (*ALWAYS, *UNCLEAR, *BUSY, *GONE),
    "sshKeys_delete": (*ALWAYS, *UNCLEAR, *BUSY, *GONE),
    "tags_delete": (*ALWAYS, *UNCLEAR, *BUSY, *GONE),
}
Act = Callable[[Client, Path, Clock], object]


def _request() -> DropletRequest:
    return DropletRequest(
        name=tags.droplet_name("web", LAUNCH),
        region="nyc3",
        size="s-1vcpu-1gb",
        image="ubuntu-20-04-x64",
        ssh_keys=(),
        tags=tags.launch_tags("web", LAUNCH, "me", None, 4102444800),
        user_data="#cloud-config\n",
    )


def _ship(client: Client) -> None:
    client.create_key(tags.key_name("web", LAUNCH, 1), mint("x").public)
    client.create_droplet(_request())


def _create(client: Client, place: Path, clock: Clock) -> object:
    return creation.create_droplet(
        client, Journal(place / "j"), _request(), launch=LAUNCH, timeouts=LOOKING, clock=clock
    )


def _add_key(client: Client, place: Path, clock: Clock) -> object:
    name, public = tags.key_name("web", LAUNCH, 1), mint("x").public
    return creation.create_key(
        client, Journal(place / "j"), name=name, launch=LAUNCH, public_key=public, timeouts=LOOKING, clock=clock
    )


def _down(client: Client, place: Path, clock: Clock) -> object:
    return teardown.down(client, "web", journal=Journal(place / "j"), files_root=place / "f", clock=clock)


def _extend(client: Client, _place: Path, _clock: Clock) -> object:
    (droplet,) = client.droplets()
    return extending.until(client, droplet, 4102444800)


ACTS: dict[str, tuple[bool, Act]] = {  # whether there is a ship first, and what is done
    "droplets_list": (False, lambda client, _place, _clock: client.droplets()),
    "sshKeys_list": (False, lambda client, _place, _clock: client.ssh_keys()),
    "droplets_create": (False, _create),
    "sshKeys_create": (False, _add_key),
    "tags_assign_resources": (True, _extend),
    "droplets_destroy": (True, _down),
    "sshKeys_delete": (True, _down),
    "tags_delete": (True, _down),
}


@pytest.mark.parametrize("operation", AGAIN)
def test_what_is_asked_for_again_and_what_is_not(cloud: Any, tmp_path: Path, operation: str) -> None:
    """A create never, but where the API says that it had no effect; what takes away, until nothing shows it."""
    knobs, past = LocalCloud(cloud.url, cloud.token), [0.0]

    def sleep(seconds: float) -> None:
        past[0] += seconds

    clock = Clock(sleep=sleep, monotonic=lambda: past[0])
    endpoint = Endpoint(cloud=Cloud.LOCAL, url=f"{cloud.url}/v2/", token=Secret(cloud.token))
    client, again = Client(endpoint, clock=clock), []
    is_there, act = ACTS[operation]
    for name, fault in FAULTS.items():
        knobs.reset()
        if is_there:
            _ship(client)
        knobs.clear_requests()
        knobs.fault("status", **fault, operation=operation)
        failed = None
        try:
            act(client, tmp_path / name, clock)
        except CloudshipError as error:
            failed = error
        asked = [one["path"] for one in knobs.requests() if one["operation"] == operation]
        if asked.count(asked[0]) > 1:
            again.append(name)
        elif operation.endswith(("_list", "_resources", "_destroy", "_delete")):
            assert failed is not None, f"{name}: asked for once, refused, and yet it went well"
    assert sorted(AGAIN[operation]) == sorted(again)
