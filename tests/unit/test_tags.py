"""The spelling of what a launch writes into the account."""

from __future__ import annotations

import pytest

from cloudship import tags


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
