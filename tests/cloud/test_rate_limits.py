"""An API that has had enough for now, and says for how long."""

from __future__ import annotations

from email.utils import formatdate
from typing import Any

import pytest

from cloudship.client import Client
from cloudship.errors import RateLimited
from cloudship.local.handle import LocalCloud
from cloudship.models import Cloud, Endpoint, Secret, Timeouts
from cloudship.waiting import Clock


@pytest.fixture
def knobs(cloud: Any) -> LocalCloud:
    """The handle on this test's cloud."""
    return LocalCloud(cloud.url, cloud.token)


@pytest.fixture
def slept() -> list[float]:
    """The pauses of the client, which take no time."""
    return []


@pytest.fixture
def client(cloud: Any, slept: list[float]) -> Client:
    """A client with the usual limits."""
    endpoint = Endpoint(cloud=Cloud.LOCAL, url=f"{cloud.url}/v2/", token=Secret(cloud.token))
    return Client(endpoint, timeouts=Timeouts(), clock=Clock(sleep=slept.append))


def test_a_read_waits_as_long_as_the_api_asks(client: Client, knobs: LocalCloud, slept: list[float]) -> None:
    """Also for longer than a call may take: some calls are counted by the minute."""
    knobs.fault("status", operation="sshKeys_list", status=429, headers={"retry-after": "45"})
    assert () == client.ssh_keys()
    assert [45.0] == slept


def test_who_looks_in_passing_does_not_wait(client: Client, knobs: LocalCloud, slept: list[float]) -> None:
    """The wait that it stands beside has a limit of its own."""
    knobs.fault("status", operation="account_get", status=429, headers={"retry-after": "45"}, times=None)
    with pytest.raises(RateLimited):
        client.hasty().account()
    assert [] == slept
    with pytest.raises(RateLimited):
        client.account()
    assert [45.0, 45.0] == slept


@pytest.mark.parametrize(
    ("date", "later", "expected"), [(1e9, 45, 45.0), (1e9, -5, 0.0), (None, 45, None), (1e9, None, None)]
)
def test_a_moment_to_wait_for_is_read_by_the_clock_that_names_it(
    client: Client, knobs: LocalCloud, date: float | None, later: float | None, expected: float | None
) -> None:
    """That of this machine may be wrong; where the answer has no date, or the moment is none, nothing is known."""
    headers = {"retry-after": "soon" if later is None else formatdate(1e9 + later, usegmt=True)}
    headers |= {} if date is None else {"date": formatdate(date, usegmt=True)}
    knobs.fault("status", operation="tags_delete", status=429, headers=headers)
    with pytest.raises(RateLimited) as caught:
        client.delete_tag("blue")
    assert expected == caught.value.retry_after
