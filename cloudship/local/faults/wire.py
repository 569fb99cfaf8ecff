"""
Faults of one answer, between the client and the routes: whatever the operation is, it has them.

What a server cannot say in ASGI (a reset, a body that breaks off) is written to the connection itself, which the
protocol below hands over in the scope.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import uuid
from collections.abc import Callable
from contextlib import suppress
from email.utils import formatdate
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from cloudship.local.account.clock import CloudClock
from cloudship.local.faults import operations, values
from cloudship.local.faults.book import FaultBook
from cloudship.local.faults.record import Record, readable
from cloudship.local.faults.values import AnswerFault, Effect

MOST_READ = 2 << 20  # bytes of a request: what is larger is refused by the routes
CONTROL = "/_cloudship"  # never spoilt, never recorded
_TRANSPORT = "cloudship.transport"
_KINDS: tuple[type[AnswerFault], ...] = (
    *(values.Status, values.Reset, values.Delay, values.Silence, values.Truncated),
    *(values.WrongLength, values.Slow, values.Body, values.Html, values.Redirect),
)
_PAGE = "<!DOCTYPE html><html><head><title>Sign in</title></head><body><h1>Sign in to the network</h1></body></html>"
_IDENTIFIERS = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    409: "conflict",
    412: "precondition_failed",
    422: "unprocessable_entity",
    429: "too_many_requests",
    500: "server_error",
    502: "bad_gateway",
    503: "service_unavailable",
    504: "gateway_timeout",
}


class ExposedProtocol(H11Protocol):
    """HTTP as uvicorn speaks it, with the connection in the scope."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override,unused-ignore]
        """Take a connection."""
        super().connection_made(transport)
        inner = self.app

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await inner({**scope, _TRANSPORT: transport}, receive, send)

        self.app = app


class Wire:
    """
    Spoils answers, and writes down every request.

    Args:
        app: the API.
        book: the faults.
        record: where requests are written down.
        clock: the account's time.
        operation: names the operation of a request, None for a path that is nobody's.
    """

    def __init__(
        self,
        app: ASGIApp,
        book: FaultBook,
        record: Record,
        clock: CloudClock,
        operation: Callable[[Scope], str | None],
    ) -> None:
        self._app, self._book, self._record, self._clock = app, book, record, clock
        self._operation = operation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102  ASGI's own
        if scope["type"] != "http" or scope["path"].startswith(CONTROL):
            await self._app(scope, receive, send)
            return
        operation = self._operation(scope)
        fault = self._book.strike(_KINDS, lambda one: _fits(one, scope, operation))
        data = await _read(receive)
        answer = _Answer()
        if fault is None or fault.effect is Effect.AFTER:
            await self._app(scope, _replay(data, receive), answer.take)
            answer.headers.append((b"date", formatdate(self._clock.time(), usegmt=True).encode()))
        self._record.add(
            at=self._clock.time(),
            method=scope["method"],
            path=scope["path"],
            query=scope["query_string"].decode("latin-1"),
            operation=operation,
            body=readable(data),
            status=_status(fault, answer),
            fault=getattr(fault, "kind", None),
        )
        if fault is None:
            await answer.give(send)
        else:
            await _spoil(fault, answer, scope, receive, send)


class _Answer:
    """A whole answer, held back."""

    def __init__(self) -> None:
        self.status = 500
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""

    async def take(self, message: Message) -> None:
        """Take a part of it, as an application sends it."""
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], list(message.get("headers", ()))
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")

    async def give(self, send: Send) -> None:
        """Send it."""
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body})

    def raw(self, *, length: int) -> bytes:
        """Write it as it goes over the wire, with a length of its own."""
        kept = [(name, value) for name, value in self.headers if name.lower() != b"content-length"]
        lines = [f"HTTP/1.1 {self.status} {_reason(self.status)}".encode()]
        lines += [name + b": " + value for name, value in (*kept, (b"content-length", str(length).encode()))]
        return b"\r\n".join([*lines, b"connection: close", b"", b""])


async def _spoil(fault: AnswerFault, answer: _Answer, scope: Scope, receive: Receive, send: Send) -> None:
    match fault:
        case values.Delay():
            await asyncio.sleep(fault.seconds)
            await answer.give(send)
        case values.Reset():
            await _reset(scope, receive)
        case values.Silence():
            await _gone(receive)
        case values.Truncated():
            await _raw(scope, receive, answer.raw(length=len(answer.body)) + answer.body[: len(answer.body) // 2])
        case values.WrongLength():
            short = max(0, len(answer.body) - 7)
            await _raw(scope, receive, answer.raw(length=short) + answer.body)
        case values.Slow():
            await _drop_by_drop(fault, answer, scope, receive)
        case _:
            await _written(fault).give(send)


def _written(fault: AnswerFault) -> _Answer:
    """Write the answer of a fault that is an answer of its own."""
    answer = _Answer()
    kind = "application/json"
    match fault:
        case values.Status():
            answer.status, answer.body = fault.status, _error_body(fault)
            answer.headers = [(name.lower().encode(), value.encode()) for name, value in fault.headers.items()]
        case values.Body():
            answer.status, kind, answer.body = fault.status, fault.content_type, fault.whole
        case values.Html():
            answer.status, kind, answer.body = fault.status, "text/html; charset=utf-8", _PAGE.encode()
        case values.Redirect():
            answer.status = fault.status
            answer.headers = [(b"location", fault.location.encode())]
    length = str(len(answer.body)).encode()
    answer.headers += [(b"content-type", kind.encode()), (b"content-length", length)]
    return answer


def _error_body(fault: values.Status) -> bytes:
    identifier = fault.identifier or _IDENTIFIERS.get(fault.status, "error")
    message = fault.message or _reason(fault.status)
    return json.dumps({"id": identifier, "message": message, "request_id": str(uuid.uuid4())}).encode()


async def _reset(scope: Scope, receive: Receive) -> None:
    """Close without the courtesy of an end, so that the client sees a reset."""
    transport = scope[_TRANSPORT]
    connection = transport.get_extra_info("socket")
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    await _gone(receive)


async def _raw(scope: Scope, receive: Receive, data: bytes) -> None:
    transport = scope[_TRANSPORT]
    transport.write(data)
    transport.close()
    await _gone(receive)


async def _drop_by_drop(fault: values.Slow, answer: _Answer, scope: Scope, receive: Receive) -> None:
    transport = scope[_TRANSPORT]
    transport.write(answer.raw(length=len(answer.body)))
    for byte in answer.body:
        if transport.is_closing():
            break
        transport.write(bytes([byte]))
        await asyncio.sleep(1 / fault.bytes_per_second)
    transport.close()
    await _gone(receive)


async def _gone(receive: Receive) -> None:
    """Wait until the client is gone: the server would answer by itself if we came back before."""
    while (await receive())["type"] != "http.disconnect":
        continue


async def _read(receive: Receive) -> bytes:
    """Read a request's body, up to what the routes would refuse anyway."""
    data = bytearray()
    while True:
        message = await receive()
        data += message.get("body", b"")
        if message["type"] == "http.disconnect" or not message.get("more_body") or len(data) > MOST_READ:
            return bytes(data)


def _replay(data: bytes, receive: Receive) -> Receive:
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": data, "more_body": False}

    return again


def _fits(fault: AnswerFault, scope: Scope, operation: str | None) -> bool:
    return fault.operation is None or operations.fits(fault.operation, scope["method"], scope["path"], operation)


def _status(fault: AnswerFault | None, answer: _Answer) -> int | None:
    """Say with which status a request was answered; None where it was not, or not whole."""
    if fault is None or isinstance(fault, values.Delay | values.Slow):
        return answer.status
    return getattr(fault, "status", None)


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
