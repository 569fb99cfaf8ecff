"""The two commands of the README that people type first."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from booted.traces import Host

from cloudship import clouds
from cloudship.client import Client
from cloudship.local import control
from cloudship.local.endpoint import directory_of
from cloudship.models import DropletRequest


@pytest.fixture
def own(machines: Path) -> Iterator[Path]:
    """The folder of a local cloud that is this test's own, on a machine where the others boot."""
    assert machines != directory_of()
    yield directory_of()
    control.reset(directory_of())


def _make(root: Path, target: str) -> subprocess.CompletedProcess[str]:
    words = ["make", "-s", "-C", str(root), target, f"VENV={sys.prefix}"]
    return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def test_make_up_shows_a_page_and_make_down_leaves_the_host_as_it_was(own: Path, root: Path) -> None:
    """The last line is the URL, also of a demo that runs; down stops the local cloud; twice, with equal files."""
    host, kept = Host(own), []
    for _ in range(2):
        done = _make(root, "up")
        assert 0 == done.returncode, done.stderr
        *page, url = done.stdout.splitlines()
        assert any("Hello from a ship" in line for line in page)
        assert 200 == requests.get(url, timeout=10).status_code
        again = _make(root, "up")
        assert (0, url, "") == (again.returncode, again.stdout.splitlines()[-1], again.stderr)
        assert 1 == control.status(own).droplets
        down = _make(root, "down")
        assert 0 == down.returncode, down.stderr
        assert {} == host.settled(Counter())
        kept.append(sorted(path.relative_to(own).as_posix() for path in own.rglob("*")))
    assert kept[0] == kept[1]


def test_make_down_leaves_a_local_cloud_that_others_use(own: Path, root: Path) -> None:
    """Whoever has a droplet there keeps it; without one the cloud stops, and a demo that is not there is no failure."""
    control.start(own, driver="none")
    endpoint = clouds.local()
    assert endpoint is not None
    client = Client(endpoint)
    machine = {"region": "nyc3", "size": "s-1vcpu-1gb", "image": "ubuntu-20-04-x64", "user_data": ""}
    others = client.create_droplet(DropletRequest(name="others", ssh_keys=(), tags=(), **machine))
    assert 0 == _make(root, "down").returncode
    assert (False, 1) == (control.status(own).endpoint is None, control.status(own).droplets)
    client.delete_droplet(others)
    assert 0 == _make(root, "down").returncode
    assert control.status(own).endpoint is None
