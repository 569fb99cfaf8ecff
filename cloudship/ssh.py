"""
SSH to a droplet whose host key is known before the first packet; the only importer of paramiko.

The key that answers is compared here, before anything is said: no agent, no file of the user's, no question.
"""

from __future__ import annotations

import io
import logging
import shlex
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType

import paramiko
from typing_extensions import Self

from cloudship.errors import HostKeyMismatch, ShellError, ShellUnreachable
from cloudship.keys import LaunchFiles
from cloudship.models import Result

MOST_OUTPUT = 8 << 20  # bytes that `run` keeps of each stream
KEEPALIVE = 15  # seconds
_CHUNK = 32768
_POLL = 0.2  # seconds between looks at a stream's limit

_NOT_YET = (ShellUnreachable, "{address} does not let us in (yet): {detail}")
_BROKEN = (ShellUnreachable, "{address} breaks off: {detail}")
_NOT_IT = (HostKeyMismatch, "{address} offers no key of the pinned kind; nothing was sent")
_NEVER = (ShellError, "{address} is asked for in a way that is not ours: {detail}")  # of parts that are not used here
ERRORS: dict[type[BaseException], tuple[type[ShellError], str]] = {
    paramiko.AuthenticationException: _NOT_YET,
    paramiko.ssh_exception.UnableToAuthenticate: _NOT_YET,
    paramiko.BadAuthenticationType: _NOT_YET,
    paramiko.ssh_exception.PartialAuthentication: _NOT_YET,
    paramiko.auth_strategy.AuthFailure: _NOT_YET,
    paramiko.PasswordRequiredException: _NOT_YET,
    paramiko.ssh_exception.IncompatiblePeer: _NOT_IT,
    paramiko.BadHostKeyException: _NOT_IT,
    paramiko.ssh_exception.MessageOrderError: (HostKeyMismatch, "Somebody disturbs the connection to {address}"),
    paramiko.ChannelException: (ShellUnreachable, "{address} opens no session: {detail}"),
    paramiko.ProxyCommandFailure: _NEVER,
    paramiko.ssh_exception.CouldNotCanonicalize: _NEVER,
    paramiko.ConfigParseError: _NEVER,
    paramiko.SSHException: _BROKEN,  # what paramiko raises itself for most that goes wrong
    EOFError: _BROKEN,
    ConnectionError: _BROKEN,
    TimeoutError: (ShellUnreachable, "{address} does not answer in time"),
    ConnectionRefusedError: (ShellUnreachable, "{address} refuses connections on its SSH port"),
    paramiko.ssh_exception.NoValidConnectionsError: (ShellUnreachable, "{address} refuses connections on its SSH port"),
    OSError: (ShellUnreachable, "{address} cannot be reached: {detail}"),
}

logging.getLogger("paramiko").addHandler(logging.NullHandler())  # its errors reach the user as ours


class Shell:
    """One connection; commands run side by side on it."""

    def __init__(self, transport: paramiko.Transport) -> None:
        self._transport = transport

    @classmethod
    def connect(
        cls, address: str, *, files: LaunchFiles, port: int = 22, user: str = "root", limit: float = 20.0
    ) -> Shell:
        """
        Connect once.

        Args:
            address: where.
            files: key and pinned host keys.
            port: the port.
            user: who logs in.
            limit: seconds for all of it.

        Raises:
            ShellUnreachable: nobody answers, or not as us yet.
            HostKeyMismatch: somebody else answers; they got nothing.
        """
        with _mapped(address, (Exception,)):  # what a stranger sends may make the library stumble in any way
            stream = socket.create_connection((address, port), timeout=limit)
            transport = paramiko.Transport(stream)
            try:
                _greeted(transport, files, limit)
                identity = paramiko.Ed25519Key.from_private_key(io.StringIO(files.identity.read_text(encoding="utf-8")))
                transport.auth_publickey(user, identity)
            except BaseException:
                transport.close()
                raise
            transport.set_keepalive(KEEPALIVE)
            return cls(transport)

    def run(self, command: str | Sequence[str], *, stdin: bytes | None = None, limit: float | None = None) -> Result:
        """
        Run a command and give how it ended.

        Args:
            command: words, or one line for the remote shell.
            stdin: what it reads.
            limit: seconds; None: no limit.

        Raises:
            ShellError: the connection broke, or the limit was reached.
        """
        out, err = bytearray(), bytearray()
        status = self._carry(command, stdin, limit, out.extend, err.extend)
        text = [bytes(part[:MOST_OUTPUT]).decode("utf-8", "replace") for part in (out, err)]
        return Result(exit_status=status, stdout=text[0], stderr=text[1])

    def stream(
        self,
        command: str | Sequence[str],
        *,
        line: Callable[[str], None],
        stdin: bytes | None = None,
        limit: float | None = None,
    ) -> int:
        """
        Run a command, hand on its lines as they come, and give its exit status.

        Raises:
            ShellError: the connection broke, or the limit was reached.
        """
        lines = _Lines(line)
        status = self._carry(command, stdin, limit, lines.feed, lines.feed)
        lines.end()
        return status

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _carry(
        self,
        command: str | Sequence[str],
        stdin: bytes | None,
        limit: float | None,
        out: Callable[[bytes], None],
        err: Callable[[bytes], None],
    ) -> int:
        shown = command if isinstance(command, str) else shlex.join(command)
        with _mapped(str(self._transport.getpeername()[0])):
            channel = self._transport.open_session(timeout=20)
            try:
                channel.exec_command(shown)
                feeding = threading.Thread(target=_feed, args=(channel, stdin or b""), daemon=True)
                feeding.start()
                _drain(channel, limit, out, err)
                status = channel.recv_exit_status()
            finally:
                channel.close()
        if status == -1:
            raise ShellError(f"The connection broke while `{shown}` ran")
        return status


def _greeted(transport: paramiko.Transport, files: LaunchFiles, limit: float) -> None:
    """Make the handshake, and go on only with a host that has a pinned key."""
    pinned = files.pinned()
    types = {line.split()[0] for line in pinned}
    options = transport.get_security_options()
    options.key_types = tuple(one for one in options.key_types if one in types) or ("ssh-ed25519",)
    transport.banner_timeout = transport.auth_timeout = limit
    transport.start_client(timeout=limit)
    answered = transport.get_remote_server_key()
    if f"{answered.get_name()} {answered.get_base64()}" not in pinned:
        raise HostKeyMismatch(
            "Somebody else answers on the droplet's address: the host key is not the pinned one; nothing was sent",
            next_step="take the ship down and launch it again",
        )


@contextmanager
def _mapped(
    address: str, kinds: tuple[type[Exception], ...] = (paramiko.SSHException, EOFError, OSError)
) -> Iterator[None]:
    """Turn whatever paramiko or the socket raises into one of our errors."""
    try:
        yield
    except ShellError:
        raise
    except kinds as error:
        raise mapped(address, error) from error


def mapped(address: str, error: Exception) -> ShellError:
    """Make our error of one of paramiko's or the system's, by its type; of any other, that the host breaks off."""
    kind, text = next((ERRORS[one] for one in type(error).__mro__ if one in ERRORS), _BROKEN)
    detail = getattr(error, "strerror", None) or _words_of(error)
    return kind(text.format(address=address, detail=detail))


def _words_of(error: Exception) -> str:
    try:
        return str(error) or type(error).__name__
    except Exception:  # noqa: BLE001  some of the library's own cannot be written without what they are about
        return type(error).__name__


def _feed(channel: paramiko.Channel, data: bytes) -> None:
    with suppress(OSError, EOFError):  # the command ended without reading all of it
        channel.sendall(data)
        channel.shutdown_write()


def _drain(
    channel: paramiko.Channel, limit: float | None, out: Callable[[bytes], None], err: Callable[[bytes], None]
) -> None:
    deadline = time.monotonic() + limit if limit is not None else None
    channel.settimeout(_POLL)
    while True:
        try:
            data = channel.recv(_CHUNK)
        except TimeoutError:
            data = None
        if data:
            out(data)
        while channel.recv_stderr_ready():
            err(channel.recv_stderr(_CHUNK))
        if data == b"" and channel.exit_status_ready():
            break
        if deadline is not None and time.monotonic() > deadline:
            raise ShellError(f"The command did not end within {limit:g} s")
    with suppress(TimeoutError):
        while rest := channel.recv_stderr(_CHUNK):
            err(rest)


class _Lines:
    """Cuts a stream of bytes into lines."""

    def __init__(self, line: Callable[[str], None]) -> None:
        self._line, self._rest = line, b""

    def feed(self, data: bytes) -> None:
        """Take what came."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        for one in whole:
            self._line(one.decode("utf-8", "replace").rstrip("\r"))

    def end(self) -> None:
        """Hand on what was left without a line's end."""
        if self._rest:
            self._line(self._rest.decode("utf-8", "replace"))
