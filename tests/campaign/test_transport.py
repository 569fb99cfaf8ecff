"""T5: the way to DigitalOcean's host is broken: names, connections, certificates, HTTP itself; the token stays ours."""

from __future__ import annotations

import gzip
import json
import random
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from campaign import oracle
from campaign.conftest import SOAK, Field, record, told
from campaign.faraway import Faraway, Lookup, Row, played, row
from campaign.relay import HOST, TOKEN, Answer, Exchange, Greeting, Plan, reset

SHARDS, CASES = 8, 900 if SOAK else 60
SECONDS = 45.0  # of a whole case, on whatever machine; the clock of its waits is stepped
_RAW = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"


@dataclass(frozen=True)
class Trap:
    """Where a broken way may lead: hosts that nobody should speak to, and one that listens for tokens."""

    refusing: int  # a port that refuses
    full: int  # a port whose queue is full: who connects waits for ever
    thief: int
    heard: list[bytes]  # by the thief


@pytest.fixture(scope="module")
def trap() -> Iterator[Trap]:
    """Lay it."""
    refusing, full, thief = socket.socket(), socket.socket(), socket.create_server(("127.0.0.1", 0))
    refusing.bind(("127.0.0.1", 0))
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    waiting = [socket.socket() for _ in range(4)]
    for one in waiting:
        one.settimeout(0)
        with suppress(BlockingIOError):
            one.connect(full.getsockname())
    heard: list[bytes] = []

    def listen() -> None:
        while True:
            try:
                connection, _ = thief.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                connection.settimeout(2)
                heard.append(connection.recv(65536))
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    threading.Thread(target=listen, daemon=True).start()
    yield Trap(refusing.getsockname()[1], full.getsockname()[1], thief.getsockname()[1], heard)
    for one in (refusing, full, thief, *waiting):
        one.close()


@pytest.fixture(scope="module")
def cloud(field_of_cases: Field) -> Iterator[Faraway]:
    """The host, played for this worker's cloud; it is reached over both kinds of addresses."""
    families = [socket.AF_INET, *([socket.AF_INET6] if _has_six() else [])]
    with played(field_of_cases.box, field_of_cases.app, field_of_cases.folder / "host", *families) as found:
        yield found


@pytest.fixture
def host(cloud: Faraway, ground: Field) -> Faraway:
    """The same, with this test's environment."""
    return cloud


def _has_six() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def _at(at: int, times: int | None, found: Callable[[int], list[Row]]) -> Lookup:
    return lambda number: found(number) if number >= at and (times is None or number < at + times) else None


def _unknown(_number: int) -> list[Row]:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def _no_answer(_number: int) -> list[Row]:
    raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


def _old(context: ssl.SSLContext) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="deprecated"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


def _in_tls(context: ssl.SSLContext) -> Greeting:
    return lambda plain: context.wrap_socket(plain, server_side=True)


def _speaks_plainly(plain: socket.socket) -> None:
    plain.recv(1024)
    plain.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def _is_silent(plain: socket.socket) -> None:
    while plain.recv(1024):
        continue


def _is_cut(plain: socket.socket) -> None:
    plain.recv(1024)
    reset(plain)


def _said(data: bytes) -> Answer:
    return lambda _exchange: data


def _packed(exchange: Exchange, data: bytes) -> bytes:
    squeezed = gzip.compress(data)
    return exchange.written(squeezed).replace(b"Connection: close", b"Content-Encoding: gzip\r\nConnection: close")


def _chunked(*chunks: bytes) -> bytes:
    return _RAW + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(chunks)


def _twice(exchange: Exchange) -> bytes:
    """Give every key twice, the second time with nothing in it."""
    try:
        told = json.loads(exchange.body)
    except ValueError:
        return exchange.written()
    parts = [f"{json.dumps(key)}: {json.dumps(value)}, {json.dumps(key)}: null" for key, value in told.items()]
    return exchange.written(("{" + ", ".join(parts) + "}").encode())


def _sent_on(scheme: str, status: int) -> Callable[[Trap], Answer]:
    def made(trap: Trap) -> Answer:
        location = f"{scheme}://127.0.0.1:{trap.thief}/v2/account"
        head = f"HTTP/1.1 {status} X\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        return _said(head.encode())

    return made


ANSWERS: dict[str, Answer] = {
    "a bomb of gzip": lambda exchange: _packed(exchange, b" " * (64 << 20)),
    "packed, though not asked for": lambda exchange: _packed(exchange, exchange.body),
    "fifty megabytes": lambda exchange: exchange.written(b" " * (50 << 20)),
    "a million empty lists": lambda exchange: exchange.written(b"[" + b"[]," * 1_000_000 + b"[]]"),
    "every key twice": _twice,
    "chunks of no size": _said(_chunked(b"zz\r\n{}\r\n0\r\n\r\n")),
    "chunks of a size below nothing": _said(_chunked(b"-5\r\n{}\r\n0\r\n\r\n")),
    "chunks without an end": _said(_chunked(b"2\r\n{}\r\n")),
    "headers that are none": _said(b"HTTP/1.1 200 OK\r\n\x00\xff\x01\r\n: x\r\nno colon\r\n\r\n{}"),
    "a thousand headers": _said(_RAW + b"".join(b"X-%d: y\r\n" % number for number in range(1000)) + b"\r\n{}"),
    "a header without an end": _said(_RAW + b"X: " + b"y" * 200_000 + b"\r\n\r\n{}"),
    "no status": _said(b"hello\r\n\r\n"),
    "a status that is none": _said(b"HTTP/1.1 abc OK\r\n\r\n{}"),
    "another protocol": _said(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "a change of protocols": _said(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"),
    "to go on, again and again": lambda exchange: b"HTTP/1.1 100 Continue\r\n\r\n" * 50 + exchange.written(),
    "nothing at all": _said(b""),
    "two lengths": lambda exchange: exchange.written().replace(
        b"Connection: close", b"Content-Length: 1\r\nConnection: close"
    ),
    "a length below nothing": _said(_RAW + b"Content-Length: -1\r\n\r\n{}"),
    "204 with nothing in it": lambda exchange: exchange.written(b"", status=204),
    "an echo of the token": lambda exchange: exchange.written(
        json.dumps({"id": "unauthorized", "message": f"bad token {TOKEN}"}).encode(), status=401
    ),
    "a cookie and a refusal": lambda exchange: exchange.written(b"{}", status=403).replace(
        b"Connection: close", b"Set-Cookie: a=b\r\nConnection: close"
    ),
}
GREETINGS = ("expired", "signed by itself", "of another host", "of an old protocol", "plain", "silent", "cut")
LOOKUPS = ("unknown", "no answer", "refusing", "full", "six alone", "six is dead, four is not", "six is dead")
REDIRECTS = {
    f"{status} to {scheme}": _sent_on(scheme, status) for status in (301, 302, 307, 308) for scheme in ("http", "https")
}
GOES_WELL = ("six alone", "six is dead, four is not", "to go on, again and again")


def _greeting(name: str, host: Faraway) -> Greeting:
    context = host.authority.context
    made: dict[str, Callable[[], Greeting]] = {
        "expired": lambda: _in_tls(context(HOST, days=-1)),
        "signed by itself": lambda: _in_tls(context(HOST, trusted=False)),
        "of another host": lambda: _in_tls(context("evil.example")),
        "of an old protocol": lambda: _in_tls(_old(context(HOST))),
        "plain": lambda: _speaks_plainly,
        "silent": lambda: _is_silent,
        "cut": lambda: _is_cut,
    }
    return made[name]()


def _lookup(name: str, host: Faraway, trap: Trap, at: int, times: int | None) -> Lookup:
    six, dead = row("::1", host.relay.port), row("::1", trap.refusing)
    found: dict[str, Callable[[int], list[Row]]] = {
        "unknown": _unknown,
        "no answer": _no_answer,
        "refusing": lambda _number: [row("127.0.0.1", trap.refusing)],
        "full": lambda _number: [row("127.0.0.1", trap.full)],
        "six alone": lambda _number: [six],
        "six is dead, four is not": lambda _number: [dead, row("127.0.0.1", host.relay.port)],
        "six is dead": lambda _number: [dead],
    }
    return _at(at, times, found[name])


def _sites(host: Faraway, place: Path) -> int:
    """Count the calls of a launch that goes well."""
    host.begin()
    ended = host.up(place)
    assert ended.status == 0, ended.output
    found = host.relay.requests
    assert [] == host.judge(place, ended)
    return found


def _cases(sites: int) -> list[tuple[str, int, int | None]]:
    names = [one for one in (*ANSWERS, *GREETINGS, *LOOKUPS, *REDIRECTS) if "six" not in one or _has_six()]
    slow = ("silent", "full", "fifty megabytes", "a bomb of gzip", "a million empty lists")
    every = [
        (name, at, times)
        for name in names
        for at in range(sites)
        for times in ((1,) if name in slow else (1, None))  # each costs real time
    ]
    return random.Random(55).sample(every, min(CASES, len(every)))  # noqa: S311  the same sample every time


def _begin(host: Faraway, trap: Trap, name: str, at: int, times: int | None) -> None:
    if name in LOOKUPS:
        host.begin(lookup=_lookup(name, host, trap, at, times))
    elif name in GREETINGS:
        host.begin(Plan(at, times, greeting=_greeting(name, host)))
    else:
        answer = REDIRECTS[name](trap) if name in REDIRECTS else ANSWERS[name]
        host.begin(Plan(at, times, answer=answer))


def _carried_out(host: Faraway, trap: Trap, place: Path, one: tuple[str, int, int | None]) -> list[str]:
    name, at, times = one
    _begin(host, trap, name, at, times)
    ended = host.up(place)
    wrong = [f"it took {ended.seconds:.0f} s"] if ended.seconds > SECONDS else []
    if name in GREETINGS and times is None and host.relay.requests > at:
        wrong.append("a request was sent to a host that is not DigitalOcean's")
    if name in GOES_WELL and ended.status != 0:
        wrong.append(f"it ended with {ended.status}: {ended.output[-400:]}")
    if times is None and name in (*GREETINGS, *REDIRECTS) and at == 0:
        wrong += [] if ended.status == 1 and "No answer from the cloud's API" in ended.output else [ended.output[-300:]]
    wrong += [f"another host was spoken to: {heard[:60]!r}" for heard in trap.heard]
    trap.heard.clear()
    return wrong + host.judge(place, ended)


@pytest.mark.parametrize("shard", range(SHARDS))
def test_broken_ways(host: Faraway, trap: Trap, ground: Field, shard: int) -> None:
    """Whatever is in the way, the token is shown to nobody else, nothing is left, and no create is asked for twice."""
    sites = _sites(host, ground.place())
    wrong, cases = {}, _cases(sites)[shard::SHARDS]
    for one in cases:
        found = _carried_out(host, trap, ground.place(), one)
        if found:
            wrong[f"{one[0]}, at call {one[1]}, {one[2] or 'ever after'}"] = found
    record("T5 broken ways", cases=len(cases), points=len({at for _, at, _ in cases}))
    assert not wrong, told(wrong)


@pytest.mark.parametrize("name", GREETINGS[:4])
def test_a_certificate_that_nobody_should_trust_is_named(host: Faraway, trap: Trap, ground: Field, name: str) -> None:
    """The words say what is wrong with it; the host has seen no request."""
    _begin(host, trap, name, 0, None)
    place = ground.place()
    ended = host.up(place)
    words = {
        "expired": "expired",
        "signed by itself": "self",
        "of another host": "not valid for",
        "of an old protocol": "TLS",
    }
    assert (1, 0, True) == (ended.status, host.relay.requests, words[name] in ended.output), ended.output
    assert [] == host.judge(place, ended)


def test_a_proxy_sees_no_token(host: Faraway, ground: Field) -> None:
    """It leads to DigitalOcean's host through a tunnel, and reads the host's name and nothing else."""
    seen: list[bytes] = []
    with _proxy(host, seen) as port:
        host.begin(HTTPS_PROXY=f"http://me:pr0xy-secret@127.0.0.1:{port}")
        place = ground.place()
        ended = host.up(place)
        assert ended.status == 0, ended.output
        assert (True, False) == (len(seen) >= 10, "pr0xy-secret" in ended.output)
        assert {f"CONNECT {HOST}:443 HTTP/1.".encode()} == {one[: len(HOST) + 20] for one in seen}
        assert not [one for one in seen if TOKEN.encode() in one]
        assert [] == host.judge(place, ended)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 407 Authenticate\r\n\r\n", b"HTTP/1.1 502 Bad\r\n\r\n", b""])
def test_a_proxy_that_refuses_is_named(host: Faraway, ground: Field, answer: bytes) -> None:
    """It is not taken for the API; its password is not shown, under --debug neither."""
    seen: list[bytes] = []
    with _proxy(host, seen, answer) as port:
        host.begin(HTTPS_PROXY=f"http://me:pr0xy-secret@127.0.0.1:{port}")
        place = ground.place()
        ended = host.run(place, ["--debug", "up", str(host.app), "--name", "web"])
        assert (1, True) == (ended.status, "proxy" in ended.output), ended.output
        assert not [secret for secret in ("pr0xy-secret", TOKEN) if secret in ended.output]
        assert [] == oracle.difference(host.box)


class _proxy:  # noqa: N801  it reads as a verb where it is used
    """A proxy that leads every tunnel to the relay, or gives an answer of its own; it remembers what it read."""

    def __init__(self, host: Faraway, seen: list[bytes], answer: bytes | None = None) -> None:
        self._host, self._seen, self._answer = host, seen, answer

    def __enter__(self) -> int:
        self._server = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()
        return int(self._server.getsockname()[1])

    def __exit__(self, *_: object) -> None:
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(10)
            self._seen.append(connection.recv(65536))
            if self._answer is not None:
                connection.sendall(self._answer)
                return
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            with socket.create_connection(("127.0.0.1", self._host.relay.port)) as there:
                there.settimeout(10)
                back = threading.Thread(target=_pump, args=(there, connection), daemon=True)
                back.start()
                _pump(connection, there, self._seen)
                back.join(10)


def _pump(source: socket.socket, target: socket.socket, seen: list[bytes] | None = None) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            if seen is not None and TOKEN.encode() in data:
                seen.append(data)
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
