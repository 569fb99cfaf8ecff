"""The account's time, as far as it can be turned."""

from __future__ import annotations

from typing import Any

import pytest
from apiserver import Api

from cloudship.local.account.clock import LATEST, CloudClock
from cloudship.local.handle import LocalCloud

YEAR = 365 * 86_400


@pytest.fixture
def knobs(api: Api) -> LocalCloud:
    """The handle on this test's local cloud."""
    return LocalCloud(api.url, api.token)


@pytest.mark.parametrize("seconds", [1e12, 1e300, float("inf"), float("nan"), -1, "soon"])
def test_a_step_that_cannot_be_is_refused_by_its_field(api: Api, knobs: LocalCloud, seconds: Any) -> None:
    """422, nothing changed, and the API answers on."""
    knobs.freeze()
    before = knobs.time()
    with pytest.raises(ValueError, match="advance: "):
        knobs.advance(seconds)
    assert before == knobs.time()
    assert 200 == api("GET", "/v2/account").status_code


def test_steps_that_lead_beyond_what_has_a_date_are_refused(api: Api, knobs: LocalCloud) -> None:
    """The one that is too much does not even stop the time, and droplets are made on the last day too."""
    api.context.clock.advance(LATEST - api.context.clock.time() - 50 * YEAR)
    knobs.advance(49 * YEAR)
    refused = api("POST", "/_cloudship/time", {"frozen": True, "advance": 2 * YEAR}, check=False)
    assert (422, "advance: the account's time ends with the year 9998") == (
        refused.status_code,
        refused.json()["message"],
    )
    assert not knobs.status()["time"]["frozen"]
    knobs.freeze()
    knobs.advance(LATEST - knobs.time())
    assert "9999-01-01T00:00:00Z" == api.droplet()["created_at"]
    with pytest.raises(ValueError, match="advance: "):
        knobs.advance(1)


@pytest.mark.parametrize("frozen", [False, True])
def test_a_clock_takes_no_step_that_is_no_number(frozen: bool) -> None:
    """It goes on from where it is, or stands there."""
    clock = CloudClock()
    if frozen:
        clock.freeze()
    began = clock.time()
    for seconds in (float("inf"), float("nan"), LATEST):
        with pytest.raises(ValueError, match="ends"):
            clock.advance(seconds)
    assert 0 <= clock.time() - began < 60
