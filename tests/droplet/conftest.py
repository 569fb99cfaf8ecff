"""The droplet's own package, importable as it is there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "userdata"))

from campaign.dropletbox import DropletBox


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DropletBox]:
    """One droplet, in a folder."""
    found = DropletBox(tmp_path)
    found.make()
    found.install(monkeypatch)
    yield found
    found.power_off()
