"""`up` on a terminal, against a local cloud without machines: what a person sees, and what Ctrl-C leaves."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from orders import order
from screens import Screen

from cloudship import tags
from cloudship.client import Client
from cloudship.local.handle import LocalCloud

pytestmark = pytest.mark.slow

Launch = Callable[[int], Screen]


@pytest.fixture
def launch(cloud: Any, flask_app: Path, tmp_path: Path) -> Iterator[Launch]:
    """Launch a ship whose droplet never becomes active, on a terminal so wide."""
    LocalCloud(cloud.url, cloud.token).fault("never_active", times=None)
    env = {**_aimed_at(cloud), "CLOUDSHIP_STATE_DIR": str(tmp_path / "state"), "TERM": "xterm-256color"}
    env.pop("NO_COLOR", None)
    env.pop("COLUMNS", None)
    opened: list[Screen] = []

    def up(columns: int) -> Screen:
        opened.append(Screen(columns))
        opened[-1].start([sys.executable, "-m", "cloudship", "up", str(flask_app)], env)
        opened[-1].wait_for(lambda text: "last answer: status new" in " ".join(text.split()))
        return opened[-1]

    yield up
    for screen in opened:
        screen.__exit__(None, None, None)


def _aimed_at(cloud: Any) -> dict[str, str]:
    return {**os.environ, "DIGITALOCEAN_END_POINT": f"{cloud.url}/v2/", "DIGITALOCEAN_TOKEN": cloud.token}


def _left(client: Client) -> int:
    return len(client.droplets()) + len(client.ssh_keys())


def test_ctrl_c_takes_down_what_was_made_and_gives_the_terminal_back(launch: Launch, client: Client) -> None:
    """The first line names the cloud; 130, the cursor is there again, and the last line says that nothing is left."""
    screen = launch(40)
    assert screen.lines()[0].startswith("cloud: local")
    assert (2, True) == (_left(client), screen.cursor_is_hidden)
    assert "to be active" in " ".join(screen.text.split())
    screen.interrupt()
    assert 130 == screen.status()
    assert "interrupted; nothing is left behind" == screen.text.splitlines()[-1]
    assert any(line.startswith("x active") and line.endswith("s") for line in screen.lines())
    assert (0, False) == (_left(client), screen.cursor_is_hidden)
    assert "Traceback" not in screen.text


def test_a_second_ctrl_c_says_what_may_be_left_and_gives_the_terminal_back(
    launch: Launch, cloud: Any, client: Client
) -> None:
    """At once, with the command that takes it down; the cursor is there again."""
    screen = launch(80)
    LocalCloud(cloud.url, cloud.token).fault("delay", operation="droplets_*", seconds=10, times=None)
    screen.interrupt()
    screen.wait_for(lambda text: "once more to stop waiting" in text)
    screen.interrupt()
    assert 130 == screen.status(limit=15)
    told = screen.text.partition("stopped waiting")[2]
    assert "may be left: droplet" in told
    assert "next: cloudship down tiny --cloud local" in told
    assert not screen.cursor_is_hidden


def test_setup_asks_before_it_installs_and_takes_no_for_an_answer(tmp_path: Path) -> None:
    """Each step with the command that does it; nothing is built, and what else can be done is said."""
    env = {**os.environ, "CLOUDSHIP_CACHE_DIR": str(tmp_path / "cache")}
    with Screen(120) as screen:
        screen.start([sys.executable, "-m", "cloudship", "local", "setup"], env)
        shown = screen.wait_for(lambda text: "Do it? [Y/n]:" in text)
        assert "build the root file system of ubuntu-20-04-x64, once\n    cloudship local setup" in shown
        screen.write("n\r")
        assert 2 == screen.status()
        assert "error: Nothing was installed" in screen.text
        assert "next: type the commands above yourself" in screen.text
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("words", "asked", "said"),
    [
        (["down", "--all"], "Take down this ship? [y/N]:", "nothing was taken down"),
        (["local", "reset"], "of the local cloud? [y/N]:", "nothing was destroyed"),
    ],
)
def test_no_is_an_answer_and_no_interruption(
    cloud: Any, client: Client, words: list[str], asked: str, said: str
) -> None:
    """Nothing is destroyed, which is said, and the status is 1."""
    client.create_droplet(order("web-0123456789", tags.launch_tags("web", "0123456789", "me", None, None)))
    with Screen(120) as screen:
        screen.start([sys.executable, "-m", "cloudship", *words], {**_aimed_at(cloud), "CLOUDSHIP_OWNER": "me"})
        screen.wait_for(lambda text: asked in text)
        screen.write("n\r")
        assert (1, said) == (screen.status(), screen.text.splitlines()[-1])
    assert 1 == len(client.droplets())
