"""Real machines: a local cloud of the session's own, and apps that nobody here wrote."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import cloudship
from cloudship.local import control, setup
from cloudship.local.machines.registry import driver

_LONG = (
    "test_under_load.py",
    "test_trust.py",
    "test_interrupted.py",
    "test_apps.py",
    "test_broken_apps.py",
    "test_cloud_killed_machines.py",
    "test_boot_faults.py",
    "test_ship_faults.py",
)  # the longest first


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything here, and begin with what takes longest: two processes share the files, and end together."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.booted)
    items.sort(key=lambda item: _LONG.index(item.path.name) if item.path.name in _LONG else len(_LONG))


@pytest.fixture(scope="session")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A local cloud that boots machines; gone at the end. Skipped where machines cannot boot, never in CI."""
    directory = tmp_path_factory.mktemp("machines")
    reason = driver("nspawn", directory).unavailable()
    lacking = reason or "; ".join(step.title for step in setup.missing())
    if lacking:
        assert os.environ.get("CI") != "true", lacking
        pytest.skip(f"machines cannot boot here: {lacking}")
    control.start(directory)
    yield directory
    control.reset(directory)


@pytest.fixture
def here(machines: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the library find that local cloud."""
    monkeypatch.setenv("CLOUDSHIP_LOCAL_DIR", str(machines))
    return machines


@pytest.fixture
def launch(here: Path) -> Iterator[Callable[..., Any]]:
    """Launch ships that are taken down after the test."""
    names: list[str] = []

    def up(source: Path | str, *, name: str, **asked: Any) -> Any:
        names.append(name)
        return cloudship.up(source, name=name, cloud="local", **asked)

    yield up
    for name in names:
        cloudship.down(name, cloud="local")


@pytest.fixture(scope="session")
def sdists(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Source distributions of Flask and httpbin, as they are published."""
    place = tmp_path_factory.mktemp("sdists")
    words = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", "-d", str(place)]
    subprocess.run([*words, "flask", "httpbin"], check=True, capture_output=True, timeout=180)
    for archive in place.glob("*.tar.gz"):
        with tarfile.open(archive) as opened:  # an early 3.11 has no filters
            opened.extractall(place, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))  # type: ignore[arg-type]  # noqa: S202  what the index published
        archive.unlink()
    return place
