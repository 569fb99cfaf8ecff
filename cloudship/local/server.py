"""The process of a local cloud: API, metadata service and machines, until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import secrets
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import uvicorn

from cloudship.local import endpoint
from cloudship.local.account import Account
from cloudship.local.account.catalogue import images
from cloudship.local.api import application
from cloudship.local.api.context import Context
from cloudship.local.bodies import Bodies
from cloudship.local.errors import LocalCloudError
from cloudship.local.faults.book import FaultBook
from cloudship.local.faults.record import Record
from cloudship.local.faults.wire import ExposedProtocol
from cloudship.local.faults.world import World
from cloudship.local.machines.base import Driver
from cloudship.local.machines.registry import driver
from cloudship.local.metadata import metadata
from cloudship.local.transitions import Transitions
from cloudship.local.turns import serving_alone

log = logging.getLogger("cloudship.local")


def main() -> None:
    """Run a local cloud in the foreground; `control.start` runs it detached."""
    parser = argparse.ArgumentParser(prog="cloudship-local")
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--driver", default="nspawn")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--transitions", type=Transitions.parse, default=Transitions())
    parser.add_argument("--place", type=int, help="the descriptor by which the caller took this directory for us")
    asked = parser.parse_args()
    os.umask(0o022)  # droplets' files are for their users; what is private says so where it is made
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    with serving_alone(asked.directory) if asked.place is None else nullcontext(asked.place) as place:
        os.set_inheritable(place, True)  # noqa: FBT003  no keyword; commands on the host hold it until they end
        asyncio.run(serve(asked.directory, driver(asked.driver, asked.directory), asked.port, asked.transitions))


async def serve(directory: Path, machines: Driver, port: int, transitions: Transitions) -> None:
    """
    Serve until SIGTERM or SIGINT, then power everything off.

    Raises:
        LocalCloudError: the driver cannot run here, or the port is taken.
    """
    if reason := machines.unavailable():
        raise LocalCloudError(reason)
    listening = _listen("127.0.0.1", port)  # before anything of the host is touched
    token = _token(directory)
    with assembled(directory, machines, token) as context:
        context.bodies.transitions = transitions
        api = _server(application(context), listening)
        bind = context.bodies.network.metadata_bind
        told = [] if bind is None else [_server(metadata(context.account), _listen(*bind))]
        servers = [api, *told]
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, _stop, servers)
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, _stop, servers)
        running = [asyncio.create_task(server.serve()) for server in told]  # before anything boots
        await asyncio.to_thread(context.bodies.restore)
        running.append(asyncio.create_task(api.serve()))  # nobody asks for anything before all is as it was
        pid = os.getpid()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        started = endpoint.process_started(pid) or 0
        endpoint.write(directory, endpoint.Endpoint(url, token, pid, started, machines.name))
        log.info("answers at %s with driver %s", url, machines.name)
        await asyncio.gather(*running)
        endpoint.remove(directory)  # first, so that nobody is sent to a server that is going
        await asyncio.to_thread(context.bodies.suspend)


@contextmanager
def assembled(directory: Path, machines: Driver, token: str) -> Iterator[Context]:
    """Put a local cloud together, without serving it yet."""
    account = Account(directory)
    notes = {one["slug"]: machines.image_note(one["slug"]) for one in images({})}
    faults = FaultBook()
    world = World(account.clock, faults)
    try:
        bodies = Bodies(account, machines, world)
        yield Context(account, bodies, machines, token, account.clock, faults, world, Record(), notes)
    finally:
        account.close()


def _token(directory: Path) -> str:
    """Take the token of this directory, minted at its first start."""
    file = directory / "token"
    if not file.exists() or not file.stat().st_size:
        unfinished = file.with_suffix(".part")
        unfinished.unlink(missing_ok=True)
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.fchmod(descriptor, 0o600)  # whatever the umask
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            opened.write(f"cloudship_local_{secrets.token_hex(32)}")
        unfinished.rename(file)  # whole or not at all: an empty token would let everybody in
    return file.read_text(encoding="utf-8")


def _listen(host: str, port: int) -> socket.socket:
    # Named, since asyncio sends small parts at once only where it is: without it an answer takes 40 ms more.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        raise LocalCloudError(f"Port {port} of {host} is taken: {error.strerror}") from error
    listening.listen(128)
    return listening


class _Server(uvicorn.Server):
    """A server that leaves signals to whoever runs several of them."""

    def __init__(self, config: uvicorn.Config, listening: socket.socket) -> None:
        super().__init__(config)
        self._listening = listening

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        await super().serve(sockets or [self._listening])


def _server(app: object, listening: socket.socket) -> _Server:
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        http=ExposedProtocol,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,  # the account's time is said, which need not be this machine's
        timeout_graceful_shutdown=5,
    )
    return _Server(config, listening)


def _stop(servers: list[_Server]) -> None:
    for server in servers:
        server.should_exit = True


if __name__ == "__main__":
    try:
        main()
    except LocalCloudError as error:
        raise SystemExit(str(error)) from error
