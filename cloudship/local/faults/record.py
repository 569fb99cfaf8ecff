"""The requests that were seen, newest last; what is secret in them is not kept."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import deque
from dataclasses import asdict, dataclass
from typing import Any

MOST = 10_000  # requests that are kept
_HIDDEN = frozenset({"user_data"})  # holds a private key while a droplet boots


@dataclass(frozen=True)
class Seen:
    """One request."""

    number: int
    at: float  # the account's time, as unix time
    method: str
    path: str
    query: str
    operation: str | None  # DigitalOcean's operation id
    body: Any  # parsed, without what is secret
    status: int | None  # None: no answer was given
    fault: str | None  # the kind that struck


class Record:
    """The last requests; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: deque[Seen] = deque(maxlen=MOST)
        self._count = 0

    def add(self, **facts: Any) -> None:
        """Write one down."""
        with self._lock:
            self._count += 1
            self._seen.append(Seen(number=self._count, **facts))

    def all(self) -> list[dict[str, Any]]:
        """List them."""
        with self._lock:
            return [asdict(one) for one in self._seen]

    def clear(self) -> None:
        """Forget them."""
        with self._lock:
            self._seen.clear()


def readable(data: bytes) -> Any:
    """Parse a body; what is secret is replaced by its hash."""
    try:
        told = json.loads(data) if data else None
    except (ValueError, RecursionError):
        return f"<{len(data)} bytes that are no JSON>"
    if not isinstance(told, dict):
        return told
    return {key: _hash(value) if key in _HIDDEN and value else value for key, value in told.items()}


def _hash(value: Any) -> str:
    return f"<sha256 {hashlib.sha256(str(value).encode()).hexdigest()[:16]}>"
