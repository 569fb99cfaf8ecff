"""An account of the local cloud without machines, and the library's client for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from apiserver import serving

from cloudship.client import Client
from cloudship.models import Cloud, Endpoint, Secret, Timeouts

FAST = Timeouts(request=5, visible=2, listed=2, active=5, destroy=5)


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Any]:
    """A local cloud with driver none, in this process."""
    with serving(tmp_path) as found:
        yield found


@pytest.fixture
def client(cloud: Any) -> Client:
    """The library's client for it."""
    endpoint = Endpoint(cloud=Cloud.LOCAL, url=f"{cloud.url}/v2/", token=Secret(cloud.token))
    return Client(endpoint, timeouts=FAST)
