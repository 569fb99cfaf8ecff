"""One ship for all that is released here: a release leaves it as good as it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from booted.deploying import shared_ship, write


@pytest.fixture(scope="package")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The app that is live, and good."""
    return write(tmp_path_factory.mktemp("releases") / "app")


@pytest.fixture(scope="package")
def ship(machines: Path, app: Path) -> Iterator[Any]:
    """One ship for all these tests: a release leaves it as good as it was."""
    with shared_ship(app, name="released", machines=machines, state=app.parent / "state") as found:
        yield found


@pytest.fixture(autouse=True)
def same_state(app: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key of that ship lies in its own state folder."""
    monkeypatch.setenv("CLOUDSHIP_STATE_DIR", str(app.parent / "state"))
