"""The application: who may come in, what every answer carries, and the kinds in one tuple."""

from __future__ import annotations

import hmac
import re
import time
import uuid
from functools import lru_cache
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloudship.local.api import account, actions, control, droplets, images, keys, regions, sizes, tags
from cloudship.local.api.context import Context
from cloudship.local.errors import Refusal, not_found, unprocessable
from cloudship.local.faults.wire import CONTROL, Wire

KINDS = (account, keys, droplets, actions, images, sizes, regions, tags)
HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})
_PREFIX = "/v2"
LIMIT_AN_HOUR = 5000  # requests, as DigitalOcean allows a token


def application(context: Context) -> ASGIApp:
    """Assemble the API of one local cloud."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.context = context
    app.state.operations = frozenset(str(getattr(route, "name", "")) for kind in KINDS for route in kind.router.routes)
    for kind in KINDS:
        app.include_router(kind.router, prefix=_PREFIX)
    app.include_router(control.router, prefix=CONTROL)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(HTTPException, _no_route)
    app.add_exception_handler(RequestValidationError, _no_value)
    app.add_exception_handler(OverflowError, _no_value)  # a number that SQLite cannot hold
    app.add_exception_handler(Exception, _our_fault)
    app.add_middleware(_Gate)
    wire = Wire(app, context.faults, context.record, context.clock, _operation)
    return _PlainPaths(wire)


def _operation(scope: Scope) -> str | None:
    """Name the operation of a request as DigitalOcean's document does, which is how our routes are called."""
    return _named(scope["method"], scope["path"])


@lru_cache(maxsize=1024)  # who waits asks the same again and again, and to go through all routes takes its time
def _named(method: str, path: str) -> str | None:
    inner = {"type": "http", "method": method, "path": path.removeprefix(_PREFIX), "root_path": ""}
    if inner["path"] == path:
        return None
    for kind in KINDS:
        for route in kind.router.routes:
            if route.matches(inner)[0] is Match.FULL:
                return str(getattr(route, "name", None))
    return None


class _PlainPaths:
    """Take every spelling of a path that clients use, without ever redirecting: a POST would become a GET."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path = re.sub(r"/{2,}", "/", scope["path"])
            scope = {**scope, "path": path.rstrip("/") or "/"}
        await self._app(scope, receive, send)


class _Gate:
    """Let in who names us as the host and brings the token, and count."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        ends = int(time.time()) + 3600

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["ratelimit-limit"] = str(LIMIT_AN_HOUR)
                headers["ratelimit-remaining"] = str(LIMIT_AN_HOUR - 1)
                headers["ratelimit-reset"] = str(ends)
                headers.setdefault("x-request-id", str(uuid.uuid4()))
            await send(message)

        refusal = _refusal(Request(scope))
        answer = _error(refusal) if refusal else self._app
        await answer(scope, receive, counted)


def _refusal(request: Request) -> Refusal | None:
    host = request.headers.get("host", "").rsplit(":", 1)[0]
    if host not in HOSTS:  # a page in a browser may have pointed a name of its own at this machine
        return Refusal(403, "forbidden", "The local cloud answers on this machine's loopback address only.")
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    expected = request.app.state.context.token
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.encode(), expected.encode()):
        return Refusal(401, "unauthorized", "Unable to authenticate you")
    if request.url.path.startswith(CONTROL):
        return None
    refusal: Refusal | None = request.app.state.context.world.refusal_of_token(request.method)
    return refusal


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)  # noqa: S101  it is registered for nothing else
    return _error(error)


async def _no_route(_request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    known = {404: ("not_found", "The resource you were accessing could not be found.")}
    identifier, message = known.get(status, ("method_not_allowed", "This method is not allowed here."))
    return _error(Refusal(status, identifier, message))


async def _no_value(_request: Request, error: Exception) -> Response:
    """An id that can be nobody's is not found; another parameter is refused, by its name."""
    told = error.errors() if isinstance(error, RequestValidationError) else ()
    named = [str(one["loc"][-1]) for one in told if one["loc"][0] != "path"]
    return _error(unprocessable(f"{named[0]} is invalid") if named else not_found())


async def _our_fault(_request: Request, _cause: Exception) -> Response:
    """Starlette logs it; the client gets a body that it can read."""
    return _error(Refusal(500, "server_error", "Unexpected server-side error"))


def _error(refusal: Refusal) -> Response:
    request_id = str(uuid.uuid4())
    told: dict[str, Any] = {
        "id": refusal.identifier,
        "message": refusal.message,
        "request_id": request_id,
    }
    return JSONResponse(told, status_code=refusal.status, headers={"x-request-id": request_id})
