"""
A relay between a command and the local cloud, that speaks TLS as DigitalOcean's host and misbehaves on demand.

What a server of the API's own could not do is done here: certificates that nobody should trust, answers that break the
rules of HTTP, bodies that were changed on the way. It counts connections and requests, and remembers every token that
it was shown.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

HOST = "api.digitalocean.com"
TOKEN = "dop_v1_" + "c0ffee" * 10 + "beef"
_LIMIT = 10.0  # seconds for one connection
_KEPT = ("content-type", "date", "retry-after")  # headers that are handed on


@dataclass(frozen=True)
class Exchange:
    """One request, and the right answer to it."""

    number: int  # 0 is the first
    method: str
    path: str  # with its query
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def written(self, body: bytes | None = None, *, status: int | None = None) -> bytes:
        """Write the answer as it goes over the wire, with another body or status if wanted."""
        data = self.body if body is None else body
        kept = [
            f"{name}: {value}" for name, value in self.headers if name.lower() in ("content-type", "date", "location")
        ]
        told = status or self.status
        lines = [f"HTTP/1.1 {told} {http.client.responses.get(told, 'X')}", *kept, "Connection: close"]
        lines += [f"Content-Length: {len(data)}"] if told != 204 else []
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + data


Answer = Callable[[Exchange], bytes]  # what is sent in place of the right answer
Greeting = Callable[[socket.socket], "socket.socket | None"]  # what is done with a connection before anything is read


@dataclass
class Plan:
    """What goes wrong: with which requests, counted from 0, and how."""

    at: int = 0
    times: int | None = None  # None: from then on, for ever
    answer: Answer | None = None
    greeting: Greeting | None = None

    def strikes(self, number: int) -> bool:
        """Whether one of them is meant."""
        return number >= self.at and (self.times is None or number < self.at + self.times)


@dataclass
class Relay:
    """One such relay."""

    upstream: str
    token: str  # of the local cloud
    context: ssl.SSLContext | None  # None: it speaks plainly
    plan: Plan | None = None
    port: int = 0
    connections: int = 0
    requests: int = 0
    tokens: list[str] = field(default_factory=list)  # each one that was read
    creates: int = 0  # asked for, whether they reached the cloud or not
    rewrite: Callable[[str], str] = field(default=lambda path: path)  # of what is asked for

    def begin(self, plan: Plan | None = None) -> None:
        """Count from 0 again, with another plan."""
        self.plan, self.connections, self.requests, self.tokens, self.creates = plan, 0, 0, [], 0
        self.rewrite = lambda path: path

    @contextmanager
    def running(self, *families: socket.AddressFamily) -> Iterator[Relay]:
        """Answer until the end."""
        servers = []
        for family in families or (socket.AF_INET,):
            address = ("::1" if family is socket.AF_INET6 else "127.0.0.1", self.port)
            servers.append(socket.create_server(address, family=family, backlog=64))
            self.port = servers[0].getsockname()[1]
        for server in servers:
            threading.Thread(target=self._accept, args=(server,), daemon=True).start()
        try:
            yield self
        finally:
            for server in servers:
                server.close()

    def _accept(self, server: socket.socket) -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            connection.settimeout(_LIMIT)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        number, plan = self.connections, self.plan
        self.connections += 1
        with plain, suppress(OSError, http.client.HTTPException, ValueError):
            if plan is not None and plan.greeting is not None and plan.strikes(number):
                answered = plan.greeting(plain)
            else:
                answered = self.context.wrap_socket(plain, server_side=True) if self.context else plain
            if answered is not None:
                with answered:
                    self._relay(answered, plan)
                    with suppress(OSError):
                        answered.shutdown(socket.SHUT_WR)

    def _relay(self, connection: socket.socket, plan: Plan | None) -> None:
        head, body = _request(connection)
        method, path, _ = head[0].split(" ", 2)
        told = dict(line.split(": ", 1) for line in head[1:])
        self.tokens.append(told.get("Authorization", ""))
        number = self.requests
        self.requests += 1
        self.creates += (method, path) == ("POST", "/v2/droplets/")
        exchange = self._carried_on(number, method, path, body)
        strikes = plan is not None and plan.answer is not None and plan.strikes(number)
        connection.sendall(plan.answer(exchange) if strikes and plan and plan.answer else exchange.written())

    def _carried_on(self, number: int, method: str, path: str, body: bytes) -> Exchange:
        parts = urlsplit(self.upstream)
        asking = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=_LIMIT)
        try:
            headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
            asking.request(method, self.rewrite(path), body or None, headers)
            with closing(asking.getresponse()) as answer:  # to which a socket that ends with it may pass
                return Exchange(number, method, path, answer.status, tuple(answer.getheaders()), answer.read())
        finally:
            asking.close()


def _request(connection: socket.socket) -> tuple[list[str], bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(65536)
        if not chunk:
            raise ConnectionError
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    length = next((int(line.partition(":")[2]) for line in lines if line.lower().startswith("content-length:")), 0)
    while len(body) < length:
        body += connection.recv(65536)
    return lines, body


def changing(change: Callable[[Any], Any]) -> Answer:
    """Give an answer that is the right one with its JSON changed."""

    def answer(exchange: Exchange) -> bytes:
        if not exchange.body:
            return exchange.written()
        return exchange.written(json.dumps(change(json.loads(exchange.body))).encode())

    return answer


def reset(connection: socket.socket) -> None:
    """Cut a connection off without the courtesy of an end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
