"""T7: a cloud whose objects do not behave: nothing is left, whatever the API says of them."""

from __future__ import annotations

from typing import Any

import pytest

from campaign import oracle
from campaign.conftest import Field, record

Faults = tuple[dict[str, Any], ...]
SCENARIOS: dict[str, tuple[Faults, int]] = {
    "a droplet that is never active": (({"kind": "never_active"},), 1),
    "an active droplet without an address": (({"kind": "no_ip"},), 1),
    "an address that comes late": (({"kind": "ip_late", "seconds": 60},), 0),
    "an address that comes too late": (({"kind": "ip_late", "seconds": 3000},), 1),
    "a fresh id that is not found": (({"kind": "missing_after_create", "seconds": 40},), 0),
    "a create that ends errored": (({"kind": "create_fails"},), 1),
    "the droplet limit": (({"kind": "droplet_limit", "limit": 0},), 1),
    "a region that is sold out": (({"kind": "unavailable", "region": "nyc3"},), 1),
    "a size that is sold out": (({"kind": "unavailable", "size": "s-1vcpu-1gb"},), 1),
    "a token that may not write": (({"kind": "token", "state": "read_only"},), 2),
    "a revoked token": (({"kind": "token", "state": "revoked"},), 2),
    "a key that is there already": (
        ({"kind": "status", "operation": "sshKeys_create", "status": 422, "message": "SSH Key is already in use"},),
        1,
    ),
    "a delete that does not stick": (({"kind": "never_active"}, {"kind": "delete_ignored", "times": 4}), 1),
    "a droplet that comes back": (({"kind": "never_active"}, {"kind": "comes_back", "seconds": 20}), 1),
    "an event that is pending": (
        (
            {"kind": "never_active"},
            {
                "kind": "status",
                "operation": "droplets_destroy",
                "status": 422,
                "message": "Droplet already has a pending event.",
                "times": 5,
            },
        ),
        1,
    ),
    "listings that lag": (({"kind": "listing_lag", "seconds": 30}, {"kind": "never_active"}), 1),
    "tags that lag": (({"kind": "listing_lag", "seconds": 30, "resource": "tags"}, {"kind": "never_active"}), 1),
    "a token revoked while it launches": (
        ({"kind": "status", "operation": "droplets_get", "status": 401, "times": None},),
        1,
    ),
}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_objects_that_do_not_behave(ground: Field, scenario: str) -> None:
    """The exit status is right, and after `down` the account is what it was."""
    faults, status = SCENARIOS[scenario]
    place = ground.place()
    for fault in faults:
        ground.box.knobs.fault(**fault)
    ended = ground.up(place)
    if "comes back" in scenario:
        ground.box.knobs.advance(60)
    assert [] == oracle.judge(ground.box, place, ended)
    assert status == ended.status, ended.output
    record("T7 API semantics", cases=1, points=1)


def test_a_droplet_that_comes_back_after_down_is_taken_down_again(ground: Field) -> None:
    """DigitalOcean has brought droplets back hours after their end; the next `down` finds them."""
    place = ground.place()
    assert ground.up(place).status == 0
    ground.box.knobs.fault("comes_back", seconds=3000)
    assert ground.down(place).status == 0
    ground.box.knobs.advance(3001)
    assert 1 == len(ground.box.account().droplets - ground.box.baseline.droplets)
    assert [] == oracle.judge(ground.box, place, ground.down(place))


def test_slow_transitions_are_waited_for(ground: Field) -> None:
    """New for a while, active, the address later, a delete that takes its time: `up` and `down` both end well."""
    place = ground.place()
    ground.box.knobs.transitions = 15
    try:
        ended = ground.up(place)
        assert [] == oracle.judge(ground.box, place, ended)
        assert ended.status == 0, ended.output
    finally:
        ground.box.knobs.transitions = "immediate"
