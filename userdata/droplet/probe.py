"""Asking a release for a page, on its own socket, before any visitor does."""

from __future__ import annotations

import http.client
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable, Optional

from droplet.journal import StageError

ATTEMPT = 10.0  # seconds for one answer
_QUICK = 0.05  # seconds in which all of a round were answered: nobody is still starting


class _Connection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def ask(path: Path, url: str, host: str, *, timeout: float = ATTEMPT) -> int:
    """
    Ask for a page, and give the status.

    Raises:
        OSError: nobody answers.
    """
    connection = _Connection(path, timeout)
    try:
        connection.request("GET", url, headers={"Host": host, "X-Forwarded-Proto": "http", "User-Agent": "cloudship"})
        return connection.getresponse().status
    except http.client.HTTPException as error:
        raise ConnectionError(f"no answer in HTTP: {error!r}") from error
    finally:
        connection.close()


def warm(path: Path, url: str, host: str, *, count: int, limit: float) -> None:
    """
    Ask for a page many times at once, so that every worker has answered once before a visitor asks it.

    The first answer of a worker is its slowest: it imports and compiles what it had put off. What they answer is not
    judged here.

    Args:
        path: the release's socket.
        url: the page.
        host: as visitors name it.
        count: how many at once.
        limit: seconds; rounds go on until one is answered quickly, or so long.
    """
    deadline, slowest = time.monotonic() + limit, limit
    with ThreadPoolExecutor(count) as threads:
        while slowest > _QUICK and time.monotonic() < deadline:
            slowest = max(threads.map(lambda _: _seconds(path, url, host, limit), range(count)))


def _seconds(path: Path, url: str, host: str, limit: float) -> float:
    began = time.monotonic()
    try:
        ask(path, url, host, timeout=limit)
    except OSError:
        return limit
    return time.monotonic() - began


def until_healthy(
    path: Path, url: str, host: str, *, status: Optional[int], limit: float, dead: Callable[[], Optional[str]]
) -> int:
    """
    Wait until a release answers as it should, and give the status.

    Raises:
        StageError: its process died, or it did not answer well within the limit; with what it last answered.
    """
    deadline, last, errors = time.monotonic() + limit, "nothing listens on its socket", 0
    while time.monotonic() < deadline:
        reason = dead()
        if reason:
            raise StageError(reason)
        try:
            got = ask(path, url, host, timeout=min(ATTEMPT, max(0.1, deadline - time.monotonic())))
        except OSError as error:
            last = "nothing listens on its socket" if not path.exists() else f"no answer ({error})"
        else:
            if got == status or (status is None and got < 500):
                return got
            last, errors = f"it answered {got}", errors + 1
            if errors >= 5:
                break
        time.sleep(0.05)
    raise StageError(last + ("" if errors >= 5 else f", for {limit:g} s"))
