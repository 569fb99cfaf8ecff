"""The fixtures: what a test made goes, however the run ends, and nothing else does."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from heeding import heed

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.slow

_WORDS = ("-q", "-p", "no:cacheprovider", "--cloudship-driver", "none")
_SHIP = """
    from cloudship import clouds, tags
    from cloudship.client import Client
    from cloudship.models import DropletRequest

    def ship():
        found = Client(clouds.local())
        asked = dict(region="nyc3", size="s-1vcpu-1gb", image="ubuntu-20-04-x64", ssh_keys=(), user_data="")
        carried = tags.launch_tags("web", "0123456789", "somebody", None, None)
        return found, found.create_droplet(DropletRequest(name="web-0123456789", tags=carried, **asked))
"""


def test_a_ship_that_was_there_before_stays(pytester: pytest.Pytester, flask_app: Path) -> None:
    """A launch under its name is refused, and its finalizer has nothing to take down."""
    pytester.makepyfile(
        _SHIP
        + f"""
    import pytest
    from cloudship.errors import ShipExists

    there = []

    def test_a_name_that_is_taken(ship_factory):
        there.extend(ship())
        with pytest.raises(ShipExists):
            ship_factory({str(flask_app)!r}, name="web")

    def test_it_is_there(ship_factory):
        assert there[0].droplet(there[1]).id == there[1]
        assert [] == there[0].ssh_keys() or () == there[0].ssh_keys()
    """
    )
    pytester.runpytest_subprocess(*_WORDS).assert_outcomes(passed=2)


def test_a_failed_launch_of_a_test_is_taken_down(pytester: pytest.Pytester, flask_app: Path) -> None:
    """By its own launch, beside another one of the name; whoever listens hears of it."""
    pytester.makepyfile(
        _SHIP
        + f"""
    import pytest
    from cloudship.errors import CloudshipError
    from cloudship.models import Timeouts

    def test_it_fails(ship_factory, local_cloud):
        local_cloud.fault("never_active", times=None)
        heard, more = [], dict(on_failure="keep", timeouts=Timeouts(active=1))
        with pytest.raises(CloudshipError):
            ship_factory({str(flask_app)!r}, name="web", notify=heard.append, **more)
        assert heard
        local_cloud.clear_faults()
        assert 1 == len(Client(clouds.local()).droplets())
        ship()

    def test_it_is_gone(local_cloud, monkeypatch):
        monkeypatch.setenv("CLOUDSHIP_LOCAL_DIR", str(local_cloud.directory))
        assert ["web-0123456789"] == [one.name for one in Client(clouds.local()).droplets()]
    """
    )
    pytester.runpytest_subprocess(*_WORDS).assert_outcomes(passed=2)


def test_ships_of_a_test_go_to_its_own_cloud(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the environment of whoever runs it leads, as after `eval "$(cloudship local env)"`."""
    monkeypatch.setenv("DIGITALOCEAN_API_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("DIGITALOCEAN_ACCESS_TOKEN", "dop_v1_real")
    pytester.makepyfile(
        """
        import os
        from cloudship import clouds
        from cloudship.models import Cloud

        def test_here(ship_factory, local_cloud):
            found = clouds.choose(Cloud.LOCAL, start_local=lambda: None)
            assert (f"{local_cloud.url}/v2/", local_cloud.token) == (found.url, found.token.reveal())
            assert "dop_v1_real" not in os.environ.values()
        """
    )
    pytester.runpytest_subprocess(*_WORDS).assert_outcomes(passed=1)


def _server_of(folder: Path) -> Path:
    (found,) = folder.read_text(encoding="utf-8").split()
    return Path(found)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_closed_terminal_runs_the_finalizers(pytester: pytest.Pytester, number: signal.Signals) -> None:
    """As Ctrl-C does: the local cloud is gone."""
    pytester.makepyfile(
        """
        import pathlib, time

        def test_it_waits(local_cloud):
            pathlib.Path("where").write_text(str(local_cloud.directory))
            time.sleep(60)
        """
    )
    words = [sys.executable, "-m", "pytest", *_WORDS, "--basetemp", str(pytester.path / "base")]
    process = subprocess.Popen(words, cwd=pytester.path, stdout=subprocess.DEVNULL, preexec_fn=heed)  # noqa: PLW1509
    try:
        deadline = time.monotonic() + 60
        while not (pytester.path / "where").exists() or not (pytester.path / "where").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(number)
        process.wait(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert [] == [*_server_of(pytester.path / "where").glob("endpoint.json")]


def test_what_an_interrupt_keeps_from_its_finalizer_goes_at_the_very_end(pytester: pytest.Pytester) -> None:
    """A second signal in the middle of the finalizers leaves no cloud behind."""
    pytester.makepyfile(
        """
        import pathlib, pytest

        @pytest.fixture(scope="session")
        def interrupted(local_cloud):
            yield
            raise KeyboardInterrupt

        def test_it(local_cloud, interrupted):
            pathlib.Path("where").write_text(str(local_cloud.directory))
        """
    )
    pytester.runpytest_subprocess(*_WORDS)
    assert [] == [*_server_of(pytester.path / "where").glob("endpoint.json")]
