"""Where droplets find Python packages and Pythons: what this user's own tools are set up to use."""

from __future__ import annotations

import importlib.util
import ipaddress
import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from cloudship.models import Value

_MIRROR = "UV_PYTHON_INSTALL_MIRROR"  # uv's own name
_VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")


class Packages(Value):
    """Where a droplet fetches from."""

    index_url: str | None = None  # None: it asks its own pip
    python_mirror: str | None = None  # None: where uv fetches Pythons by itself
    notes: tuple[str, ...] = ()  # what stays here, and how it can travel


def packages(python_mirror: str | None, environ: Mapping[str, str] = os.environ) -> Packages:
    """
    Decide where a droplet fetches packages and Pythons.

    Args:
        python_mirror: as configured; it wins over the environment.
        environ: the environment.
    """
    mirror = python_mirror or environ.get(_MIRROR)
    named = next((name for name in _VARIABLES if environ.get(name)), None)
    notes = []
    if named is not None and not _can_travel(environ[named]):
        notes.append(
            f"the index in {named} stays here: user-data can be read by everything on the droplet, and its loopback is"
            f" not ours; give it to the app as a value: --env-file with a line {named}=..."
        )
    usable = mirror if mirror and _can_travel(mirror) else None
    return Packages(index_url=index_url(environ), python_mirror=usable, notes=tuple(notes))


def index_url(environ: Mapping[str, str] = os.environ) -> str | None:
    """
    Say which index a droplet should fetch from; None: it asks its own pip.

    An index on this machine's loopback, or one with a password in it, stays here: user-data can be read.
    """
    named = next((environ[name] for name in _VARIABLES if environ.get(name)), None)
    found = named or _default_of_pip()
    return found if found and _can_travel(found) else None


def _default_of_pip() -> str | None:
    """Ask pip for its default instead of writing one down a second time."""
    if importlib.util.find_spec("pip") is None:
        return None
    try:
        from pip._internal.models.index import PyPI  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        return None
    return str(PyPI.simple_url)


def _can_travel(url: str) -> bool:
    """Whether an address may stand in user-data: nobody's password or token in it, and not this machine's loopback."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    plain = url.isascii() and url.isprintable() and " " not in url
    if parts.scheme not in {"http", "https"} or "@" in parts.netloc or host in {None, "localhost"} or not plain:
        return False
    try:
        return not ipaddress.ip_address(str(host)).is_loopback
    except ValueError:
        return True
