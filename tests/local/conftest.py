"""A local cloud without machines for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from apiserver import serving


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Any]:
    """A local cloud with driver none, served on loopback by a thread."""
    with serving(tmp_path) as found:
        yield found
