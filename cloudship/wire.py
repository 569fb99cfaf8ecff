"""
The wire to the API: one request at a time, the only importer of requests and urllib3.

It gives every object of python-digitalocean what that library lacks: limits of the whole answer in time and size, no
redirects, no cookies, no compression, and a memory of the last answer. Whatever fails on the way is mapped here, once,
by type.
"""

from __future__ import annotations

import http.client
import io
import os
import socket
import ssl
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlencode, urlsplit

import requests
import urllib3

from cloudship.errors import ConfigError, Unreachable
from cloudship.legible import typed
from cloudship.models import Cloud, Endpoint

Answer = requests.Response
Trace = Callable[[str, str, "int | None", float], None]
_CONNECT = 10.0  # seconds, at most
_CHUNK, MOST_BYTES = 65536, 8 << 20  # bytes of an answer; two hundred droplets are one of them
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
_TELLING = (requests.exceptions.ConnectTimeout, requests.exceptions.ProxyError)  # what caused them tells less

# By type; of a chain of causes the innermost counts, see `reason`. Neither library's own base is in it.
REASONS: dict[type[BaseException], str] = {
    requests.exceptions.ConnectTimeout: "it cannot be reached in time",
    requests.exceptions.Timeout: "it did not answer in time",
    requests.exceptions.SSLError: "its certificate is not trusted",
    requests.exceptions.ProxyError: "the proxy does not let us through",
    requests.exceptions.ConnectionError: "it cannot be reached, or broke the connection",
    requests.exceptions.TooManyRedirects: "it answered with a redirect, which is not followed",
    requests.exceptions.ChunkedEncodingError: "it broke its answer off",
    requests.exceptions.ContentDecodingError: "its answer cannot be unpacked",
    requests.exceptions.StreamConsumedError: "its answer was read before",
    requests.exceptions.RetryError: "it cannot be reached",
    requests.exceptions.UnrewindableBodyError: "the request cannot be sent again",
    requests.exceptions.HTTPError: "it answered with an error",
    requests.exceptions.InvalidJSONError: "its answer is no JSON",
    requests.exceptions.InvalidProxyURL: "the proxy's address is none",
    requests.exceptions.InvalidURL: "its address, or the proxy's, is none",
    requests.exceptions.InvalidSchema: "its address, or the proxy's, is of a kind that is not spoken",
    requests.exceptions.MissingSchema: "its address is none",
    requests.exceptions.URLRequired: "its address is none",
    requests.exceptions.InvalidHeader: "the token cannot stand in a header",
    urllib3.exceptions.NameResolutionError: "its name is not found (DNS)",
    urllib3.exceptions.NewConnectionError: "it cannot be reached",
    urllib3.exceptions.ConnectTimeoutError: "it cannot be reached in time",
    urllib3.exceptions.TimeoutError: "it did not answer in time",
    urllib3.exceptions.TimeoutStateError: "it did not answer in time",
    urllib3.exceptions.SSLError: "its certificate is not trusted",
    urllib3.exceptions.ProxyError: "the proxy does not let us through",
    urllib3.exceptions.PoolError: "it cannot be reached",
    urllib3.exceptions.ProtocolError: "it broke the connection",
    urllib3.exceptions.IncompleteRead: "it broke its answer off",
    urllib3.exceptions.InvalidChunkLength: "it broke its answer off",
    urllib3.exceptions.DecodeError: "its answer cannot be unpacked",
    urllib3.exceptions.ResponseError: "it answered with an error",
    urllib3.exceptions.BodyNotHttplibCompatible: "its answer cannot be read",
    urllib3.exceptions.HeaderParsingError: "its answer's headers cannot be read",
    urllib3.exceptions.InvalidHeader: "its answer's headers cannot be read",
    urllib3.exceptions.UnrewindableBodyError: "the request cannot be sent again",
    urllib3.exceptions.LocationValueError: "its address, or the proxy's, is none",
    http.client.HTTPException: "it broke the rules of HTTP",
    ssl.SSLCertVerificationError: "its certificate is not trusted",
    ssl.SSLError: "it does not speak TLS as it should",
    ConnectionRefusedError: "it refuses connections",
    ConnectionError: "it broke the connection",
    TimeoutError: "it did not answer in time",
    socket.gaierror: "its name is not found (DNS)",
    socket.herror: "its name is not found (DNS)",
    OSError: "it cannot be reached",
}


class Wire:
    """
    Makes requests for every object of the library.

    Args:
        timeout: seconds for one request, its answer read to the end.
        proxies: by scheme.
        bundle: certificates to trust; None: those that requests brings.
        trace: hears of every request, without what it carries.
    """

    def __init__(self, timeout: float, proxies: dict[str, str], bundle: str | None, trace: Trace) -> None:
        self._timeout, self._trace = timeout, trace
        self._session = requests.Session()
        self._session.trust_env = False  # no .netrc, which would replace the token
        self._session.proxies = proxies
        self._session.verify = bundle or requests.utils.DEFAULT_CA_BUNDLE_PATH
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Adapter())
        self.last: Answer | None = None

    def equip(self, made: Any) -> None:
        """Give an object of the library this wire: its POSTs would not pass its own session."""
        made._session = self._session  # noqa: SLF001  the library's only seam
        made._BaseAPI__perform_request = (  # noqa: SLF001  same
            lambda url, type="GET", params=None: self.perform(made, url, type, params)  # noqa: A006
        )

    def perform(self, made: Any, url: str, method: str, params: Any) -> Answer:
        """
        Make one request, as the library would, with what it lacks.

        Raises:
            Unreachable: no whole answer came.
        """
        sends, began = method != "GET", time.monotonic()
        earlier = sys.exc_info()[1]  # what is being handled while we are asked, as by a teardown
        shown = url if sends or not params else f"{url}?{urlencode(params, safe=':')}"
        try:
            answer = self._session.request(
                method,
                made.end_point + url,
                params=None if sends else params,
                json=(params or {}) if sends else None,
                headers={
                    "Authorization": f"Bearer {made.token}",
                    "Content-Type": "application/json",
                    "Accept-Encoding": "identity",  # what comes packed can be a thousand times as large
                },
                timeout=(min(_CONNECT, self._timeout), self._timeout),
                allow_redirects=False,
                stream=True,
            )
            _read_whole(answer)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            self._trace(method, shown, None, time.monotonic() - began)
            raise Unreachable(f"No answer from the cloud's API: {reason(error)}") from _fit_to_show(error, earlier)
        self.last = answer
        self._trace(method, shown, answer.status_code, time.monotonic() - began)
        if 300 <= answer.status_code < 400:  # noqa: PLR2004
            raise Unreachable("No answer from the cloud's API: it answered with a redirect, which is not followed")
        return answer


def _fit_to_show(error: BaseException, earlier: BaseException | None) -> BaseException | None:
    """Give an error for a traceback; None where it, or what it came of since, shows who logs in at a proxy."""
    one: BaseException | None = error
    while one is not None and one is not earlier:
        if typed(str(one)) != str(one):
            return None
        one = one.__cause__ or one.__context__
    return error


def date(answer: Answer) -> float | None:
    """Read when an answer was given, unix time; None where it does not say."""
    return moment(answer.headers.get("date", ""))


def moment(text: str) -> float | None:
    """Read a moment as headers say it, unix time; None where it is none."""
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def proxies(endpoint: Endpoint) -> dict[str, str]:
    """Give the environment's proxies, where NO_PROXY does not forbid it; a cloud on this machine has none."""
    host = urlsplit(endpoint.url).hostname or ""
    if endpoint.cloud is Cloud.LOCAL or urllib.request.proxy_bypass(host):
        return {}
    return urllib.request.getproxies()


def environment_bundle() -> str | None:
    """
    Find the certificates that the environment names.

    Raises:
        ConfigError: they are not there.
    """
    for name in _BUNDLES:
        if path := os.environ.get(name):
            if not os.path.exists(path):  # noqa: PTH110  a folder of certificates will do too
                raise ConfigError(f"{name} names certificates that are not there: {path}")
            return path
    return None


def reason(error: BaseException) -> str:
    """Say why no answer came: by the innermost of its causes that is more than some failure of the system."""
    found, general = "", REASONS[OSError]
    for cause in _causes(error):
        kind = next((one for one in type(cause).__mro__ if one in REASONS), None)
        text = REASONS[kind] if kind is not None else ""
        if told := getattr(cause, "verify_message", ""):  # of a certificate
            text = f"{text}: {told}"
        found = text if text and (text != general or not found) else found
        if isinstance(cause, _TELLING):
            break
    return found or type(error).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Walk from an error inwards: the libraries pack what happened into arguments and `reason`."""
    seen: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, BaseException) and one not in seen:
            seen.append(one)
            yield one
            waiting += [*one.args, getattr(one, "reason", None), one.__cause__]


def _read_whole(answer: Answer) -> None:
    """Read a body, up to a size: the library would take whatever comes."""
    body = bytearray()
    while chunk := answer.raw.read1(_CHUNK, decode_content=False):
        body += chunk
        if len(body) > MOST_BYTES:
            answer.close()
            raise requests.exceptions.ContentDecodingError("the answer has no end")
    answer._content, answer._content_consumed = bytes(body), True  # type: ignore[attr-defined]  # noqa: SLF001


class _Reader(io.RawIOBase):
    """Reads a socket until a deadline: its own limit is for each packet, and drops can come for ever."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._plain = connection.makefile("rb", buffering=0)
        self._deadline = time.monotonic() + (connection.gettimeout() or 0.0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._connection.settimeout(left)
        return self._plain.readinto(buffer)

    def close(self) -> None:
        self._plain.close()
        super().close()


class _Limited:
    """What http.client reads an answer from."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Give the file that is read."""
        return io.BufferedReader(_Reader(self._connection))


class _Response(http.client.HTTPResponse):
    """An answer that is read within the limit, its head included."""

    def __init__(self, sock: Any, *rest: Any, **more: Any) -> None:
        super().__init__(_Limited(sock), *rest, **more)  # type: ignore[arg-type]


class _Connection(urllib3.connection.HTTPConnection):
    response_class = _Response


class _SecureConnection(urllib3.connection.HTTPSConnection):
    response_class = _Response


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _Adapter(requests.adapters.HTTPAdapter):
    """The library's own, with connections that keep the limit."""

    def init_poolmanager(self, *rest: Any, **more: Any) -> None:
        super().init_poolmanager(*rest, **more)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}

    def proxy_manager_for(self, *rest: Any, **more: Any) -> Any:
        manager = super().proxy_manager_for(*rest, **more)
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
        return manager
