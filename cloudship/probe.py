"""One look at the app over HTTP, as a visitor from outside would take it."""

from __future__ import annotations

import http.client
import re
import socket
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from cloudship.errors import Unreachable

RELEASE_HEADER = "x-cloudship-release"  # nginx sets it on what came from a release, never on pages of its own
_NUMBER = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True)
class Answer:
    """The head of what came back; nobody waits for a page, which may have no end."""

    status: int
    reason: str
    headers: Mapping[str, str]  # names in lower case

    @property
    def release(self) -> int | None:
        """The release that answered; None when nginx answered by itself."""
        text = self.headers.get(RELEASE_HEADER, "")
        return int(text) if _NUMBER.fullmatch(text) else None


def look(url: str, *, limit: float) -> Answer:
    """
    Ask for a page once: no redirect followed, no proxy used.

    Args:
        url: the page.
        limit: seconds, from the connection to the end of the answer's head.

    Raises:
        Unreachable: nobody answers, or not in HTTP.
    """
    parts = urlsplit(url)
    connection = _Connection(parts.hostname or "", parts.port or 80, limit)
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", path, headers={"User-Agent": "cloudship", "Connection": "close"})
        with closing(connection.getresponse()) as answer:
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, answer.reason, headers)
    except ConnectionRefusedError as error:
        raise Unreachable("connection refused") from error
    except TimeoutError as error:
        raise Unreachable(f"no answer within {limit:.1f} s") from error
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"{type(error).__name__}: {error}") from error
    finally:
        connection.close()


class _Connection(http.client.HTTPConnection):
    """A connection that is over at a deadline, whatever has come by then."""

    def __init__(self, host: str, port: int, limit: float) -> None:
        super().__init__(host, port, timeout=limit)
        self._deadline = time.monotonic() + limit

    def connect(self) -> None:
        """Connect."""
        super().connect()
        self.sock = hurried = _Socket(self.sock, self._deadline)
        hurried.hurry()


class _Socket(socket.socket):
    """Reads until a deadline, where a timeout would begin anew with each packet."""

    def __init__(self, plain: socket.socket, deadline: float) -> None:
        super().__init__(fileno=plain.detach())
        self._deadline = deadline

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        """Receive into a buffer, which is how answers are read."""
        self.hurry()
        return super().recv_into(*args, **kwargs)

    def hurry(self) -> None:
        """Let the next call take the time that is left, and no more."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.settimeout(left)
