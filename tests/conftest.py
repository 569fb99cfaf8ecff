"""What all tests share: a state folder of their own, and nothing of the user's environment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import limits
import pytest

ROOT = Path(__file__).parent.parent
# The same examples every time and no limit of speed in CI; `make soak` looks for new ones.
hypothesis.settings.register_profile("same", deadline=None, derandomize=True, database=None)
hypothesis.settings.register_profile("new", deadline=None)
hypothesis.settings.load_profile("new" if os.environ.get("CLOUDSHIP_SOAK") == "1" else "same")
_FOREIGN = (
    "DIGITALOCEAN_END_POINT",
    "DIGITALOCEAN_API_URL",
    "DIGITALOCEAN_ACCESS_TOKEN",
    "DIGITALOCEAN_TOKEN",
)


def pytest_configure(config: pytest.Config) -> None:
    """Hold the closed list of what may be skipped."""
    config.pluginmanager.register(limits.enforcement(), "cloudship-limits")


@pytest.fixture(autouse=True)
def _own_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give each test a home, a state folder and a local cloud's directory that nobody else has."""
    place = tmp_path_factory.mktemp("own")
    for name in _FOREIGN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSHIP_STATE_DIR", str(place / "state"))
    monkeypatch.setenv("CLOUDSHIP_LOCAL_DIR", str(place / "local"))
    yield


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return ROOT


@pytest.fixture
def flask_app(tmp_path: Path) -> Path:
    """The smallest Flask app."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "app.py").write_text("from flask import Flask\n\napp = Flask(__name__)\n")
    (folder / "requirements.txt").write_text("flask\n")
    return folder
