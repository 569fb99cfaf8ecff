"""One look at the app over HTTP, as a visitor from outside would take it."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from cloudship.errors import Unreachable

RELEASE_HEADER = "x-cloudship-release"  # nginx sets it on what came from a release, never on pages of its own
_BODY = 2048  # bytes kept of an answer


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    reason: str
    headers: Mapping[str, str]  # names in lower case
    body: str  # its beginning

    @property
    def release(self) -> int | None:
        """The release that answered; None when nginx answered by itself."""
        text = self.headers.get(RELEASE_HEADER, "")
        return int(text) if text.isdigit() else None


def look(url: str, *, limit: float) -> Answer:
    """
    Ask for a page once: no redirect followed, no proxy used.

    Raises:
        Unreachable: nobody answers, or not in HTTP.
    """
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=limit)
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", path, headers={"User-Agent": "cloudship", "Connection": "close"})
        answer = connection.getresponse()
        body = answer.read(_BODY).decode("utf-8", "replace")
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, answer.reason, headers, body)
    except ConnectionRefusedError as error:
        raise Unreachable("connection refused") from error
    except TimeoutError as error:
        raise Unreachable(f"no answer within {limit:.1f} s") from error
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"{type(error).__name__}: {error}") from error
    finally:
        connection.close()
