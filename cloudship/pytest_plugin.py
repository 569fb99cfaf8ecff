"""
Fixtures that give a test a real droplet: `ship_factory`, and `local_cloud` under it.

The finalizer of a ship is registered before the ship is created, so a failed or interrupted launch is taken down
like any other; what cannot be taken down fails the run, with its id and the command for it. It takes down what its own
launch made, never a ship that was there before. What a second signal keeps from its finalizer goes at the very end.
"""

from __future__ import annotations

import re
import secrets
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import pytest

from cloudship.events import Chosen, Event, Notify, nobody
from cloudship.local.handle import LocalCloud as Handle

if TYPE_CHECKING:
    from cloudship.ship import Ship

_NAME_LIMIT = 30  # letters of the test's name in the ship's
_LEFT = pytest.StashKey[dict[object, Callable[[], object]]]()  # what is to be taken away, in the order it was made


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
    """Let SIGTERM and SIGHUP run the finalizers, as Ctrl-C does; left alone where somebody else handles them."""
    del config  # the same for all
    for number in (signal.SIGTERM, signal.SIGHUP):
        if threading.current_thread() is threading.main_thread() and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _interrupt)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Do what finalizers were kept from, as by a second signal."""
    for act in [*reversed(config.stash.get(_LEFT, {}).values())]:
        act()


@pytest.fixture(scope="session")
def local_cloud(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """Give a local cloud that nobody else uses; it is gone, with all its droplets, at the end."""
    from cloudship.local import control

    directory = tmp_path_factory.mktemp("local-cloud")
    _at_the_end(request, lambda: control.reset(directory))
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
        _point_at(request.getfixturevalue("local_cloud"), monkeypatch)

    def launch(source: str | Path, *, notify: Notify = nobody, **asked: Any) -> Ship:
        from cloudship import launch as library

        name, launches = asked.pop("name", None) or _name(request.node.name), list[str]()

        def hear(event: Event) -> None:
            if isinstance(event, Chosen):
                launches.append(event.launch)
            notify(event)

        _at_the_end(request, lambda: _take_down(name, launches, cloud))
        return library.up(source, name=name, cloud=cloud, notify=hear, **asked)

    return launch


def _point_at(found: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lead all that a test does to its own cloud, wherever the user's environment leads."""
    from cloudship.clouds import ENDPOINT_VARIABLES, TOKEN_VARIABLES

    for name in (*ENDPOINT_VARIABLES, *TOKEN_VARIABLES):
        monkeypatch.delenv(name, raising=False)
    for name, value in found.environment().items():
        monkeypatch.setenv(name, value)


def _at_the_end(request: pytest.FixtureRequest, act: Callable[[], object]) -> None:
    """Have something done when a fixture's time is over, or at the very end where it was not done then."""
    left, mark = request.config.stash.setdefault(_LEFT, {}), object()
    left[mark] = act

    def finish() -> None:
        act()
        left.pop(mark, None)

    request.addfinalizer(finish)


def _name(test: str) -> str:
    readable = re.sub(r"[^a-z0-9]+", "-", test.lower().removeprefix("test_")).strip("-")[:_NAME_LIMIT]
    return f"t-{readable}-{secrets.token_hex(2)}".replace("--", "-")


def _take_down(name: str, launches: Sequence[str], cloud: str) -> None:
    from cloudship import fleet
    from cloudship.errors import LeftBehind

    try:
        for launch in launches:
            fleet.down(name, cloud=cloud, launch=launch)
    except LeftBehind as error:
        left = ", ".join(str(one) for one in error.left)
        pytest.fail(f"{error}: {left}; run: {error.advice}", pytrace=False)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
