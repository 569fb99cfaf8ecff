"""Ctrl-C and SIGTERM, as they reach a real process: the first cleans up, the second stops waiting."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from heeding import heed
from orders import order

from cloudship import tags
from cloudship.client import Client
from cloudship.local.handle import LocalCloud

pytestmark = pytest.mark.slow

PROMPT = 8.0  # seconds: two are promised to a person at rest, the others a busy machine takes
Start = Callable[..., subprocess.Popen[str]]
_AS_ALWAYS = "from cloudship.cli import main; main()"  # as the installed script does
_TELLING_WHEN_IT_BEGINS = "from cloudship.cli import main; print('begun', flush=True); main()"


@pytest.fixture
def knobs(cloud: Any) -> LocalCloud:
    """The handle on this test's local cloud."""
    return LocalCloud(cloud.url, cloud.token)


@pytest.fixture
def start(cloud: Any, tmp_path: Path) -> Iterator[Start]:
    """Start cloudship with nothing but that local cloud within reach; none outlives the test."""
    running: list[subprocess.Popen[str]] = []
    env = {**os.environ, "DIGITALOCEAN_END_POINT": f"{cloud.url}/v2/", "DIGITALOCEAN_TOKEN": cloud.token}
    env |= {"CLOUDSHIP_STATE_DIR": str(tmp_path / "state"), "CLOUDSHIP_OWNER": "me", "TMPDIR": str(tmp_path)}

    def command(*words: str, code: str = _AS_ALWAYS) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=env,
            preexec_fn=heed,  # noqa: PLW1509  no thread runs yet in there
        )
        running.append(process)
        return process

    yield command
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


def _when(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _said(process: subprocess.Popen[str], beginning: str) -> None:
    assert process.stderr is not None
    while not (line := process.stderr.readline()).startswith(beginning):
        assert line


def _interrupted_while_destroying(process: subprocess.Popen[str], knobs: LocalCloud) -> str:
    """Send one signal once the end of a droplet was asked for, and give what was said until the process ended."""
    _when(lambda: any(one["operation"] == "droplets_destroy" for one in knobs.requests()))
    process.send_signal(signal.SIGINT)
    return process.communicate(timeout=120)[1]


def _launching(start: Start, knobs: LocalCloud, client: Client, app: Path) -> subprocess.Popen[str]:
    """Start a launch that waits for its droplet for ever."""
    knobs.fault("never_active")
    process = start("up", str(app), "--name", "web")
    _when(lambda: any(_asks_for_one(request) for request in knobs.requests()))  # the create's answer has been read
    return process


def _asks_for_one(request: dict[str, Any]) -> bool:
    return bool(request["operation"] == "droplets_get")


def _droplet(client: Client, name: str) -> int:
    asked = order(tags.droplet_name(name, "a" * 10), tags.launch_tags(name, "a" * 10, "me", None, None))
    return client.create_droplet(asked)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)])
def test_the_first_signal_cleans_up(
    start: Start, knobs: LocalCloud, client: Client, flask_app: Path, number: int, status: int
) -> None:
    """In the middle of a wait: droplet, key and tags are gone, and the exit status names the signal."""
    process = _launching(start, knobs, client, flask_app)
    process.send_signal(number)
    _, said = process.communicate(timeout=120)
    assert status == process.returncode, said
    assert ((), ()) == (client.droplets(), client.ssh_keys())
    assert "Traceback" not in said


def test_the_second_signal_stops_waiting_and_names_what_may_be_left(
    start: Start, knobs: LocalCloud, client: Client, flask_app: Path
) -> None:
    """Within two seconds, although the cloud will not let the droplet go; the command it names mends it."""
    process = _launching(start, knobs, client, flask_app)
    knobs.fault("delete_ignored", times=None)
    process.send_signal(signal.SIGINT)
    _when(lambda: any(one["operation"] == "droplets_destroy" for one in knobs.requests()))
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert time.monotonic() - began < PROMPT
    assert 130 == process.returncode, said
    assert f"may be left: droplet {client.droplets()[0].id}" in said
    assert "next: cloudship down web --cloud local" in said
    knobs.clear_faults()
    mended = start("down", "web", "--cloud", "local")
    mended.communicate(timeout=120)
    assert (0, (), ()) == (mended.returncode, client.droplets(), client.ssh_keys())


def test_an_api_that_hangs_does_not_hold_the_second_signal_up(
    start: Start, knobs: LocalCloud, client: Client, flask_app: Path
) -> None:
    """The process ends within two seconds although no answer comes."""
    process = _launching(start, knobs, client, flask_app)
    number = client.droplets()[0].id
    knobs.fault("silence", times=None)
    process.send_signal(signal.SIGTERM)
    _said(process, "interrupted")
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert time.monotonic() - began < PROMPT
    assert (143, True) == (process.returncode, f"may be left: droplet {number}" in said), said
    knobs.clear_faults()


def test_a_teardown_is_finished_before_the_first_signal_ends_it(
    start: Start, knobs: LocalCloud, client: Client
) -> None:
    """`down`, interrupted once, leaves nothing and ends with 130."""
    _droplet(client, "web")
    knobs.fault("delete_ignored", times=2)
    process = start("down", "web", "--cloud", "local")
    said = _interrupted_while_destroying(process, knobs)
    assert (130, ()) == (process.returncode, client.droplets()), said


def test_a_rollback_is_finished_before_the_first_signal_ends_it(
    start: Start, knobs: LocalCloud, client: Client, flask_app: Path
) -> None:
    """The launch fails by itself, and Ctrl-C comes while it is being undone."""
    knobs.fault("status", operation="droplets_get", status=401)
    knobs.fault("delete_ignored", times=2)
    process = start("up", str(flask_app), "--name", "web")
    said = _interrupted_while_destroying(process, knobs)
    assert (130, (), ()) == (process.returncode, client.droplets(), client.ssh_keys()), said


def test_the_teardown_of_a_dead_launch_is_finished_before_the_first_signal_ends_it(
    start: Start, knobs: LocalCloud, client: Client, flask_app: Path
) -> None:
    """A launch replaces one that was killed, and Ctrl-C comes meanwhile: nothing is left of either."""
    killed = _launching(start, knobs, client, flask_app)
    killed.kill()
    killed.communicate()
    dead = client.droplets()[0].id
    knobs.clear_requests()
    knobs.fault("delete_ignored", times=2)
    process = start("up", str(flask_app), "--name", "web")
    said = _interrupted_while_destroying(process, knobs)
    assert (130, (), ()) == (process.returncode, client.droplets(), client.ssh_keys()), said
    assert f"the teardown is finished first\ndestroying droplet {dead}" in said
    assert said.endswith("interrupted; nothing is left behind\n")


@pytest.mark.parametrize(
    ("words", "steps"),
    [
        (("down", "web", "-v"), ["down web"]),
        (("down", "--cloud", "local", "web"), ["down web --cloud local"]),
        (("down", "--all", "--yes"), ["down --all", "reap"]),
        (("reap", "--cloud", "local"), ["reap --cloud local"]),
    ],
)
@pytest.mark.parametrize("looking", [True, False])
def test_a_teardown_that_is_broken_off_names_the_command_that_finishes_it(
    start: Start, knobs: LocalCloud, client: Client, words: tuple[str, ...], steps: list[str], looking: bool
) -> None:
    """Wherever the ship and the cloud stand on the command line, and were it only looking for what there is."""
    tagged = tags.launch_tags("web", "a" * 10, "me", int(time.time()) - 60, None)
    client.create_droplet(order(tags.droplet_name("web", "a" * 10), tagged))
    more = {"kind": "delay", "operation": "GET /v2/droplets*", "seconds": 10} if looking else {"kind": "delete_ignored"}
    knobs.fault(**more, times=None)
    knobs.clear_requests()
    process = start(*words)
    if looking:
        _when(lambda: any(one["method"] == "GET" for one in knobs.requests()))
    else:
        _said(process, "destroying droplet")
    process.send_signal(signal.SIGINT)
    if not looking or "web" in words:  # else nothing is finished first, and one signal is the end
        _said(process, "interrupted; cleaning up")
        process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert 130 == process.returncode, said
    assert [f"next: cloudship {step}" for step in steps] == [line for line in said.splitlines() if "next:" in line]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("after", [0.0, 0.005, 0.02, 0.05, 0.1, 0.15, 0.2])
def test_a_signal_while_the_command_is_loaded_ends_it_quietly(
    start: Start, knobs: LocalCloud, client: Client, flask_app: Path, number: int, status: int, after: float
) -> None:
    """From the first line of ours on: no traceback, the status a shell knows the signal by, and nothing is left."""
    knobs.fault("never_active", times=None)
    process = start("up", str(flask_app), "--name", "web", code=_TELLING_WHEN_IT_BEGINS)
    assert process.stdout is not None
    assert "begun" == process.stdout.readline().strip()
    time.sleep(after)
    process.send_signal(number)
    _, said = process.communicate(timeout=120)
    assert "Traceback" not in said
    assert status == (process.returncode if process.returncode >= 0 else 128 - process.returncode), said
    assert ((), ()) == (client.droplets(), client.ssh_keys())


def test_the_second_launch_on_this_machine_is_told_who_has_the_ship(
    start: Start, knobs: LocalCloud, client: Client, flask_app: Path
) -> None:
    """By process, user and time; nothing is created for it."""
    first = _launching(start, knobs, client, flask_app)
    second = start("up", str(flask_app), "--name", "web")
    _, said = second.communicate(timeout=120)
    assert (1, 1) == (second.returncode, len(client.droplets()))
    assert f"by process {first.pid} of " in said
    assert ", since 20" in said
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=120)
    assert () == client.droplets()


_BUSY_IN_C = """
import hashlib, sys
from cloudship import fleet

def down(*_, **__):
    print("begun", file=sys.stderr, flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)  # as a name that is looked up: no handler of Python's runs meanwhile

fleet.down = down
from cloudship.cli import main; main()
"""


def test_a_main_thread_that_hears_nothing_does_not_hold_the_second_signal_up(start: Start) -> None:
    """A name server that is silent keeps Python from its handlers, and makes one signal of two."""
    process = start("down", "web", "--cloud", "local", code=_BUSY_IN_C)
    _said(process, "begun")
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PROMPT * 3)
    assert time.monotonic() - began < PROMPT
    assert 130 == process.returncode
