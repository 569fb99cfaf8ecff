"""
How fast a change is live, next to a deploy script by hand on the same droplet, written to `docs/speed.md`.

The script by hand works in Capistrano's manner, over one SSH connection that stays open: fetch, unpack into a folder
of its own, install, link, restart, ask until it answers. It has no probe before the switch, no watch and no drain.
"""

from __future__ import annotations

import http.client
import multiprocessing
import os
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from typing_extensions import Self

import cloudship
from cloudship import checkouts

RUNS = 7
RATE, CLIENTS = 200, 8  # requests a second in all, and who sends them
WINDOW = (-0.1, 0.9)  # seconds around a switch
APP = 'from flask import Flask\n\napp = Flask(__name__)\n\n\n@app.get("/")\ndef home():\n    return "{mark}"\n'
PREPARE = """set -e
mkdir -p /opt/byhand/releases /opt/byhand/shared
git init -q --bare /opt/byhand/repo
uv=/opt/cloudship/bin/uv
$uv venv -q --python /usr/bin/python3 /opt/byhand/shared/venv
cat > /etc/systemd/system/byhand.service <<'UNIT'
[Service]
WorkingDirectory=/opt/byhand/current
ExecStart=/opt/byhand/shared/venv/bin/gunicorn -w 3 --threads 2 -b 0.0.0.0:8080 app:app
UNIT
systemctl daemon-reload
"""
STEPS = (
    "mkdir -p /opt/byhand/releases/{at} && git -C /opt/byhand/repo archive main | tar -x -C /opt/byhand/releases/{at}",
    "/opt/cloudship/bin/uv pip install -q -p /opt/byhand/shared/venv -r /opt/byhand/releases/{at}/requirements.txt",
    "ln -sfn /opt/byhand/releases/{at} /opt/byhand/current",
    "systemctl restart byhand",
    "timeout 20 sh -c 'until curl -sf http://127.0.0.1:8080/ | grep -q {mark}; do sleep 0.05; done'",
    "ls -1dt /opt/byhand/releases/* | tail -n +6 | xargs -r rm -rf",
)


@dataclass
class Measured:
    """Seconds, run by run."""

    push: list[float] = field(default_factory=list)
    switch: list[float] = field(default_factory=list)
    requirements: list[float] = field(default_factory=list)  # beyond the installation itself
    rollback: list[float] = field(default_factory=list)
    by_hand: list[float] = field(default_factory=list)
    p99: dict[str, float] = field(default_factory=dict)
    failed: int = 0


def measure(folder: Path) -> Measured:
    """Launch one ship, and deploy to it in both ways by turns."""
    app, found = folder / "app", Measured()
    app.mkdir()
    commit = _committer(app)
    commit("first", "flask\ngunicorn\n")
    with cloudship.up(app, name="bench-releases", cloud="local") as ship:
        checkouts.tie(app.resolve(), ship.files, name=ship.name, address=ship.ip_address)
        with _Open(ship, folder) as ssh:
            _git(app, "remote", "add", "byhand", f"root@{ship.ip_address}:/opt/byhand/repo")
            ssh(PREPARE)
            for run in range(RUNS + 1):
                mark = f"run-{run}"
                commit(mark, "flask\ngunicorn\n")
                by_hand = _timed(lambda mark=mark: _by_hand(app, ssh, mark))
                push = _timed(lambda: _git(app, "push", "-q", "ship", "main"))
                back = _timed(ship.rollback)
                ship.rollback(ship.releases()[0].number)
                if run:  # the first one warms both
                    found.by_hand.append(by_hand)
                    found.push.append(push)
                    found.rollback.append(back)
                    found.switch.append(float(ship.releases()[0].seconds["switch"]))
        for run, package in enumerate(("itsdangerous==2.1.2", "markupsafe==2.1.5", "click==8.1.7")):
            commit(f"requirements-{run}", f"flask\ngunicorn\n{package}\n")
            taken = _timed(lambda: _git(app, "push", "-q", "ship", "main"))
            found.requirements.append(taken - float(ship.releases()[0].seconds["dependencies"]))
        _under_load(ship, app, commit, found)
    return found


def _under_load(ship: Any, app: Path, commit: Callable[[str, str], None], found: Measured) -> None:
    """Compare the answers around switches with those at rest."""
    switches: list[float] = []

    def heard(event: Any) -> None:
        if getattr(event, "line", "").startswith("-> switch"):
            switches.append(time.monotonic())

    with _load(str(ship.ip_address)) as answers:
        os.setpriority(os.PRIO_PROCESS, 0, 19)  # a visitor's machine is not the one that deploys
        time.sleep(10)
        rest = time.monotonic()
        for run in range(10):
            commit(f"load-{run}", "flask\ngunicorn\n")
            ship.deploy(app, notify=heard)
            time.sleep(1)
        os.setpriority(os.PRIO_PROCESS, 0, 0)
    around = [taken for at, taken, _ in answers if any(WINDOW[0] <= at - one <= WINDOW[1] for one in switches)]
    found.p99["at rest"] = _p99([taken for at, taken, _ in answers if at < rest])
    found.p99["around the switch"] = _p99(around)
    found.p99["from push to switch, with the build beside"] = _p99([taken for at, taken, _ in answers if at >= rest])
    found.failed = sum(not good for _, _, good in answers)


def _p99(times: list[float]) -> float:
    return statistics.quantiles(times, n=100)[98]


@contextmanager
def _load(address: str) -> Iterator[list[tuple[float, float, bool]]]:
    """Send requests at a constant rate from a process of its own: when, how long, whether it was answered well."""
    stop, results = multiprocessing.Event(), multiprocessing.Queue()  # type: ignore[var-annotated]
    process = multiprocessing.Process(target=_send_all, args=(address, stop, results))
    process.start()
    answers: list[tuple[float, float, bool]] = []
    try:
        yield answers
    finally:
        stop.set()
        answers.extend(results.get())
        process.join()


def _send_all(address: str, stop: Event, results: Any) -> None:
    answers: list[tuple[float, float, bool]] = []
    threads = [threading.Thread(target=_send, args=(address, stop, answers)) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results.put(answers)


def _send(address: str, stop: Event, answers: list[tuple[float, float, bool]]) -> None:
    due = time.monotonic()
    while not stop.is_set():
        began, good = time.monotonic(), False
        try:
            connection = http.client.HTTPConnection(address, timeout=10)
            connection.request("GET", "/")
            answer = connection.getresponse()
            answer.read()
            good = answer.status == 200  # noqa: PLR2004
            connection.close()
        except OSError:
            pass
        answers.append((began, time.monotonic() - began, good))
        due += CLIENTS / RATE
        time.sleep(max(0.0, due - time.monotonic()))


def _by_hand(app: Path, ssh: _Open, mark: str) -> None:
    _git(app, "-c", f"core.sshCommand={ssh.git}", "push", "-q", "byhand", "main")
    for step in STEPS:
        ssh(step.format(at=mark, mark=mark))


class _Open:
    """One SSH connection that stays open, which the script's commands and its git share."""

    def __init__(self, ship: Any, folder: Path) -> None:
        self._words = [*ship.files.options(), "-o", f"ControlPath={folder}/master"]
        self._host = f"root@{ship.ip_address}"
        self.git = " ".join(self._words)

    def __call__(self, command: str) -> None:
        subprocess.run([*self._words, self._host, command], check=True, capture_output=True)

    def __enter__(self) -> Self:
        # It goes to the background with what it inherits: a pipe of ours would never end.
        words = [*self._words, "-M", "-N", "-f", self._host]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run([*self._words, "-O", "exit", self._host], check=False, capture_output=True)


def _committer(app: Path) -> Callable[[str, str], None]:
    subprocess.run(["git", "init", "-q", "-b", "main", str(app)], check=True)

    def commit(mark: str, requirements: str) -> None:
        (app / "app.py").write_text(APP.format(mark=mark))
        (app / "requirements.txt").write_text(requirements)
        _git(app, "add", "-A")
        _git(app, "-c", "user.name=bench", "-c", "user.email=bench@localhost", "commit", "-q", "-m", mark)

    return commit


def _git(app: Path, *words: str) -> None:
    done = subprocess.run(["git", "-C", str(app), *words], check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)


def _timed(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def lines(found: Measured) -> list[str]:
    """Write what was measured as a page's part."""
    median = {name: statistics.median(getattr(found, name)) for name in ("push", "switch", "rollback", "by_hand")}
    rest, around = found.p99["at rest"] * 1000, found.p99["around the switch"] * 1000  # milliseconds
    by_hand = f"{median['push']:.2f} s / {median['by_hand']:.2f} s = {median['push'] / median['by_hand']:.2f}"
    worst = f"worst of {len(found.requirements)}"
    return [
        "## Releases",
        "",
        f"Medians of {RUNS} turns on one droplet; the yardstick is the deploy script by hand in `bench/releases.py`,",
        "in Capistrano's manner over a connection that stays open. It checks nothing before the switch.",
        "",
        "| what | measured | bar |",
        "| --- | --- | --- |",
        f"| `git push ship main`, code only, until it is live | {median['push']:.2f} s | 2 s |",
        f"| ... against the script by hand | {by_hand} | |",
        f"| ... of which the switch itself | {median['switch']:.3f} s | 0.2 s |",
        f"| with changed requirements, beyond uv's own time ({worst}) | {max(found.requirements):.2f} s | 2 s |",
        f"| `rollback`, from Python | {median['rollback']:.2f} s | 1 s |",
        f"| requests that failed under {RATE} a second, 10 deploys | {found.failed} | 0 |",
        f"| p99 around the switch, against at rest | {around:.1f} ms / {rest:.1f} ms = {around / rest:.1f} | 3 |",
        *(f"| p99 {name} | {taken * 1000:.1f} ms | |" for name, taken in list(found.p99.items())[2:]),
        "",
    ]
