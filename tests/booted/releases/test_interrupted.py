"""A kill or a power cut anywhere, a drain, a core that is never idle: one release is live, and gone back to."""

from __future__ import annotations

import concurrent.futures
import contextlib
import threading
import time
from pathlib import Path
from typing import Any

import digitalocean
import pytest
import requests
from booted.deploying import answered, until, write

from cloudship.errors import CloudshipError, GitError, ReleaseFailed


def test_a_live_release_that_is_started_again_is_no_less_than_before(ship: Any, app: Path) -> None:
    """A release starts behind the visitors; one that they are led to does not, whoever starts it."""
    number = ship.deploy(write(app, cloudship__toml="watch = 0\n")).release  # else that one would go back
    shown = f"systemctl show -p MainPID --value cloudship-app@{number}.service"
    ask = f'pid=$({shown}); ps -o ni= --pid "$pid" --ppid "$pid" | sort -u; cat "/proc/$pid/oom_score_adj"; echo "$pid"'

    def told() -> list[str]:
        return ship.run(["sh", "-c", ask], root=True).stdout.split()

    before = told()
    assert ["0", "0"] == before[:2]
    ship.run(f"kill -9 {before[2]}", root=True)
    until(lambda: len(told()) == 3 and told()[2] not in ("0", before[2]) and answered(ship) == str(number))
    assert ["0", "0"] == told()[:2]


STAGES = ("receive", "dependencies", "build", "release", "start", "probe", "switch")
IN_STAGES = "build = 'sleep 0.3'\nrelease = 'sleep 0.3'\n"


@pytest.mark.parametrize("stage", STAGES)
def test_a_kill_of_the_release_program_at_any_stage_leaves_one_live(ship: Any, app: Path, stage: str) -> None:
    """The old or the new release answers, and the next deploy works."""
    before = int(requests.get(ship.url, timeout=30).text.split()[0])
    killed = threading.Event()

    def kill(event: Any) -> None:
        if not killed.is_set() and getattr(event, "line", "").startswith(f"-> {stage}"):
            killed.set()
            ship.run("pkill -9 -f 'droplet [h]ook'", root=True)

    source = write(app, mark=stage, cloudship__toml=IN_STAGES)
    with contextlib.suppress(ReleaseFailed, GitError):  # the kill may come after the switch, which takes no time
        ship.deploy(source, notify=kill)
    assert killed.is_set()
    live = int(requests.get(ship.url, timeout=30).text.split()[0])
    assert live >= before
    number = ship.deploy(write(app)).release
    assert str(number) == requests.get(ship.url, timeout=30).text.split()[0]


@pytest.mark.parametrize("stage", STAGES)
def test_a_droplet_that_loses_its_power_at_any_stage_comes_back_with_one_live(ship: Any, app: Path, stage: str) -> None:
    """The old or the new release answers after the next boot, and the next deploy works."""
    before = int(requests.get(ship.url, timeout=30).text.split()[0])
    machine = digitalocean.Droplet(id=ship.droplet_id, token=ship._client._endpoint.token.reveal())
    machine.end_point = ship._client._endpoint.url
    cut = threading.Event()

    def cut_power(event: Any) -> None:
        if not cut.is_set() and getattr(event, "line", "").startswith(f"-> {stage}"):
            cut.set()
            machine.power_off()

    source = write(app, mark=f"power {stage}", cloudship__toml=IN_STAGES)
    with contextlib.suppress(CloudshipError):  # the cut may come after the switch, which takes no time
        ship.deploy(source, notify=cut_power)
    assert cut.is_set()
    until(lambda: machine.load().status == "off")
    machine.power_on()
    until(lambda: answered(ship, limit=2), limit=240)
    assert int(answered(ship)) >= before
    number = ship.deploy(write(app)).release
    assert str(number) == answered(ship)


def test_a_rollback_to_a_release_that_still_drains_loses_nothing(ship: Any, app: Path) -> None:
    """A request that the old one is at work on ends well, and so do those that come after it is live again."""
    ship.deploy(write(app, work="time.sleep(3 if __import__('flask').request.args else 0)", mark="slow"))
    slow = ship.status()["release"]
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(requests.get, f"{ship.url}?slow=1", timeout=20)
        time.sleep(0.3)
        ship.deploy(write(app))
        ship.rollback(slow)
        assert str(slow) == answered(ship)
        assert (200, f"{slow} slow") == (waiting.result().status_code, waiting.result().text)
    time.sleep(2)  # whoever drains must have seen by now that it is live
    assert [str(slow)] * 5 == [answered(ship) for _ in range(5)]
    ship.deploy(write(app))


def test_a_release_whose_loops_leave_nothing_of_the_cores_can_be_gone_back_from(
    ship: Any, app: Path, tmp_path: Path
) -> None:
    """Also on a single core: a release starts behind whoever has visitors, yet not for ever."""
    good = ship.deploy(write(app)).release
    loop = "import threading\ndef loop():\n    while True:\n        pass\n"
    loop += "for _ in range(4):\n    threading.Thread(target=loop, daemon=True).start()\n"
    quick = "watch = 0\ndrain = 1\n"
    ship.deploy(write(tmp_path / "loops", top=loop, cloudship__toml=quick))
    state = f"systemctl show -p ActiveState --value cloudship-app@{good}.service"
    until(lambda: ship.run(state, root=True).stdout.strip() == "inactive", limit=120)
    # A local droplet has its share of all cores of the host; a real one of this size has one core.
    all_on = "for one in /proc/[0-9]*; do taskset -a -p {} ${{one#/proc/}} >/dev/null 2>&1; done"
    ship.run(["sh", "-c", all_on.format("1")], root=True)
    try:
        assert good == ship.rollback()
        assert str(good) == answered(ship)
    finally:
        ship.run(["sh", "-c", all_on.format("ffffffff")], root=True)
