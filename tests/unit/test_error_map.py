"""Every exception of every library, and of the system, becomes one of ours by its type; a new one fails here."""

from __future__ import annotations

import errno
import http.client
import importlib
import inspect
import pkgutil
import socket
import ssl
from collections.abc import Iterator

import digitalocean
import paramiko
import paramiko.auth_strategy
import pytest
import requests
import urllib3

from cloudship import client, ssh, wire
from cloudship.errors import HostKeyMismatch, ShellError, ShellUnreachable
from cloudship.ssh import mapped


def _tree(base: type[BaseException]) -> Iterator[type[BaseException]]:
    for child in base.__subclasses__():
        yield child
        yield from _tree(child)


def _of_module(base: type[BaseException], *modules: str) -> list[type[BaseException]]:
    found = {kind for kind in _tree(base) if kind.__module__.split(".")[0] in modules}
    return sorted(found, key=lambda kind: kind.__qualname__)


def _bare(kind: type[BaseException]) -> BaseException:
    """Make an instance without the arguments that its constructor would want."""
    return kind.__new__(kind)


OF_REQUESTS = _of_module(requests.RequestException, "requests")
OF_URLLIB3 = _of_module(urllib3.exceptions.HTTPError, "urllib3")
OF_SYSTEM = [
    *_of_module(http.client.HTTPException, "http"),
    *(one for one in _of_module(ssl.SSLError, "ssl") if one is not ssl.CertificateError),
    *(ConnectionError, *_of_module(ConnectionError, "builtins"), TimeoutError, socket.gaierror, socket.herror, OSError),
]


def _name_of(kind: type[BaseException]) -> str:
    return f"{kind.__module__}.{kind.__name__}"


def _entry(kind: type[BaseException]) -> type[BaseException] | None:
    """Find the class by which a class is mapped."""
    return next((one for one in kind.__mro__ if one in wire.REASONS), None)


@pytest.mark.parametrize("kind", [*OF_REQUESTS, *OF_URLLIB3], ids=_name_of)
def test_every_exception_of_the_libraries_is_said_in_words(kind: type[BaseException]) -> None:
    """By its own type or one of its library that it derives from; not by what every failure of the system is."""
    entry = _entry(kind)
    assert entry is not None
    assert entry.__module__.split(".")[0] in {"requests", "urllib3"}
    assert wire.REASONS[entry] == wire.reason(_bare(kind))


@pytest.mark.parametrize("kind", OF_SYSTEM, ids=_name_of)
def test_every_failure_of_the_system_is_said_in_words(kind: type[BaseException]) -> None:
    """Those of sockets, TLS, DNS and the standard library's HTTP."""
    assert wire.reason(_bare(kind)) in wire.REASONS.values()


def test_there_are_as_many_classes_as_there_were() -> None:
    """A walk that found nothing would pass and prove nothing."""
    assert (True, True, True) == (len(OF_REQUESTS) >= 20, len(OF_URLLIB3) >= 28, len(OF_SYSTEM) >= 20)


def test_a_new_class_of_a_library_would_be_noticed() -> None:
    """One that derives from a library's base alone is not mapped, and that base is not either."""
    for base in (requests.RequestException, urllib3.exceptions.HTTPError):
        new = type("NewError", (base,), {})
        assert base not in wire.REASONS
        assert _entry(new) in (None, OSError)


CAUSES: dict[str, Exception] = {
    "DNS": urllib3.exceptions.NameResolutionError("h", None, socket.gaierror(-2, "unknown")),  # type: ignore[arg-type]
    "broke the connection": urllib3.exceptions.ProtocolError("aborted", ConnectionResetError(104, "reset")),
    "refuses": urllib3.exceptions.NewConnectionError(None, "no").with_traceback(None),  # type: ignore[arg-type]
    "cannot be reached": OSError(errno.ENETUNREACH, "no way"),
}


@pytest.mark.parametrize("words", CAUSES)
def test_the_innermost_of_a_chain_of_causes_is_said(words: str) -> None:
    """What the libraries wrap is looked into: a name that is not found is no broken connection."""
    cause = CAUSES[words]
    if words == "refuses":
        cause.__cause__ = ConnectionRefusedError(111, "refused")
    assert words in wire.reason(requests.ConnectionError(cause))


@pytest.mark.parametrize(
    ("error", "words"), [(requests.ConnectTimeout, "reached in time"), (requests.exceptions.ProxyError, "proxy")]
)
def test_who_was_in_the_way_is_said_before_what_was_wrong(error: type[Exception], words: str) -> None:
    """A proxy that refuses is no API that refuses."""
    assert words in wire.reason(error(ConnectionRefusedError(111, "refused")))


def _of_digitalocean() -> list[type[BaseException]]:
    for module in pkgutil.iter_modules(digitalocean.__path__):
        importlib.import_module(f"digitalocean.{module.name}")
    return _of_module(Exception, "digitalocean")


@pytest.mark.parametrize("kind", _of_digitalocean(), ids=_name_of)
def test_every_exception_of_python_digitalocean_is_caught(kind: type[BaseException]) -> None:
    """Each is named on its own, so that a new one is looked at; the base of all is not named."""
    is_base = kind is digitalocean.Error
    assert (kind in client.LIBRARY) is not is_base


PARAMIKO = [paramiko.SSHException, *_of_module(paramiko.SSHException, "paramiko")]
IN_MODULE = [
    one for _, one in inspect.getmembers(paramiko.ssh_exception, inspect.isclass) if issubclass(one, Exception)
]


@pytest.mark.parametrize("kind", sorted(PARAMIKO, key=_name_of), ids=_name_of)
def test_every_exception_of_paramiko_is_mapped_on_its_own(kind: type[Exception]) -> None:
    """None only by what it derives from: each says something else of the host that answers."""
    assert kind in ssh.ERRORS
    error = mapped("10.0.0.7", _bare(kind))  # type: ignore[arg-type]
    assert (True, True) == (isinstance(error, ShellError), "10.0.0.7" in error.message)


@pytest.mark.parametrize("kind", [EOFError, *OF_SYSTEM], ids=_name_of)
def test_every_failure_of_a_socket_is_one_of_ours(kind: type[Exception]) -> None:
    """Waiting may help with all of them."""
    if issubclass(kind, OSError | EOFError):
        assert mapped("10.0.0.7", _bare(kind)).retryable  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (paramiko.AuthenticationException, ShellUnreachable),
        (paramiko.ssh_exception.IncompatiblePeer, HostKeyMismatch),
        (paramiko.BadHostKeyException, HostKeyMismatch),
        (ValueError, ShellUnreachable),
    ],
)
def test_a_stranger_is_told_from_a_host_that_is_not_ready(kind: type[Exception], expected: type[ShellError]) -> None:
    """Whatever a host's packets make the library stumble over is a connection that broke."""
    assert isinstance(mapped("10.0.0.7", _bare(kind)), expected)  # type: ignore[arg-type]


def test_a_connection_that_ends_at_any_moment_is_told_alike() -> None:
    """An exception without words is not shown by its name: the user reads that the connection broke."""
    assert "The connection to 10.0.0.7 broke" == mapped("10.0.0.7", EOFError()).message
    assert "The connection to 10.0.0.7 broke: reset" == mapped("10.0.0.7", paramiko.SSHException("reset")).message
