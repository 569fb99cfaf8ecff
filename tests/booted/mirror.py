"""A mirror of Debian's archive in the machines' own network: it hands on the real one, or answers badly."""

from __future__ import annotations

import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Spoil = Callable[["Asked"], None]
PORTAL = b"<html><body>Please accept the terms of this network</body></html>"


@dataclass
class Asked:
    """One request, and what is answered to it unless that is spoilt."""

    path: str
    turn: int  # how many requests came before this one
    status: int = 200
    body: bytes = b""
    pause: float = 0.0  # seconds before the answer
    per_second: float | None = None  # bytes of the body in a second; None: as fast as it goes


@dataclass
class Mirror:
    """
    A mirror that runs.

    Args:
        bases: the real archives, by their number in a path.
        address: where it listens.
    """

    bases: tuple[str, ...]
    address: str
    port: int = 0
    spoil: Spoil = lambda asked: None
    asked: list[str] = field(default_factory=list)

    def url(self, number: int) -> str:
        """Give the address of an archive, as a droplet's list of sources has it."""
        return f"http://{self.address}:{self.port}/{number}/"

    def healthy(self) -> None:
        """Answer well from now on, to somebody who has not asked before."""
        self.spoil = lambda asked: None
        self.asked.clear()


@contextmanager
def running(address: str, bases: tuple[str, ...]) -> Iterator[Mirror]:
    """Run a mirror on an address of this machine's."""
    mirror = Mirror(bases, address)
    server = _Server((address, 0), _handler(mirror))
    mirror.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield mirror
    finally:
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads, block_on_close = True, False

    def handle_error(self, *_: object) -> None:
        """Say nothing of a droplet that was taken down while it asked."""


@cache
def fetched(url: str) -> tuple[int, bytes]:
    """Fetch a file of the real archive, once for all machines."""
    for left in range(3, -1, -1):
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310  the host's own sources
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, b""
        except OSError:
            if not left:
                raise
            time.sleep(1)
    raise AssertionError(url)


def _handler(mirror: Mirror) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked = Asked(self.path, len(mirror.asked))
            mirror.asked.append(self.path)
            _, number, rest = self.path.split("/", 2)
            asked.status, asked.body = fetched(mirror.bases[int(number)].rstrip("/") + "/" + rest)
            mirror.spoil(asked)
            time.sleep(asked.pause)
            self.send_response(asked.status)
            self.send_header("Content-Length", str(len(asked.body)))
            self.end_headers()
            self._send(asked)

        def _send(self, asked: Asked) -> None:
            step = int(asked.per_second / 10) or 1 if asked.per_second else len(asked.body) or 1
            try:
                for begin in range(0, len(asked.body), step):
                    self.wfile.write(asked.body[begin : begin + step])
                    time.sleep(0.1 if asked.per_second else 0)
            except OSError:  # it has seen enough
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def closed_port(address: str) -> int:
    """Name a port that nobody listens on."""
    with socket.socket() as probing:
        probing.bind((address, 0))
        return int(probing.getsockname()[1])
