"""The end of a ship on a real machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from cloudship import fleet


def test_a_ship_ends_by_itself_and_goes_on_when_it_is_extended(launch: Callable[..., Any], root: Path) -> None:
    """410 with a page once its time is over, the app stopped; more time brings it back."""
    ship = launch(root / "examples/flask-hello", name="ending", ttl=25)
    assert 200 == requests.get(ship.url, timeout=5).status_code
    assert 410 == _eventually(ship, 410)
    assert "has ended" in requests.get(ship.url, timeout=5).text
    assert "inactive" == ship.run("systemctl is-active cloudship-app@1.service", root=True).stdout.strip()
    fleet.extend("ending", 3600, cloud="local")
    ship.execute(("cloudship-droplet", "expire"), check=True)  # as its timer does within the minute
    assert 200 == _eventually(ship, 200)


def _eventually(ship: Any, status: int) -> int:
    deadline, seen = time.monotonic() + 40, 0
    while seen != status and time.monotonic() < deadline:
        seen = requests.get(ship.url, timeout=5).status_code
        time.sleep(0.2)
    return seen
