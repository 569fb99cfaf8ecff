"""How a launch marks what it makes: the account is the state, and tags and names are its spelling."""

from __future__ import annotations

import getpass
import re
import secrets
import socket
from collections.abc import Iterable
from dataclasses import dataclass, replace

from cloudship.models import SHIP_NAME, Droplet

SHARED = "cloudship"  # the one tag that all ships share; it is never deleted
OWN = (f"{SHARED}:ship:", f"{SHARED}:launch:")  # how the tags begin that one ship alone carries
PENDING = f"{SHARED}:pending:"  # how the tags of deadlines begin
_LAUNCH = re.compile(r"[0-9a-f]{10}")
_OWNER = re.compile(r"[A-Za-z0-9_-]{1,60}")
LAST = 99_999_999_999  # unix time: the last that a tag can name
_NOBODY = "-"  # stands for an owner while tags are read; what it becomes then is the name of nobody
_UNIX = re.compile(r"[0-9]{1,11}")  # not isdigit(): anybody may name a key, in any script


@dataclass(frozen=True)
class ShipTags:
    """What the tags of one droplet of ours say."""

    name: str
    launch: str
    owner: str
    expires: int | None  # unix time; of several, as while it is extended, the latest
    pending: int | None  # unix time: the deadline of a launch that has not answered yet; of several the earliest


@dataclass(frozen=True)
class KeyName:
    """What the name of one account key of ours says."""

    name: str
    launch: str
    created: int  # unix time


@dataclass(frozen=True)
class DropletName:
    """What the name of one droplet of ours says."""

    name: str
    launch: str


def new_launch() -> str:
    """Mint the id of a launch."""
    return secrets.token_hex(5)


def launch_tags(name: str, launch: str, owner: str, expires: int | None, pending: int | None) -> tuple[str, ...]:
    """Write the tags of a launch's droplet."""
    found = [SHARED, ship_tag(name), launch_tag(launch), f"{SHARED}:by:{owner}"]
    found += [expires_tag(expires)] if expires is not None else []
    found += [pending_tag(pending)] if pending is not None else []
    return tuple(found)


def ship_tag(name: str) -> str:
    """Write the tag by which a ship is found."""
    return f"{SHARED}:ship:{name}"


def launch_tag(launch: str) -> str:
    """Write the tag by which one launch is found."""
    return f"{SHARED}:launch:{launch}"


def pending_tag(deadline: int) -> str:
    """Write the tag of a launch that has not answered yet."""
    return f"{PENDING}{deadline}"


def expires_tag(moment: int) -> str:
    """Write the tag of a ship that may be reaped from a moment on, unix time."""
    return f"{SHARED}:expires:{moment}"


def expiries(tags: Iterable[str]) -> tuple[str, ...]:
    """Pick the tags that say when a ship expires."""
    return tuple(sorted(tag for tag in tags if tag.startswith(f"{SHARED}:expires:")))


def moment_of(tag: str) -> int | None:
    """Say the moment that a tag of an end or a deadline names, unix time; None for any other tag."""
    for part in ("expires", "pending"):
        text = tag.removeprefix(f"{SHARED}:{part}:")
        if text != tag and _UNIX.fullmatch(text):
            return int(text)
    return None


def read(tags: Iterable[str]) -> ShipTags | None:
    """Read the tags of a droplet; None unless it carries exactly what a launch of ours writes."""
    whole = frozenset(tags)
    names, launches, owners = (_values(whole, part) for part in ("ship", "launch", "by"))
    expires, pending = (_values(whole, part) for part in ("expires", "pending"))
    single = len(names) == len(launches) == len(owners) == 1
    if SHARED not in whole or not single:
        return None
    well_formed = SHIP_NAME.fullmatch(names[0]) and is_launch(launches[0]) and _OWNER.fullmatch(owners[0])
    if not well_formed or not all(_UNIX.fullmatch(text) for text in (*expires, *pending)):
        return None
    ends, deadlines = ([int(text) for text in found] for found in (expires, pending))
    return ShipTags(names[0], launches[0], owners[0].lower(), max(ends, default=None), min(deadlines, default=None))


def of(droplet: Droplet) -> ShipTags | None:
    """
    Say what a droplet of ours is, also where a tag that others carry was taken from it.

    A tag can only be removed from everything at once, and nothing says who begins to carry it in that moment. The tag
    of the launch is nobody else's, and the name says the same: together they are enough.
    """
    return read(droplet.tags) or _by_name(droplet)


def _by_name(droplet: Droplet) -> ShipTags | None:
    named = read_droplet_name(droplet.name)
    if named is None or _values(droplet.tags, "launch") != [named.launch]:
        return None
    lost = {ship_tag(named.name)} if not _values(droplet.tags, "ship") else set()
    lost |= {f"{SHARED}:by:{_NOBODY}"} if not _values(droplet.tags, "by") else set()
    found = read({*droplet.tags, *lost})
    return found if found is None or found.owner != _NOBODY else replace(found, owner="?")


def key_name(name: str, launch: str, created: int) -> str:
    """Name the account key of a launch; keys cannot carry tags."""
    return f"{SHARED}:{name}:{launch}:{created}"


def read_key_name(text: str) -> KeyName | None:
    """Read the name of an account key; None unless a launch of ours wrote it."""
    parts = text.split(":")
    if len(parts) != 4 or parts[0] != SHARED or not _UNIX.fullmatch(parts[3]):  # noqa: PLR2004  the parts of `key_name`
        return None
    if not SHIP_NAME.fullmatch(parts[1]) or not is_launch(parts[2]):
        return None
    return KeyName(parts[1], parts[2], int(parts[3]))


def droplet_name(name: str, launch: str) -> str:
    """Name the droplet of a launch: a host name, and unique, so that a lost answer can be looked for."""
    return f"{name}-{launch}"


def read_droplet_name(text: str) -> DropletName | None:
    """Read the name of a droplet; None unless a launch of ours wrote it."""
    name, _, launch = text.rpartition("-")
    return DropletName(name, launch) if SHIP_NAME.fullmatch(name) and is_launch(launch) else None


def is_launch(text: str) -> bool:
    """Whether a text can be the id of a launch."""
    return _LAUNCH.fullmatch(text) is not None


def is_owner(text: str) -> bool:
    """Whether a text can name who launches."""
    return _OWNER.fullmatch(text) is not None


def _values(tags: Iterable[str], part: str) -> list[str]:
    prefix = f"{SHARED}:{part}:"
    return [tag[len(prefix) :] for tag in tags if tag.startswith(prefix)]


def owner(configured: str | None) -> str:
    """Say who launches, as a tag says it: tags that differ in case alone are one to DigitalOcean."""
    return (configured or default_owner()).lower()


def default_owner() -> str:
    """Say who launches: login and host name, in the letters that a tag can carry."""
    try:
        login = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in some containers
        login = "somebody"
    found = re.sub(r"[^A-Za-z0-9_-]+", "-", f"{login}-{socket.gethostname()}")[:60].strip("-")
    return found or "somebody"  # nothing of a name in another script is left
