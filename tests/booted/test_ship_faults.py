"""A live ship is spoilt: a deploy gets over it or names the cause, and the release before answers on."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from booted.deploying import shared_ship
from booted.inside import Machine
from booted.shipfaults import FAULTS, GOOD, ShipFault
from campaign.conftest import SOAK, record
from typing_extensions import Self

import cloudship
from cloudship.cli import failure
from cloudship.cli.interrupts import Interrupts
from cloudship.events import Output

CHOSEN = [name for name, fault in FAULTS.items() if fault.ci or SOAK]


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state folder that holds the ship's key."""
    return tmp_path_factory.mktemp("ship-state")


@pytest.fixture(scope="module")
def ship(machines: Path, state: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One ship for all these tests."""
    app = write(tmp_path_factory.mktemp("good") / "app", {})
    with shared_ship(app, name="battered", machines=machines, state=state) as found:
        yield found


def write(folder: Path, files: dict[str, str]) -> Path:
    """Write the good app, or what differs from it; a file without a text is left out."""
    for name, text in {**GOOD, **files}.items():
        if text:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
    return folder


class Visitor:
    """Somebody who looks at the page all the time."""

    def __init__(self, url: str) -> None:
        self._url, self._stop = url, threading.Event()
        self.seen: set[str] = set()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(0.05):
            self.seen.add(page(self._url))


def page(url: str) -> str:
    """Say what a visitor sees, and of which release."""
    try:
        with requests.get(url, timeout=15, stream=True) as answer:
            text = answer.raw.read(40).decode("utf-8", "replace")
            return f"{answer.status_code} by {answer.headers.get('X-Cloudship-Release')}: {text}"
    except requests.RequestException as error:
        return type(error).__name__


@pytest.mark.parametrize("name", CHOSEN)
def test_a_spoilt_ship(
    ship: Any,
    state: Path,
    here: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    """The release before answers until another does, the error names the cause, and mended, the next deploy works."""
    monkeypatch.setenv("CLOUDSHIP_STATE_DIR", str(state))
    fault, machine = FAULTS[name], Machine(here, ship.droplet_id)
    source = str(write(tmp_path / "app", dict(fault.files))) + fault.ref
    _until_whole(ship)
    before, live = page(ship.url), _live(ship)
    with Visitor(ship.url) as visitor:
        try:
            status, taken = _deployed(ship, machine, fault, source)
        finally:
            if fault.mends:
                machine.run(fault.mends)
    said = capsys.readouterr().err.strip()
    sys.stderr.write(f"\n{name}: status {status} after {taken:.1f} s\n{said}\n")
    assert (status != 0) is bool(fault.names)
    assert [] == [one for one in fault.names if one.lower() not in said.lower()]
    assert said.count("\n") < 12
    assert ("next: " in said) is bool(fault.names)
    assert taken < fault.seconds
    _until_whole(ship)
    if fault.names and not fault.goes_live:
        assert (live, before) == (_live(ship), page(ship.url))
        assert set() == (visitor.seen - {before} if fault.answers else set())
    assert [] == [one for one in visitor.seen if not one.startswith("200 ") and fault.answers]
    number = ship.deploy(write(tmp_path / "mended", {})).release
    assert f"200 by {number}: release {number}" == page(ship.url)
    record("T8 deploys", cases=1, points=1)


def _deployed(ship: Any, machine: Machine, fault: ShipFault, source: str) -> tuple[int, float]:
    """Break the ship, deploy to it, and give how that ended and how long it took."""
    if fault.breaks and not fault.during:
        machine.run(fault.breaks)
    began, broken = time.monotonic(), threading.Event()

    def hear(event: Any) -> None:
        if fault.during and isinstance(event, Output) and event.line.startswith("-> build") and not broken.is_set():
            broken.set()
            machine.run(fault.breaks, check=False)

    status = failure.guarded(lambda: _quietly(ship, source, hear), ["deploy"], Interrupts(lambda: None, tidies=True))
    return status, time.monotonic() - began


def _quietly(ship: Any, source: str, hear: Any) -> None:
    ship.deploy(source, notify=hear)


def _live(ship: Any) -> int:
    return int(ship.status()["release"])


def _until_whole(ship: Any) -> None:
    """Wait until the droplet lets us in again, and visitors are answered."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        try:
            if ship.status()["process"] == "running" and page(ship.url).startswith("200 "):
                return
        except cloudship.CloudshipError:
            pass
        time.sleep(0.1)
    raise AssertionError(page(ship.url))
