"""The spelling of what a launch writes into the account."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from cloudship import tags
from cloudship.models import Droplet, DropletStatus


def _droplet(name: str, *carried: str) -> Droplet:
    return Droplet(
        id=1,
        name=name,
        status=DropletStatus.ACTIVE,
        ip_address=None,
        image="x",
        image_name="x",
        size="x",
        region="x",
        price_hourly=0.0,
        tags=frozenset(carried),
        created_at=datetime.now(timezone.utc),
    )


def test_what_is_written_is_read_back() -> None:
    """Tags survive the way through the account."""
    written = tags.launch_tags("web", "0123456789", "me-host", 1700000000, 1700000060)
    assert tags.ShipTags("web", "0123456789", "me-host", 1700000000, 1700000060) == tags.read(written)
    assert tags.KeyName("web", "0123456789", 17) == tags.read_key_name(tags.key_name("web", "0123456789", 17))


@pytest.mark.parametrize(
    "carried",
    [
        ("cloudship:ship:web", "cloudship:launch:0123456789", "cloudship:by:me"),
        ("cloudship", "cloudship:ship:web", "cloudship:by:me"),
        ("cloudship", "cloudship:ship:web", "cloudship:ship:db", "cloudship:launch:0123456789", "cloudship:by:me"),
        ("cloudship", "cloudship:ship:Web", "cloudship:launch:0123456789", "cloudship:by:me"),
        ("cloudship", "cloudship:ship:web", "cloudship:launch:xyz", "cloudship:by:me"),
        ("cloudship", "cloudship:ship:web", "cloudship:launch:0123456789", "cloudship:by:me", "cloudship:pending:x"),
    ],
)
def test_look_alikes_are_nobodys(carried: tuple[str, ...]) -> None:
    """Whatever a launch would not write is not read as one."""
    assert tags.read(carried) is None


@pytest.mark.parametrize(
    ("name", "carried"),
    [
        ("web", ("cloudship", "cloudship:launch:0123456789", "cloudship:by:me")),
        ("web-0123456789", ("cloudship", "cloudship:by:me")),
        ("web-0123456789", ("cloudship:launch:0123456789", "cloudship:by:me")),
        ("web-0123456789", ("cloudship", "cloudship:launch:1123456789", "cloudship:by:me")),
        ("web-0123456789", ("cloudship", "cloudship:launch:0123456789", "cloudship:launch:1123456789")),
    ],
)
def test_a_name_alone_is_no_proof(name: str, carried: tuple[str, ...]) -> None:
    """Where the ship's tag is lost, only the shared tag, the launch's, and the same launch in the name make it ours."""
    assert tags.of(_droplet(name, *carried)) is None


def test_of_several_deadlines_the_earliest_counts_and_of_several_ends_the_latest() -> None:
    """A launch that is kept for a look is dead from the moment on at which it is marked so; an end is put off."""
    carried = (*tags.launch_tags("web", "0123456789", "me", 50, 90), tags.pending_tag(7), tags.expires_tag(60))
    found = tags.read(carried)
    assert found is not None
    assert (7, 60) == (found.pending, found.expires)


def test_a_lost_owner_is_nobody() -> None:
    """No reaper's rule can name it: such a ship is taken down by its name, and never swept away."""
    found = tags.of(_droplet("web-0123456789", "cloudship", "cloudship:launch:0123456789"))
    assert tags.ShipTags("web", "0123456789", "?", None, None) == found
    assert not tags.is_owner("?")


@pytest.mark.parametrize(
    "name",
    ["cloudship", "cloudship:web:0123456789", "cloudship:web:0123456789:x", "my:web:0123456789:1"]
    + [f"cloudship:web:0123456789:{stamp}" for stamp in ("\u00b2", "\u0663", "9" * 5000)],
)
def test_keys_of_others_are_nobodys(name: str) -> None:
    """Only the exact pattern is ours."""
    assert tags.read_key_name(name) is None


def test_droplet_names_are_unique_for_each_launch_and_fit_a_host_name() -> None:
    """Two launches of one ship never share a name; the longest still fits."""
    first, second = tags.new_launch(), tags.new_launch()
    assert tags.droplet_name("web", first) != tags.droplet_name("web", second)
    assert len(tags.droplet_name("a" * 40, first)) <= 63
