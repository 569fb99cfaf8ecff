"""cloudship: a Python web app online on a fresh droplet in one call, and gone without a trace in another."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cloudship.config import Config
    from cloudship.errors import CloudshipError, LeftBehind, ReleaseFailed, ShipNotFound, UsageError, WaitTimeout
    from cloudship.fleet import down, get, ships
    from cloudship.launch import up
    from cloudship.models import Cloud, OnFailure, Receipt, Result, Secret, Timeouts
    from cloudship.ship import Ship

_PLACES = {
    "Cloud": "models",
    "CloudshipError": "errors",
    "Config": "config",
    "LeftBehind": "errors",
    "OnFailure": "models",
    "Receipt": "models",
    "ReleaseFailed": "errors",
    "Result": "models",
    "Secret": "models",
    "Ship": "ship",
    "ShipNotFound": "errors",
    "Timeouts": "models",
    "UsageError": "errors",
    "WaitTimeout": "errors",
    "down": "fleet",
    "get": "fleet",
    "ships": "fleet",
    "up": "launch",
}

__all__ = [
    "Cloud",
    "CloudshipError",
    "Config",
    "LeftBehind",
    "OnFailure",
    "Receipt",
    "ReleaseFailed",
    "Result",
    "Secret",
    "Ship",
    "ShipNotFound",
    "Timeouts",
    "UsageError",
    "WaitTimeout",
    "down",
    "get",
    "ships",
    "up",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: `import cloudship` loads nothing heavy."""
    if name not in _PLACES:
        raise AttributeError(f"module 'cloudship' has no attribute {name!r}")
    return getattr(import_module(f"cloudship.{_PLACES[name]}"), name)
