"""Machines that are spoilt before they boot: `up` gets over it, or says what was wrong, and leaves nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from booted.bootfaults import FAULTS, GOOD, BootFault
from booted.planting import Yard, yard
from booted.traces import Host
from campaign.conftest import SOAK, record

import cloudship
from cloudship.cli import failure
from cloudship.cli.interrupts import Interrupts
from cloudship.local import endpoint
from cloudship.models import Timeouts

SHIP = "spoilt"
CHOSEN = [name for name, fault in FAULTS.items() if fault.ci or SOAK]


@pytest.fixture(scope="module")
def place(machines: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """A local cloud of these tests' own."""
    with pytest.MonkeyPatch.context() as patch, yard(tmp_path_factory.mktemp("yard"), patch) as found:
        yield found


@pytest.fixture
def spoilt(place: Yard, monkeypatch: pytest.MonkeyPatch) -> Iterator[Yard]:
    """Point this process at that cloud; whatever was planted is gone afterwards."""
    monkeypatch.setenv("CLOUDSHIP_LOCAL_DIR", str(place.cloud))
    yield place
    place.mend()


@pytest.mark.parametrize("name", CHOSEN)
def test_a_spoilt_first_boot(spoilt: Yard, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """It is got over, or the error names the cause within its time; nothing is left in the account or on the host."""
    fault = FAULTS[name]
    app = _written(tmp_path / "app", fault)
    fault.plant(spoilt)
    before, began = Host(spoilt.cloud).traces(), time.monotonic()
    status = failure.guarded(lambda: _up(app, fault), ["up"], Interrupts(lambda: None, tidies=True))
    taken, said = time.monotonic() - began, capsys.readouterr().err.strip()
    sys.stderr.write(f"\n{name}: status {status} after {taken:.1f} s\n{said}\n")
    assert ([], before) == (_account(spoilt), Host(spoilt.cloud).settled(before))
    assert (1 if fault.names else 0) == status
    assert [] == [one for one in fault.names if one.lower() not in said.lower()]
    assert said.count("\n") < 12
    assert ("next: " in said) is bool(fault.names)
    assert taken < fault.seconds
    record("T8 first boots", cases=1, points=1)


def _written(folder: Path, fault: BootFault) -> Path:
    folder.mkdir()
    for path, text in (fault.files or GOOD).items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text)
    folder.with_suffix(".yaml").write_text(fault.user_data)
    return folder


def _up(app: Path, fault: BootFault) -> None:
    """Launch, look at the page, and take it down again."""
    asked: dict[str, Any] = dict(fault.config) | ({"user_data": app.with_suffix(".yaml")} if fault.user_data else {})
    limits = Timeouts(**dict(fault.limits))
    with cloudship.up(app, name=SHIP, cloud="local", timeouts=limits, **asked) as ship:
        assert "good" == requests.get(ship.url, timeout=30).text.rstrip()  # one says it in 64 MiB


def _account(place: Yard) -> list[str]:
    """Name whatever is in the account."""
    found = endpoint.read(place.cloud)
    assert found is not None
    listed = []
    for kind, path in (("droplets", "droplets"), ("ssh_keys", "account/keys"), ("tags", "tags")):
        answer = requests.get(f"{found.url}/v2/{path}", headers={"Authorization": f"Bearer {found.token}"}, timeout=10)
        listed += [f"{kind}: {one.get('name')}" for one in answer.json()[kind]]
    return [one for one in listed if one != "tags: cloudship"]
