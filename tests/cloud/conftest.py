"""An account of the local cloud without machines, and the library's client for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from apiserver import serving

from cloudship.client import Client
from cloudship.models import Cloud, Endpoint, Secret, Timeouts

FAST = Timeouts(request=30, visible=2, listed=2, active=5, destroy=5)


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


class Said(NamedTuple):
    """How a command line ended, and what it said."""

    status: int
    out: str
    err: str


@pytest.fixture
def typed(cloud: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Type a command line, in this process, with nothing but that local cloud within reach."""
    from cloudship.cli import failure
    from cloudship.cli.app import app
    from cloudship.cli.interrupts import Interrupts

    monkeypatch.setenv("DIGITALOCEAN_END_POINT", f"{cloud.url}/v2/")
    monkeypatch.setenv("DIGITALOCEAN_TOKEN", cloud.token)
    monkeypatch.setenv("CLOUDSHIP_OWNER", "me")

    def type_(*words: str) -> Said:
        run = Interrupts(lambda: None, tidies=False)
        command = lambda: app(args=list(words), prog_name="cloudship", standalone_mode=False)  # noqa: E731
        status = failure.guarded(command, list(words), run)
        return Said(status, *capsys.readouterr())

    return type_
