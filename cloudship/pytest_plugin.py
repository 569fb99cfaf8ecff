"""
Fixtures that give a test a real droplet: `ship_factory`, and `local_cloud` under it.

The finalizer of a ship is registered before the ship is created, so a failed or interrupted launch is taken down
like any other; what cannot be taken down fails the run, with its id and the command for it.
"""

from __future__ import annotations

import re
import secrets
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import pytest

from cloudship.local.handle import LocalCloud as Handle

if TYPE_CHECKING:
    from cloudship.ship import Ship

_NAME_LIMIT = 30  # letters of the test's name in the ship's


class LocalCloud(Handle):
    """
    A local cloud of the test session's own, with its knobs: time, transitions, faults, the requests it saw.

    Args:
        directory: where its state lies.
        url: where it answers.
        token: what opens it.
        driver: what gives its droplets a body.
    """

    def __init__(self, directory: Path, url: str, token: str, driver: str) -> None:
        super().__init__(url, token)
        self.directory, self.driver = directory, driver

    def environment(self) -> dict[str, str]:
        """Give the variables that point cloudship, and any client of DigitalOcean's API, at it."""
        return {"CLOUDSHIP_LOCAL_DIR": str(self.directory), **super().environment()}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("cloudship")
    group.addoption(
        "--cloudship", choices=("local", "digitalocean"), default="local", help="where ships of tests are launched"
    )
    group.addoption(
        "--cloudship-driver",
        choices=("nspawn", "none"),
        default="nspawn",
        help="what gives droplets of the local cloud a body; none: no machine, for tests of the API side",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Let SIGTERM run the finalizers, as Ctrl-C does; left alone where somebody else handles it."""
    del config  # the same for all
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _interrupt)


@pytest.fixture(scope="session")
def local_cloud(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """Give a local cloud that nobody else uses; it is gone, with all its droplets, at the end."""
    from cloudship.local import control

    directory = tmp_path_factory.mktemp("local-cloud")
    request.addfinalizer(lambda: control.reset(directory))
    found = control.start(directory, driver=request.config.getoption("--cloudship-driver"))
    yield LocalCloud(directory, found.url, found.token, found.driver)


@pytest.fixture
def ship_factory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ship]:
    """
    Give a function that launches ships for this test, and takes each down after it.

    The function takes what `cloudship.up` takes; the name is made from the test's.
    """
    cloud = request.config.getoption("--cloudship")
    if cloud == "local":
        directory = request.getfixturevalue("local_cloud").directory
        monkeypatch.setenv("CLOUDSHIP_LOCAL_DIR", str(directory))

    def launch(source: str | Path, **asked: Any) -> Ship:
        from cloudship import launch as library

        name = asked.pop("name", None) or _name(request.node.name)
        request.addfinalizer(lambda: _take_down(name, cloud))
        return library.up(source, name=name, cloud=cloud, **asked)

    return launch


def _name(test: str) -> str:
    readable = re.sub(r"[^a-z0-9]+", "-", test.lower().removeprefix("test_")).strip("-")[:_NAME_LIMIT]
    return f"t-{readable}-{secrets.token_hex(2)}".replace("--", "-")


def _take_down(name: str, cloud: str) -> None:
    from cloudship import fleet
    from cloudship.errors import LeftBehind

    try:
        fleet.down(name, cloud=cloud)
    except LeftBehind as error:
        left = ", ".join(str(one) for one in error.left)
        pytest.fail(f"{error}: {left}; run: {error.advice}", pytrace=False)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
