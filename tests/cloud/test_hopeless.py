"""When a launch is waited for no longer."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

from orders import order

from cloudship import launch
from cloudship.client import Client
from cloudship.waiting import REAL, Clock


def _told(client: Client, *, expires: float | None = None, ended: str = "") -> str | None:
    droplet = client.droplet(client.create_droplet(order("web", ())))
    if ended == "destroyed":
        client.delete_droplet(droplet.id)
    moments = iter((0.0, *[6.0] * 9))
    drawn: Any = SimpleNamespace(client=client, plan=SimpleNamespace(expires=expires))
    return launch._alive(drawn, droplet, Clock(monotonic=lambda: next(moments), wall=REAL.wall))()


def test_a_droplet_that_lives_is_waited_for(client: Client) -> None:
    """Whether it has an end that is yet to come, or none."""
    assert [None, None] == [_told(client), _told(client, expires=time.time() + 3600)]


def test_a_droplet_that_is_gone_is_not(client: Client) -> None:
    """Somebody destroyed it."""
    assert "the droplet is gone" == _told(client, ended="destroyed")


def test_a_ship_whose_time_is_over_is_not(client: Client) -> None:
    """It would answer that it has ended, for ever."""
    assert "its time was over before it answered; give it a longer --ttl" == _told(client, expires=time.time() - 1)
