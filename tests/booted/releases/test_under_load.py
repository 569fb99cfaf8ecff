"""Nobody notices a release, and a broken one changes nothing."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import requests
from booted.deploying import CLIENTS, Load, until, write
from campaign.conftest import SOAK, record


def test_twenty_deploys_and_twenty_rollbacks_lose_no_request(ship: Any, app: Path) -> None:
    """Under a constant load from outside, not one request fails or is refused."""
    with Load(ship) as load:
        time.sleep(3)
        before = len(load.times)
        for turn in range(20):
            ship.deploy(write(app, mark=f"turn {turn}"))
            ship.rollback()
            ship.rollback(ship.releases()[0].number)
        time.sleep(1)
        after = len(load.times)
        time.sleep(3)
    assert [] == load.failed
    assert after > before + 500
    rest = max(load.p99(0, before), load.p99(after))  # others on this machine may have begun, or ended, meanwhile
    assert load.p99(before, after) < 10 * max(rest, 0.02)  # the bar itself, three times, is measured by `make bench`


SHORT = {"cloudship__toml": "[health]\ntimeout = 20\n"}
BROKEN: dict[str, tuple[dict[str, str], str]] = {
    "does not install": ({"requirements__txt": "no-such-package-anywhere==9.9\n"}, "no-such-package"),
    "does not import": ({"top": "import nothing_of_that_name"}, "nothing_of_that_name"),
    "a name that is not there": ({"top": "undefined_thing()"}, "undefined_thing"),
    "no app in it": ({"top": "del app"}, "app"),
    "a syntax error": ({"top": "def ("}, "syntax"),
    "answers 500": ({"work": "raise RuntimeError('the cause')"}, "answered 500"),
    "exits at import": (
        {"top": "raise SystemExit('given up')", "cloudship__toml": "[health]\ntimeout = 8\n"},
        "given up",
    ),
    "ends as soon as it is asked": ({"work": "os.kill(os.getppid(), 9)"}, "ended"),
    "a value that is missing": ({"top": "os.environ['NOT_GIVEN']"}, "NOT_GIVEN"),
    "a database that is not there": ({"top": "import sqlite3; sqlite3.connect('/nowhere/x.db')"}, "unable to open"),
    "writes where it may not": ({"top": "open('/etc/x', 'w')"}, "Read-only"),
    "a release command that fails": ({"cloudship__toml": "release = 'echo broken; exit 3'\n"}, "broken"),
    "a build command that fails": ({"cloudship__toml": "build = 'exit 4'\n"}, "the build command"),
    "a key that there is not": ({"cloudship__toml": "sharde = ['x']\n"}, "sharde"),
    "a schedule that cannot be": (
        {"cloudship__toml": "[[schedule]]\nrun = 'true'\nwhen = '61 * * * *'\n"},
        "minute",
    ),
    "hangs": ({"work": "time.sleep(60)", "cloudship__toml": "[health]\ntimeout = 2\n"}, "for 2 s"),
    "never binds": ({"Procfile": "web: sleep 60\n", "cloudship__toml": "[health]\ntimeout = 2\n"}, "does not answer"),
    "a program that is missing": ({"Procfile": "web: no-such-program\n"}, "no-such-program"),
    "another status than asked for": ({"cloudship__toml": "[health]\nstatus = 204\ntimeout = 30\n"}, "answered 200"),
    "a page that fails": (
        {"top": "@app.get('/up')\ndef up():\n    1 / 0\n", "cloudship__toml": "[health]\npath = '/up'\n"},
        "answered 500",
    ),
    "a Python that there is not": ({"__python-version": "2.7\n"}, "2.7"),
    "eats its memory": ({"top": "x = bytearray(1 << 40)"}, "MemoryError"),
    "eats its memory bit by bit": (
        {"top": "hoard = []\nwhile True:\n    hoard.append(bytearray(1 << 24))", **SHORT},
        "out of memory",
    ),
    "requirements that contradict": ({"requirements__txt": "flask==3.0.0\nwerkzeug<1\n"}, "werkzeug"),
    "a broken requirements file": ({"requirements__txt": "flask ===== 3\n"}, "requirements"),
    "recursion": ({"top": "def f(): return f()\nf()"}, "RecursionError"),
    "a worker class of nobody": ({"gunicorn__conf__py": "worker_class = 'nobody'\n"}, "nobody"),
    "a broken gunicorn configuration": ({"gunicorn__conf__py": "1 / 0\n"}, "ZeroDivisionError"),
    "a circular import": ({"top": "from app import home", "other__py": ""}, "import"),
    "no permission": ({"top": "open('/etc/shadow')"}, "Permission"),
    "an encoding error": ({"top": "b'\\xff'.decode()"}, "UnicodeDecodeError"),
    "fills its disk": ({"top": "f = open('fill', 'wb'); os.posix_fallocate(f.fileno(), 0, 1 << 40)"}, "No space left"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_app_over_a_live_good_one_changes_nothing(ship: Any, app: Path, tmp_path: Path, name: str) -> None:
    """The good one answers all the time, the message names the cause, and nothing of the broken one runs on."""
    given, cause = BROKEN[name]
    before = requests.get(ship.url, timeout=30).text
    broken = write(tmp_path / "broken", **given)
    failed: list[str] = []
    with Load(ship, rate=40) as load:  # both cores have enough to do
        try:
            ship.deploy(broken)
        except Exception as error:  # noqa: BLE001  refused at our side or on the droplet
            failed = [str(error), *getattr(error, "evidence", ())]
    assert [] == load.failed
    assert cause.lower() in "\n".join(failed).lower(), failed
    assert before == requests.get(ship.url, timeout=30).text


def test_errors_after_the_switch_roll_back_by_themselves(ship: Any, app: Path, tmp_path: Path) -> None:
    """A release that passes its probe and then fails its visitors is not live for long."""
    before = ship.status()["release"]
    work = (
        "import pathlib; n = pathlib.Path('/tmp/n'); n.write_text(str(int(n.read_text()) + 1) if n.exists() else '1')"
    )
    work += "\n    assert int(n.read_text()) < 2"
    number = ship.deploy(write(tmp_path / "late", work=work)).release
    until(lambda: [requests.get(ship.url, timeout=30) for _ in range(3)] and ship.status()["release"] == before)
    until(lambda: "failed" == {one.number: one.state for one in ship.releases()}[number])  # it is live again first
    with pytest.raises(Exception, match="failed"):
        ship.rollback(number)


LATE = {
    "after 5 s": (5, "os.kill(os.getppid(), 9)", "the process ended"),
    "its workers after 5 s": (5, "os._exit(1)", "of its workers died"),
    "after 30 s": (30, "os.kill(os.getppid(), 9)", "the process ended"),
}
AFTER_THE_SWITCH = """
import pathlib, threading, time
def late():
    release = pathlib.Path(__file__).resolve().parents[1]
    while (release.parents[1] / "current").resolve() != release:
        time.sleep(0.1)
    time.sleep({seconds})
    {how}
threading.Thread(target=late, daemon=True).start()
"""


@pytest.mark.parametrize("name", [name for name, (seconds, *_) in LATE.items() if seconds < 30 or SOAK])
def test_a_release_that_dies_after_the_switch_refuses_nobody(ship: Any, app: Path, tmp_path: Path, name: str) -> None:
    """The one before, which still runs, answers in its place, and is live again by itself."""
    seconds, how, cause = LATE[name]
    before = ship.status()["release"]
    dying = write(
        tmp_path / "dying",
        top=AFTER_THE_SWITCH.format(seconds=seconds, how=how),
        cloudship__toml=f"watch = {4 * seconds}\n",
    )
    with Load(ship) as load:
        number = ship.deploy(dying).release
        until(lambda: ship.status()["release"] == before)
        time.sleep(1)
    assert [] == [one for one in load.failed if one.startswith("status")]
    assert len(load.failed) <= CLIENTS  # answers that were half sent when it died
    until(lambda: "failed" == {one.number: one.state for one in ship.releases()}[number])
    found = next(one for one in ship.releases() if one.number == number)
    assert ("failed", True) == (found.state, cause in str(found.failure)), found.failure
    record("T8 deaths after the switch", cases=1, points=1)
