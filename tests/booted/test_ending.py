"""The end of a ship on a real machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from booted.deploying import until

from cloudship import fleet, standing
from cloudship.errors import ConfigError, ReleaseFailed, WaitHopeless


def test_a_ship_ends_by_itself_and_goes_on_when_it_is_extended(
    launch: Callable[..., Any], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """410 with a page once its time is over, the app stopped; more time brings it back."""
    ship = _launched(partial(launch, root / "examples/flask-hello", name="ending"))
    assert 410 == _eventually(ship, 410)
    assert "has ended" in requests.get(ship.url, timeout=30).text
    state = "systemctl is-active cloudship-app@1.service"
    until(lambda: ship.run(state, root=True).stdout.strip() == "inactive")  # what it was at work on ends first
    with pytest.raises(ConfigError, match="ending has ended") as caught:
        ship.deploy(root / "examples/flask-hello")
    assert "cloudship extend ending" in caught.value.advice
    with monkeypatch.context() as blind:
        blind.setattr(standing, "check_takes_releases", lambda *_: None)  # as `git push ship main` does not ask
        with pytest.raises(ReleaseFailed, match="cloudship extend ending"):
            ship.deploy(root / "examples/flask-hello")
    fleet.extend("ending", 3600, cloud="local")
    ship.execute(("cloudship-droplet", "expire"), check=True)  # as its timer does within the minute
    assert 200 == _eventually(ship, 200)
    assert ship.deploy(root / "examples/flask-hello").release > 1


def _launched(up: Callable[..., Any]) -> Any:
    """Give it as much time as this machine needs to launch it, and little more."""
    for ttl in (25, 100, 400):
        with suppress(WaitHopeless, ReleaseFailed):  # its end came, or came while the release was being made
            ship = up(ttl=ttl)
            if requests.get(ship.url, timeout=30).status_code == 200:
                return ship
            ship.down()
    pytest.fail("a launch takes longer than any end")


def _eventually(ship: Any, status: int) -> int:
    deadline, seen = time.monotonic() + 460, 0
    while seen != status and time.monotonic() < deadline:
        seen = requests.get(ship.url, timeout=30).status_code
        time.sleep(0.2)
    return seen
