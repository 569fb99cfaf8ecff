"""DigitalOcean itself; costs a cent. Needs CLOUDSHIP_LIVE_TOKEN."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import requests

import cloudship
from cloudship.client import Client
from cloudship.clouds import DIGITALOCEAN_URL
from cloudship.models import Cloud, Endpoint, Secret

TOKEN = os.environ.get("CLOUDSHIP_LIVE_TOKEN", "")
pytestmark = [pytest.mark.live, pytest.mark.skipif(not TOKEN, reason="no CLOUDSHIP_LIVE_TOKEN")]


def test_catalogues_and_prices_are_what_the_local_cloud_quotes() -> None:
    """The default size exists and costs what we say."""
    client = Client(Endpoint(cloud=Cloud.DIGITALOCEAN, url=DIGITALOCEAN_URL, token=Secret(TOKEN)))
    prices = {size.slug: size.price_hourly for size in client.sizes()}
    assert 0.00893 == prices["s-1vcpu-1gb"]
    assert "nyc3" in {region.slug for region in client.regions()}


def test_a_ship_comes_and_goes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole road, on a real droplet."""
    monkeypatch.setenv("DIGITALOCEAN_ACCESS_TOKEN", TOKEN)
    source = root / "examples/flask-hello"
    with cloudship.up(source, name="live-test", cloud="digitalocean", ttl="1h") as ship:
        assert 200 == requests.get(ship.url, timeout=10).status_code
    assert [] == [one.name for one in cloudship.ships(cloud="digitalocean") if one.name == "live-test"]
