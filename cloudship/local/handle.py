"""A handle on a local cloud that runs: its time, its transitions, its faults, and the requests it saw."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cloudship.local.endpoint import environment
from cloudship.local.errors import NoAnswer

if TYPE_CHECKING:
    import urllib.error

_LIMIT = 30.0  # seconds


class LocalCloud:
    """
    What `/_cloudship/` offers, for tests and notebooks; whatever is asked raises NoAnswer where nobody answers.

    Args:
        url: where it answers, as `http://127.0.0.1:PORT`.
        token: what opens it.
    """

    def __init__(self, url: str, token: str) -> None:
        self.url = url.rstrip("/")
        self.token = token

    def fault(self, kind: str, **more: Any) -> int:
        """
        Inject a fault, and give its number.

        Args:
            kind: see `docs/local-cloud.md`.
            more: what the kind takes, and `times`, `skip`, `probability`, `seed`, for answers `operation`, `effect`.

        Raises:
            ValueError: there is no such fault; with the API's own words.
        """
        return int(self._call("POST", "faults", {"kind": kind, **more})["id"])

    def faults(self) -> list[dict[str, Any]]:
        """List the faults, and how often each met and struck."""
        return list(self._call("GET", "faults")["faults"])

    def clear_faults(self, number: int | None = None) -> None:
        """
        Forget all faults, or one by its number.

        Raises:
            ValueError: there is none of that number.
        """
        self._call("DELETE", "faults" if number is None else f"faults/{number}")

    def requests(self) -> list[dict[str, Any]]:
        """List the requests that were seen, oldest first."""
        return list(self._call("GET", "requests")["requests"])

    def clear_requests(self) -> None:
        """Forget the requests."""
        self._call("DELETE", "requests")

    def time(self) -> float:
        """Say the account's time, as unix time."""
        return float(self._call("GET", "time")["unix"])

    def advance(self, seconds: float) -> float:
        """Let time pass at once; gives the account's time then."""
        return float(self._call("POST", "time", {"advance": seconds})["unix"])

    def freeze(self) -> None:
        """Stop the account's time."""
        self._call("POST", "time", {"frozen": True})

    def thaw(self) -> None:
        """Let the account's time go on."""
        self._call("POST", "time", {"frozen": False})

    @property
    def transitions(self) -> str:
        """How long things take: `immediate`, `realistic`, or seconds."""
        return str(self._call("GET", "transitions")["transitions"])

    @transitions.setter
    def transitions(self, value: str | float) -> None:
        self._call("PUT", "transitions", {"transitions": str(value)})

    def status(self) -> dict[str, Any]:
        """Say how it is set."""
        return dict(self._call("GET", "status"))

    def reset(self) -> None:
        """Destroy all it made, forget faults and requests, and show the machine's own time again."""
        self._call("POST", "reset")

    def environment(self) -> dict[str, str]:
        """Give the variables that point any client of DigitalOcean's API at it."""
        return environment(self.url, self.token)

    def _call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        import http.client  # here, since every run of pytest loads this module with the plugin
        import urllib.error
        import urllib.request

        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        asked = urllib.request.Request(f"{self.url}/_cloudship/{path}", data, headers, method=method)  # noqa: S310  http
        try:
            with opener.open(asked, timeout=_LIMIT) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise ValueError(_message(error)) from None
        except (OSError, http.client.HTTPException) as error:
            why = getattr(error, "reason", error)
            raise NoAnswer(f"The local cloud at {self.url} does not answer: {why}") from error
        return dict(json.loads(text)) if text else {}


def _message(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read())["message"])
    except (OSError, ValueError, KeyError):
        return f"{error.code} {error.reason}"
