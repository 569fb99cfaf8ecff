"""Faults of the account that stand, and those that strike as often as they are asked to."""

from __future__ import annotations

from typing import Any

import pytest
from apiserver import Api

from cloudship.local.handle import LocalCloud

ASKED = {"name": "web", "region": "nyc3", "size": "s-1vcpu-1gb", "image": "ubuntu-20-04-x64"}


@pytest.fixture
def knobs(api: Api) -> LocalCloud:
    """The handle on this test's local cloud."""
    return LocalCloud(api.url, api.token)


def _creates(api: Api, count: int, **more: Any) -> list[int]:
    return [api("POST", "/v2/droplets", {**ASKED, **more}).status_code for _ in range(count)]


def _counted(knobs: LocalCloud) -> list[tuple[int, int]]:
    return [(one["met"], one["struck"]) for one in knobs.faults()]


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("droplet_limit", {"limit": 0}),
        ("unavailable", {"region": "nyc3"}),
        ("unavailable", {"size": "s-1vcpu-1gb"}),
    ],
)
def test_limits_and_capacity_strike_as_often_as_they_were_asked_to(
    api: Api, knobs: LocalCloud, kind: str, more: dict[str, Any]
) -> None:
    """The first is let pass, the next two are refused, and then all is well."""
    knobs.fault(kind, times=2, skip=1, **more)
    assert [202, 422, 422, 202] == _creates(api, 4)
    assert [(4, 2)] == _counted(knobs)
    assert knobs.faults()[0]["spent"]


def test_a_token_is_refused_as_often_as_it_was_asked_to_be(api: Api, knobs: LocalCloud) -> None:
    """One that is read only meets only changes."""
    knobs.fault("token", state="revoked", times=1, skip=1)
    assert [200, 401, 200] == [api("GET", "/v2/account").status_code for _ in range(3)]
    knobs.clear_faults()
    knobs.fault("token", state="read_only", times=1)
    assert 200 == api("GET", "/v2/account").status_code
    assert [403, 201] == [api("POST", "/v2/tags", {"name": "a"}).status_code for _ in range(2)]
    assert [(2, 1)] == _counted(knobs)


def test_a_condition_with_a_probability_is_reproducible(api: Api, knobs: LocalCloud) -> None:
    """The same seed refuses the same requests, until it is cleared."""
    seen = []
    for _ in range(2):
        knobs.clear_faults()
        knobs.fault("token", state="revoked", probability=0.5, seed=7)
        seen.append([api("GET", "/v2/account").status_code for _ in range(12)])
    assert seen[0] == seen[1]
    assert {200, 401} == set(seen[0])


def test_a_condition_that_says_nothing_of_it_stands_until_it_is_cleared(api: Api, knobs: LocalCloud) -> None:
    """Creates elsewhere do not meet it."""
    knobs.fault("unavailable", region="nyc3")
    assert [422, 422, 422] == _creates(api, 3)
    assert [202] == _creates(api, 1, region="fra1")
    assert [(3, 3)] == _counted(knobs)
    knobs.clear_faults()
    assert [202] == _creates(api, 1)


def test_a_limit_meets_only_the_creates_that_it_makes_a_difference_to(api: Api, knobs: LocalCloud) -> None:
    """A lower one those that it refuses, a higher one those that it admits."""
    knobs.fault("droplet_limit", limit=2, times=1)
    assert [202, 202, 422, 202] == _creates(api, 4)
    assert [(2, 1)] == _counted(knobs)
    knobs.clear_faults()
    knobs.fault("droplet_limit", limit=1000, times=1)
    for count in (10, 10, 2):  # 25 is what a new account may have
        names = [f"n{number}" for number in range(count)]
        assert 202 == api("POST", "/v2/droplets", {**ASKED, "names": names}).status_code
    assert [202, 422] == _creates(api, 2)
    assert [(2, 1)] == _counted(knobs)


def test_the_lowest_of_several_limits_holds(api: Api, knobs: LocalCloud) -> None:
    """Whichever was injected first; the account shows it, until it is spent."""
    assert 25 == _limit(api)
    knobs.fault("droplet_limit", limit=1000)
    assert 1000 == _limit(api)
    knobs.fault("droplet_limit", limit=1, times=1)
    assert 1 == _limit(api)
    assert [202, 422] == _creates(api, 2)
    assert 1000 == _limit(api)


def _limit(api: Api) -> int:
    found: int = api("GET", "/v2/account").json()["account"]["droplet_limit"]
    return found


def _tags(api: Api) -> set[str]:
    return {one["name"] for one in api("GET", "/v2/tags").json()["tags"]}


def test_only_a_tag_that_is_new_is_listed_late(api: Api, knobs: LocalCloud) -> None:
    """One that is there already is neither hidden nor counted, however it is asked for and whatever its case."""
    knobs.freeze()
    api("POST", "/v2/tags", {"name": "old"})
    knobs.fault("listing_lag", resource="tags", seconds=60)
    api("POST", "/v2/tags", {"name": "OLD"})
    assert {"old"} == _tags(api)
    assert [202] == _creates(api, 1, tags=["Old", "new", "other"])
    assert {"old", "other"} == _tags(api)
    assert [(2, 1)] == _counted(knobs)
    knobs.advance(61)
    assert {"old", "new", "other"} == _tags(api)


def test_a_tag_that_is_made_again_is_new(api: Api, knobs: LocalCloud) -> None:
    """It lags while the fault strikes, and not because another of its name did."""
    knobs.freeze()
    api("POST", "/v2/tags", {"name": "a"})
    knobs.fault("listing_lag", resource="tags", seconds=60)
    seen = []
    for _ in range(2):
        api("DELETE", "/v2/tags/a", {})
        api("POST", "/v2/tags", {"name": "A"})
        seen.append(_tags(api))
    assert [set(), {"A"}] == seen


def test_a_tag_that_was_there_before_the_cloud_started_is_old(api: Api, knobs: LocalCloud) -> None:
    """After a reset there is none, and the first of any name is new."""
    api.context.account.tags.create("kept")  # as it lies in the database of an earlier one
    knobs.fault("listing_lag", resource="tags", seconds=60, times=None)
    assert 201 == api("POST", "/v2/tags", {"name": "kept"}).status_code
    assert {"kept"} == _tags(api)
    knobs.reset()
    knobs.fault("listing_lag", resource="tags", seconds=60)
    api("POST", "/v2/tags", {"name": "kept"})
    assert set() == _tags(api)
