"""A live ship that tests share, apps to deploy to it, and the visitors that it has meanwhile."""

from __future__ import annotations

import concurrent.futures
import contextlib
import http.client
import shutil
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from typing_extensions import Self

import cloudship

RATE, CLIENTS = 200, 8  # requests a second in all, and who sends them
APP = """
import os
import time
from flask import Flask

app = Flask(__name__)
{top}


@app.get("/")
def home():
    {work}
    return os.environ["CLOUDSHIP_RELEASE"] + " {mark}"
"""


def write(folder: Path, *, top: str = "", work: str = "pass", mark: str = "", **files: str) -> Path:
    """Write an app; what is given by name goes into files beside it."""
    folder.mkdir(exist_ok=True)
    for path in (one for one in folder.iterdir() if one.name != ".git"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    (folder / "app.py").write_text(APP.format(top=top, work=work, mark=mark))
    (folder / "requirements.txt").write_text("flask\n")
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


@contextlib.contextmanager
def shared_ship(app: Path, *, name: str, machines: Path, state: Path) -> Iterator[Any]:
    """
    Launch a ship for several tests, and take it down after them.

    Args:
        app: is live first.
        name: the ship's.
        machines: the folder of the local cloud.
        state: where its key lies; each of the tests has to find it there.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLOUDSHIP_LOCAL_DIR", str(machines))
        patch.setenv("CLOUDSHIP_STATE_DIR", str(state))
        with cloudship.up(app, name=name, cloud="local") as ship:
            yield ship


def _ask(connection: http.client.HTTPConnection) -> http.client.HTTPResponse:
    connection.request("GET", "/")
    return connection.getresponse()


class Load:
    """
    A constant load from outside; every answer is kept.

    Args:
        ship: is asked for its page.
        rate: requests a second in all.
    """

    def __init__(self, ship: Any, rate: float = RATE) -> None:
        self._address, self._stop, self._pause = ship.ip_address, threading.Event(), CLIENTS / rate
        self.failed: list[str] = []
        self.times: list[float] = []

    def __enter__(self) -> Self:
        self._pool = concurrent.futures.ThreadPoolExecutor(CLIENTS)
        self._running = [self._pool.submit(self._send) for _ in range(CLIENTS)]
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for one in self._running:
            one.result()
        self._pool.shutdown()

    def _send(self) -> None:
        due = time.monotonic()
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                with (
                    contextlib.closing(http.client.HTTPConnection(self._address, timeout=10)) as connection,
                    contextlib.closing(_ask(connection)) as answer,  # to which a socket that ends with it may pass
                ):
                    answer.read()
                if answer.status != 200:
                    self.failed.append(f"status {answer.status}")
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(repr(error))
            self.times.append(time.monotonic() - began)
            due += self._pause
            time.sleep(max(0.0, due - time.monotonic()))

    def p99(self, since: int = 0, until: int | None = None) -> float:
        """Give the time within which 99 of 100 were answered, in seconds."""
        return statistics.quantiles(self.times[since:until], n=100)[98]


def answered(ship: Any, limit: float = 30) -> str:
    """Say which release answers; empty: none does within so many seconds."""
    with contextlib.suppress(requests.RequestException):
        answer = requests.get(ship.url, timeout=limit)
        return answer.text.split()[0] if answer.status_code == 200 else ""
    return ""


def until(good: Callable[[], Any], limit: float = 120) -> None:
    """Wait until something holds; the limit is in seconds."""
    deadline = time.monotonic() + limit
    while not good():
        assert time.monotonic() < deadline
        time.sleep(0.1)
