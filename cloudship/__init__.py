"""cloudship: a Python web app online on a fresh droplet in one call, and gone without a trace in another."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cloudship.config import Config
    from cloudship.deploy import Deployed
    from cloudship.errors import CloudshipError, LeftBehind, ReleaseFailed, ShipNotFound, UsageError, WaitTimeout
    from cloudship.fleet import down, extend, get, reap, ships
    from cloudship.launch import up
    from cloudship.models import Cloud, OnFailure, Reaped, Receipt, Release, Result, Secret, Timeouts
    from cloudship.ship import Ship

_PLACES = {
    "Cloud": "models",
    "CloudshipError": "errors",
    "Config": "config",
    "Deployed": "deploy",
    "LeftBehind": "errors",
    "OnFailure": "models",
    "Reaped": "models",
    "Receipt": "models",
    "Release": "models",
    "ReleaseFailed": "errors",
    "Result": "models",
    "Secret": "models",
    "Ship": "ship",
    "ShipNotFound": "errors",
    "Timeouts": "models",
    "UsageError": "errors",
    "WaitTimeout": "errors",
    "down": "fleet",
    "extend": "fleet",
    "get": "fleet",
    "reap": "fleet",
    "ships": "fleet",
    "up": "launch",
}

__all__ = [
    "Cloud",
    "CloudshipError",
    "Config",
    "Deployed",
    "LeftBehind",
    "OnFailure",
    "Reaped",
    "Receipt",
    "Release",
    "ReleaseFailed",
    "Result",
    "Secret",
    "Ship",
    "ShipNotFound",
    "Timeouts",
    "UsageError",
    "WaitTimeout",
    "down",
    "extend",
    "get",
    "reap",
    "ships",
    "up",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: `import cloudship` loads nothing heavy."""
    if name not in _PLACES:
        raise AttributeError(f"module 'cloudship' has no attribute {name!r}")
    return getattr(import_module(f"cloudship.{_PLACES[name]}"), name)
