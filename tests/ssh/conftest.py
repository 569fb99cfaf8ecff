"""A droplet in a folder, reached over a real SSH connection."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import sshd
from sshd import Host, Meeting

from cloudship.keys import mint


@pytest.fixture
def new_host(tmp_path: Path) -> Iterator[Callable[..., Host]]:
    """Make hosts that are not started yet; they are stopped at the end."""
    if reason := sshd.lacking():
        assert os.environ.get("CI") != "true", reason
        pytest.skip(f"no sshd can be started here: {reason}")
    with ExitStack() as hosts:

        def make(name: str = "host", **settings: str) -> Host:
            host = Host(tmp_path / name, settings)
            hosts.callback(host.stop)
            return host

        yield make


@pytest.fixture
def meeting(new_host: Callable[..., Host], tmp_path: Path) -> Meeting:
    """A host that listens, and somebody who knows its key and whose key it knows."""
    host, key = new_host(), mint("host")
    files, public = sshd.known(tmp_path / "state", key.public)
    host.use_key(key)
    host.authorize(public)
    host.start()
    return Meeting(host, key, files)
