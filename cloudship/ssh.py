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

from cloudship import durable
from cloudship.errors import ConfigError, HostKeyMismatch, KeyMissing, ShellError, ShellRefused, ShellUnreachable
from cloudship.keys import LaunchFiles
from cloudship.models import Result

LONGEST_LINE = 1 << 16  # bytes; a longer one is handed on in pieces
MOST_OUTPUT = 8 << 20  # bytes that `run` keeps of each stream
START = 20.0  # seconds within which a host says that a command has begun
KEEPALIVE = 15  # seconds
SILENCE = 60  # seconds after which a peer that confirms nothing any more is taken for gone
_CHUNK = 32768
_POLL = 0.2  # seconds between looks at a stream's limit

_NOT_YET = (ShellRefused, "{address} does not let us in (yet): {detail}")
_BROKEN = (ShellUnreachable, "The connection to {address} broke: {detail}")
_NOT_IT = (HostKeyMismatch, "{address} offers no key of the pinned kind; nothing was sent")
_NEVER = (ShellError, "{address} is asked for in a way that is not ours: {detail}")  # of parts that are not used here
_UNGREETED = "Error reading SSH protocol banner"  # all that tells this from what else the library calls by its name
_BUSY = "sshd ends the connection before it says a word, as it does with too many at once (MaxStartups)"
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
    EOFError: (ShellUnreachable, "The connection to {address} broke"),  # it has no words of its own
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
        self._address = str(transport.getpeername()[0])  # nobody knows it any more once the connection is closed

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
            KeyMissing: the key that logs in cannot be read.
        """
        identity, deadline = _identity(files), time.monotonic() + limit
        with _mapped(address, (Exception,)):  # what a stranger sends may make the library stumble in any way
            stream = socket.create_connection((address, port), timeout=limit)
            _end_when_silent(stream)
            transport = paramiko.Transport(stream)
            try:
                _greeted(transport, files, deadline)
                transport.auth_timeout = _left(deadline)
                transport.auth_publickey(user, identity)
            except BaseException:
                transport.packetizer.complete_handshake()  # its timer would outlive us by seconds
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
        out, err = _Kept(), _Kept()
        status = self._carry(command, stdin, limit, out.feed, err.feed)
        return Result(exit_status=status, stdout=out.text, stderr=err.text)

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
        out, err = _Lines(line), _Lines(line)  # each cuts its own stream: no line is made of two
        status = self._carry(command, stdin, limit, out.feed, err.feed)
        out.end()
        err.end()
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
        if "\0" in shown:  # whatever runs it over there would end it there
            raise ConfigError("A command cannot hold a zero byte")
        with _mapped(self._address):
            answered_within = START if limit is None else min(START, limit)
            channel = self._transport.open_session(timeout=answered_within)
            try:
                _begin(channel, shown.encode("utf-8", "surrogateescape"), answered_within)
                feeding = threading.Thread(target=_feed, args=(channel, stdin or b""), daemon=True)
                feeding.start()
                _drain(channel, limit, out, err)
                status = channel.recv_exit_status()
            finally:
                channel.close()
        if status == -1:
            raise self._without_status(shown)
        return status

    def _without_status(self, shown: str) -> ShellError:
        self._transport.join(_POLL)  # it ends with its connection
        if self._transport.is_alive():
            return ShellError(f"`{shown}` was killed by a signal")
        return ShellUnreachable(f"The connection to {self._address} broke while `{shown}` ran")


def _identity(files: LaunchFiles) -> paramiko.Ed25519Key:
    """Read the key that logs in, before anybody is asked to let us in."""
    try:
        return paramiko.Ed25519Key.from_private_key(io.StringIO(durable.read(files.identity)))
    except (OSError, ValueError, LookupError, AssertionError, paramiko.SSHException) as error:  # of a file that is none
        raise KeyMissing(f"The key that logs in cannot be read: {files.identity}: {_words_of(error)}") from error


def _end_when_silent(stream: socket.socket) -> None:
    """Have the kernel end a connection whose other end vanished; by itself it tries for a quarter of an hour."""
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENCE * 1000)


def _left(deadline: float) -> float:
    return max(0.001, deadline - time.monotonic())


def _greeted(transport: paramiko.Transport, files: LaunchFiles, deadline: float) -> None:
    """Make the handshake, and go on only with a host that has a pinned key."""
    pinned = files.pinned()
    types = {line.split()[0] for line in pinned}
    options = transport.get_security_options()
    options.key_types = tuple(one for one in options.key_types if one in types) or ("ssh-ed25519",)
    transport.banner_timeout = transport.handshake_timeout = _left(deadline)
    transport.start_client(timeout=_left(deadline))
    try:
        answered = transport.get_remote_server_key()
    except paramiko.SSHException as error:  # that there is none yet is all that a timeout leaves behind
        raise TimeoutError from error
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
    """Make our error of one of paramiko's or the system's, by its type; of any other, that the connection broke."""
    kind, text = next((ERRORS[one] for one in type(error).__mro__ if one in ERRORS), _BROKEN)
    detail = getattr(error, "strerror", None) or _words_of(error)
    if _UNGREETED in detail:
        detail = _BUSY
    return kind(text.format(address=address, detail=detail))


def _words_of(error: Exception) -> str:
    try:
        return str(error) or type(error).__name__
    except Exception:  # noqa: BLE001  some of the library's own cannot be written without what they are about
        return type(error).__name__


def _begin(channel: paramiko.Channel, command: bytes, limit: float) -> None:
    """Have a command begun; left alone, paramiko waits for ever for the host to say that it has."""
    late = threading.Timer(limit, channel.close)
    late.daemon = True
    late.start()
    try:
        channel.exec_command(command)
    except paramiko.SSHException as error:
        if late.is_alive():
            raise
        raise TimeoutError from error
    finally:
        late.cancel()


def _feed(channel: paramiko.Channel, data: bytes) -> None:
    with suppress(OSError, EOFError):  # the command ended without reading all of it
        rest = memoryview(data)
        while rest and not channel.closed:
            with suppress(TimeoutError):  # it reads slowly; the limit is the command's own
                rest = rest[channel.send(bytes(rest[:_CHUNK])) :]
        channel.shutdown_write()


def _drain(
    channel: paramiko.Channel, limit: float | None, out: Callable[[bytes], None], err: Callable[[bytes], None]
) -> None:
    deadline = time.monotonic() + limit if limit is not None else float("inf")
    channel.settimeout(_POLL)
    while True:
        try:
            data = channel.recv(_CHUNK)
        except TimeoutError:
            data = None
        if data:
            out(data)
        while channel.recv_stderr_ready() and time.monotonic() <= deadline:
            err(channel.recv_stderr(_CHUNK))
        if data == b"" and channel.status_event.wait(_POLL):  # it closed its output and may work on
            break
        if time.monotonic() > deadline:
            raise ShellError(f"The command did not end within {limit:g} s")
    with suppress(TimeoutError):
        while rest := channel.recv_stderr(_CHUNK):
            err(rest)


class _Kept:
    """The beginning of a stream, and no more of it."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> None:
        """Take what came."""
        self._data += data[: MOST_OUTPUT - len(self._data)]

    @property
    def text(self) -> str:
        """What is kept."""
        return self._data.decode("utf-8", "replace")


class _Lines:
    """Cuts a stream of bytes into lines; one that has no end is cut where it becomes too long."""

    def __init__(self, line: Callable[[str], None]) -> None:
        self._line, self._rest = line, b""

    def feed(self, data: bytes) -> None:
        """Take what came."""
        *whole, rest = data.split(b"\n")
        for one in whole:
            self._hand_on(self._rest + one)
            self._rest = b""
        self._rest += rest
        if len(self._rest) > LONGEST_LINE:
            self.end()

    def end(self) -> None:
        """Hand on what was left without a line's end."""
        if self._rest:
            self._hand_on(self._rest)
            self._rest = b""

    def _hand_on(self, line: bytes) -> None:
        self._line(line.decode("utf-8", "replace").rstrip("\r"))
