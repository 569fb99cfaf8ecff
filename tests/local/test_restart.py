"""The local cloud's own life: restarts, crashes, two starts at once."""

from __future__ import annotations

import os
import signal
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import digitalocean
import pytest
import requests

from cloudship import clouds
from cloudship.local import control
from cloudship.local.endpoint import Endpoint, read
from cloudship.local.errors import LocalCloudError

pytestmark = pytest.mark.slow


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A directory whose local cloud is gone at the end."""
    yield tmp_path
    control.reset(tmp_path)


def _make(endpoint: Endpoint) -> int:
    asked = {"name": "web", "size": "s-1vcpu-1gb", "image": "ubuntu-20-04-x64", "tags": ["t"]}
    headers = {"Authorization": f"Bearer {endpoint.token}"}
    return int(
        requests.post(f"{endpoint.url}/v2/droplets", json=asked, headers=headers, timeout=9).json()["droplet"]["id"]
    )


def _droplets(endpoint: Endpoint) -> list[tuple[int, str, str]]:
    headers = {"Authorization": f"Bearer {endpoint.token}"}
    told = requests.get(f"{endpoint.url}/v2/droplets", headers=headers, timeout=9).json()["droplets"]
    return [(one["id"], one["status"], one["networks"]["v4"][0]["ip_address"]) for one in told]


def test_droplets_survive_a_stop_and_a_start(place: Path) -> None:
    """Same ids, same addresses, same token, active again."""
    first = control.start(place, driver="none")
    _make(first)
    before = _droplets(first)
    assert control.stop(place)
    second = control.start(place, driver="none")
    assert before == _droplets(second)
    assert first.token == second.token


def test_files_of_the_folder_where_somebody_stands_take_nobodys_place(
    place: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An app's own secrets.py, or its folder called cloudship, is not what a server imports, nor who starts one."""
    folder = tmp_path_factory.mktemp("app")
    for name in ("secrets.py", "typing_extensions.py", "cloudship.py"):
        (folder / name).write_text(f"raise SystemExit('{name} of the app was run')\n")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("CLOUDSHIP_LOCAL_DIR", str(place))
    monkeypatch.setenv("CLOUDSHIP_LOCAL_DRIVER", "none")
    clouds.start_by_command()
    assert read(place) is not None


def test_a_killed_server_is_found_dead_and_started_again(place: Path) -> None:
    """kill -9 leaves an endpoint file that nobody believes."""
    first = control.start(place, driver="none")
    _make(first)
    before = _droplets(first)
    os.kill(first.pid, signal.SIGKILL)
    while read(place) is not None:
        time.sleep(0.01)
    second = control.start(place, driver="none")
    assert first.pid != second.pid
    assert before == _droplets(second)


def test_starting_twice_finds_the_first(place: Path) -> None:
    """Also when both start at the same moment."""
    found: list[Endpoint] = []
    threads = [threading.Thread(target=lambda: found.append(control.start(place, driver="none"))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 == len({one.pid for one in found})


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
def test_all_files_are_for_their_owner_alone_whatever_the_umask(place: Path, umask: int) -> None:
    """Database, log, endpoint and token are 0600 in a directory of 0700, also in one that was made before."""
    place.chmod(0o755)
    before = os.umask(umask)
    try:
        _make(control.start(place, driver="none"))
    finally:
        os.umask(before)
    names = ("account.sqlite", "account.sqlite-wal", "account.sqlite-shm", "server.log", "endpoint.json", "token")
    assert dict.fromkeys(names, 0o600) == {name: stat.S_IMODE((place / name).stat().st_mode) for name in names}
    assert 0o700 == stat.S_IMODE(place.stat().st_mode)


def test_a_directory_that_holds_other_things_keeps_its_mode(place: Path) -> None:
    """Whoever names their home does not find it changed."""
    (place / "notes").touch()
    place.chmod(0o755)
    control.start(place, driver="none")
    assert 0o755 == stat.S_IMODE(place.stat().st_mode)


def test_a_token_that_was_never_written_opens_nothing(place: Path) -> None:
    """A crash may have left an empty file: another is minted, and an empty one is refused."""
    (place / "token").touch()
    found = control.start(place, driver="none")
    assert len(found.token) > 32
    for header in ("Bearer", "Bearer ", ""):
        answer = requests.get(f"{found.url}/v2/account", headers={"Authorization": header}, timeout=9)
        assert 401 == answer.status_code


def test_the_status_is_asked_of_the_server(place: Path) -> None:
    """Whoever may not read the database, since root made it, hears the right number all the same."""
    _make(control.start(place, driver="none"))
    (place / "account.sqlite").rename(place / "hidden")
    assert 1 == control.status(place).droplets


def test_stopping_what_does_not_run_is_no_error(place: Path) -> None:
    """It says that nothing ran."""
    assert not control.stop(place)


def test_reset_destroys_everything(place: Path) -> None:
    """After it the account is new."""
    _make(control.start(place, driver="none"))
    control.reset(place)
    assert 0 == control.status(place).droplets
    assert [] == _droplets(control.start(place, driver="none"))


def test_a_driver_that_does_not_exist_is_named(place: Path) -> None:
    """The message lists those that do."""
    with pytest.raises(LocalCloudError, match="nspawn, none"):
        control.start(place, driver="vmware")


def test_the_environment_points_python_digitalocean_at_it(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client of the field works with nothing but the printed variables."""
    for name, value in control.start(place, driver="none").environment().items():
        monkeypatch.setenv(name, value)
    droplet = digitalocean.Droplet(
        token=os.environ["DIGITALOCEAN_ACCESS_TOKEN"],
        name="web",
        size_slug="s-1vcpu-1gb",
        image="ubuntu-20-04-x64",
        region="nyc3",
        tags=["t"],
    )
    droplet.create()
    manager = digitalocean.Manager(token=os.environ["DIGITALOCEAN_ACCESS_TOKEN"])
    assert [droplet.id] == [one.id for one in manager.get_all_droplets(tag_name="t")]
    assert droplet.destroy()
    with pytest.raises(digitalocean.NotFoundError):
        manager.get_droplet(droplet.id)
