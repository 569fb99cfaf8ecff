"""Ships that this machine launched and that no listing shows yet: they are known by their ids."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from orders import order

from cloudship import inventory, launch, tags, teardown
from cloudship.client import Client
from cloudship.errors import Unprocessable
from cloudship.events import Event
from cloudship.journal import Journal
from cloudship.keys import LaunchFiles, mint
from cloudship.local.handle import LocalCloud
from cloudship.models import Kind, Receipt, Timeouts
from cloudship.records import journal

pytestmark = pytest.mark.slow

LAUNCH, OTHER = "0123456789", "9876543210"
FAST = Timeouts(request=30, visible=1, listed=1, active=5, destroy=1)


@pytest.fixture
def book(tmp_path: Path) -> Journal:
    """Give this machine's journal."""
    return Journal(tmp_path / "journal.jsonl")


def _droplet(client: Client, name: str, launch: str) -> int:
    asked = order(tags.droplet_name(name, launch), tags.launch_tags(name, launch, "me", None, None))
    return client.create_droplet(asked)


def _launched(
    client: Client, book: Journal, files_root: Path, name: str, launch: str, account: str | None = None
) -> int:
    """Launch as `up` does, to its good end; with the token of the client, or one that marks another account."""
    mark = account or client.mark
    LaunchFiles(files_root / name / launch, launch).save_identity(mint("x"))
    key_name = tags.key_name(name, launch, 1)
    book.intend(launch, mark, Kind.KEY, key_name)
    book.done(launch, mark, Kind.KEY, str(client.create_key(key_name, mint("x").public).id))
    book.intend(launch, mark, Kind.DROPLET, tags.droplet_name(name, launch))
    number = _droplet(client, name, launch)
    book.done(launch, mark, Kind.DROPLET, str(number))
    book.ended(launch, mark)
    return number


def _down_and_told(client: Client, book: Journal, files_root: Path) -> tuple[Receipt, list[str]]:
    """Take the ship down; gives the notes that were told, too."""
    said: list[str] = []

    def hear(event: Event) -> None:
        said.append(getattr(event, "text", ""))

    receipt = teardown.down(client, "web", journal=book, files_root=files_root, timeouts=FAST, notify=hear)
    return receipt, said


def test_a_ship_is_taken_down_before_any_listing_shows_it(
    cloud: LocalCloud, client: Client, book: Journal, tmp_path: Path
) -> None:
    """`down` right after `up`: droplet and key are read by their ids, and gone."""
    knobs = LocalCloud(cloud.url, cloud.token)
    for resource in ("droplets", "keys"):
        knobs.fault("listing_lag", resource=resource, seconds=60)
    _launched(client, book, tmp_path / "f", "web", LAUNCH)
    assert ((), ()) == (client.droplets(), client.ssh_keys())
    receipt = teardown.down(client, "web", journal=book, files_root=tmp_path / "f", timeouts=FAST)
    knobs.advance(61)
    assert ((), ()) == (client.droplets(), client.ssh_keys())
    assert {Kind.DROPLET, Kind.KEY, Kind.TAG} == {one.kind for one in receipt.destroyed}


def test_a_launch_finds_a_ship_that_no_listing_shows(
    cloud: LocalCloud, client: Client, book: Journal, tmp_path: Path
) -> None:
    """By the files that its launch left here, and no other ship's."""
    LocalCloud(cloud.url, cloud.token).fault("listing_lag", seconds=60, times=2)
    number = _launched(client, book, tmp_path / "f", "web", LAUNCH)
    _launched(client, book, tmp_path / "f", "db", OTHER)
    found = inventory.unlisted_here(client, book, tmp_path / "f", "web")
    assert [number] == [one.id for one in found]


def test_an_id_that_leads_to_something_else_is_not_followed(client: Client, book: Journal, tmp_path: Path) -> None:
    """A journal that a broken disk has changed names a droplet and a key of others: they stay."""
    theirs = _droplet(client, "db", OTHER), client.create_key("laptop", mint("x").public).id
    LaunchFiles(tmp_path / "f" / "web" / LAUNCH, LAUNCH).save_identity(mint("x"))
    for kind, label, number in (
        (Kind.DROPLET, tags.droplet_name("web", LAUNCH), theirs[0]),
        (Kind.KEY, tags.key_name("web", LAUNCH, 1), theirs[1]),
    ):
        book.intend(LAUNCH, "local", kind, label)
        book.done(LAUNCH, "local", kind, str(number))
    teardown.down(client, "web", journal=book, files_root=tmp_path / "f", timeouts=FAST)
    assert theirs == (client.droplets()[0].id, client.ssh_keys()[0].id)


def test_what_is_gone_is_gone_although_records_of_it_cannot_be_written(
    client: Client, book: Journal, tmp_path: Path
) -> None:
    """The ship is destroyed and proved gone; that the journal cannot be written is a warning."""
    _launched(client, book, tmp_path / "f", "web", LAUNCH)
    (tmp_path / "journal.jsonl").unlink()
    (tmp_path / "journal.jsonl").mkdir()
    receipt, said = _down_and_told(client, book, tmp_path / "f")
    assert (True, ()) == (bool(receipt.destroyed), client.droplets())
    assert any("web is gone, yet this machine's records of it stay" in text for text in said)


def test_what_another_account_launched_keeps_its_login(client: Client, book: Journal, tmp_path: Path) -> None:
    """A ship of the same name may run there, though this account shows none: `down` says where its login lies."""
    LaunchFiles(tmp_path / "f" / "web" / OTHER, OTHER).save_identity(mint("x"))
    book.intend(OTHER, "local/another", Kind.DROPLET, tags.droplet_name("web", OTHER))
    _launched(client, book, tmp_path / "f", "web", LAUNCH)
    _, said = _down_and_told(client, book, tmp_path / "f")
    assert [OTHER] == [one.name for one in (tmp_path / "f" / "web").iterdir() if tags.is_launch(one.name)]
    assert [OTHER] == [one.launch for one in book.asked("local/another")]
    assert any(f"{tmp_path / 'f' / 'web' / OTHER}" in text for text in said)


def test_a_dead_launch_is_replaced_whichever_token_made_it(
    cloud: LocalCloud, client: Client, flask_app: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The account shows it, so it is the account's; whoever holds the ship's lock here knows that it died."""
    monkeypatch.setenv("DIGITALOCEAN_END_POINT", f"{cloud.url}/v2/")
    monkeypatch.setenv("DIGITALOCEAN_TOKEN", cloud.token)
    journal().intend(LAUNCH, "local/another", Kind.DROPLET, tags.droplet_name("web", LAUNCH))
    carried = tags.launch_tags("web", LAUNCH, "me", None, int(time.time()) + 4000)
    client.create_droplet(order(tags.droplet_name("web", LAUNCH), carried))
    LocalCloud(cloud.url, cloud.token).fault("status", operation="droplets_create", status=422)
    with pytest.raises(Unprocessable):
        launch.up(flask_app, name="web", timeouts=FAST)
    assert () == client.droplets()


def test_what_is_found_is_forgotten_whichever_token_made_it(client: Client, book: Journal, tmp_path: Path) -> None:
    """An account's token changes; the launch is in the account, and gone from both places."""
    _launched(client, book, tmp_path / "f", "web", LAUNCH, "local/another")
    teardown.down(client, "web", journal=book, files_root=tmp_path / "f", timeouts=FAST)
    assert not (tmp_path / "f" / "web" / LAUNCH).exists()
    assert ((), ()) == (client.droplets(), book.asked("local/another"))
