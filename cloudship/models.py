"""Frozen values that the modules hand to each other, and the enums in them."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from datetime import datetime, timezone
from enum import Enum
from ipaddress import IPv4Address
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from cloudship.enums import Cloud, OnFailure
from cloudship.legible import typed

__all__ = [
    "CONTROL",
    "SHIP_NAME",
    "SHIP_RULE",
    "Account",
    "Cloud",
    "Destroyed",
    "Droplet",
    "DropletRequest",
    "DropletStatus",
    "Endpoint",
    "Image",
    "Key",
    "Kind",
    "Left",
    "OnFailure",
    "PhaseTime",
    "Reaped",
    "Receipt",
    "Region",
    "Release",
    "Result",
    "Secret",
    "ShipName",
    "Size",
    "Timeouts",
    "Value",
    "as_ship_name",
    "rfc3339",
    "ship_name",
]

SHIP_NAME = re.compile(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?")
CONTROL = "cloudship-droplet"  # the program on the droplet, as userdata/ installs it
SHIP_RULE = "lower-case letters, digits and '-', starts with a letter, ends with a letter or digit, at most 40"


def ship_name(text: str) -> str:
    """
    Accept a ship's name.

    Raises:
        ValueError: the name breaks the rule, which the message states.
    """
    if not SHIP_NAME.fullmatch(text):
        shown = typed(text)
        raise ValueError(f"{shown!r} is no name for a ship: {SHIP_RULE}{_would_do(shown)}")
    return text


def as_ship_name(text: str) -> str:
    """Make what could be a ship's name of any text: the rule still has to be asked."""
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).lstrip("-0123456789")[:40].rstrip("-")


def _would_do(text: str) -> str:
    near = as_ship_name(text)
    return f"; {near!r} would do" if SHIP_NAME.fullmatch(near) else ""


ShipName = Annotated[str, AfterValidator(ship_name)]


class Value(BaseModel):
    """Base of all values here: frozen, nothing unknown accepted."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Told(Value):
    """Base of what an API told: a number is a number there, a text a text, and nothing is made into the other."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class Secret:
    """
    A text that never shows itself: repr, str and format give `***`.

    `reveal` is the only way to the text, so that a reader can list every place that uses it.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Give the text itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret('***')"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return format("***", spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a Secret is not pickled: it would land on a disk in clear")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            lambda value: value if isinstance(value, cls) else cls(str(value)),
            serialization=core_schema.plain_serializer_function_ser_schema(str),
        )


class DropletStatus(str, Enum):
    """DigitalOcean's own states of a droplet."""

    NEW = "new"  # being made
    ACTIVE = "active"  # powered on, which is not yet booted
    OFF = "off"  # powered off, which still costs
    ARCHIVE = "archive"  # put away by DigitalOcean
    UNKNOWN = "unknown"  # a state that DigitalOcean did not have when this was written

    @classmethod
    def _missing_(cls, value: object) -> DropletStatus | None:
        """Read a state nobody foresaw: one droplet in it must not make a whole listing unreadable."""
        return cls.UNKNOWN if isinstance(value, str) else None


class Kind(str, Enum):
    """Kinds of things that a launch makes, in the order in which it makes them."""

    KEY = "key"
    DROPLET = "droplet"
    TAG = "tag"


class Endpoint(Value):
    """Where a cloud's API answers and what opens it."""

    cloud: Cloud
    url: str  # ends in /v2/, as python-digitalocean wants it
    token: Secret

    @property
    def mark(self) -> str:
        """Tell accounts apart on this machine's records: the cloud, and a digest that leads to no token."""
        return f"{self.cloud.value}/{hashlib.sha256(self.token.reveal().encode()).hexdigest()[:12]}"


class Droplet(Told):
    """A droplet as the API told it."""

    id: int
    name: str
    status: DropletStatus
    ip_address: IPv4Address | None
    image: str  # slug, or the name where there is no slug
    image_name: str  # the full name, which on the local cloud tells what really boots
    size: str
    region: str
    price_hourly: float  # USD
    tags: frozenset[str]
    created_at: datetime


class Key(Told):
    """An SSH key of the account."""

    id: int
    name: str
    fingerprint: str
    public_key: str


class Image(Told):
    """An image that the cloud offers."""

    id: int
    slug: str | None
    name: str
    distribution: str
    regions: frozenset[str] = frozenset()


class Size(Told):
    """A size that the cloud offers."""

    slug: str
    memory_mib: int
    vcpus: int
    disk_gib: int
    price_hourly: float  # USD
    available: bool
    regions: frozenset[str] = frozenset()


class Region(Told):
    """A region that the cloud offers."""

    slug: str
    name: str
    available: bool
    sizes: frozenset[str] = frozenset()


class Left(Value):
    """Something that still exists although it should not, and what it costs."""

    kind: Kind
    id: str
    price_hourly: float = 0.0  # USD

    def __str__(self) -> str:
        price = f", ${self.price_hourly:.5f} an hour" if self.price_hourly else ""
        return f"{self.kind.value} {self.id}{price}"


class Destroyed(Value):
    """Something that a teardown took away and proved gone."""

    kind: Kind
    id: str


class Receipt(Value):
    """What a teardown did."""

    name: str
    destroyed: tuple[Destroyed, ...] = ()
    searched: tuple[Cloud, ...] = ()  # the clouds that answered
    seconds_lived: float | None = None  # None when there was no droplet
    cost: float = 0.0  # USD, by the second from the creation on, as billed


class Reaped(Value):
    """What a reaper decided about one launch, and how that went; or about what no launch of ours explains."""

    name: str  # the ship; else the droplet's own name, or the tag
    launch: str  # empty where what is there does not say it
    cloud: Cloud
    what: str  # the objects, for people
    taken: bool  # whether it was to go
    reason: str  # why it was, or was not, to go
    destroyed: tuple[Destroyed, ...] = ()
    left: tuple[Left, ...] = ()  # could not be proved gone
    price_hourly: float = 0.0  # USD, of what it costs while it stays


class PhaseTime(Value):
    """How long one phase of a launch took."""

    name: str
    seconds: float


class Result(Value):
    """How a command on the droplet ended."""

    exit_status: int
    stdout: str
    stderr: str


class Release(Value):
    """One release of a ship's app, as the droplet recorded it."""

    number: int
    state: str  # live, kept, failed or cut off
    action: str  # what made it: up, deploy, push, env, ...
    by: str
    at: str  # RFC 3339 in UTC
    commit: str  # a commit's hash, or what was sent, in words
    seconds: dict[str, float] = Field(default_factory=dict)  # of each stage
    failure: str | None = None  # why it never went live


# Seconds for which an API that is asked too often may have us pause, besides a limit: what DigitalOcean counts by the
# minute is free again after one, or two beside others.
OBEYED = 120.0


class Timeouts(Value):
    """
    Limits of every wait, in seconds.

    Each wait has its own: a generous limit for one never hides the failure of another.
    """

    request: float = Field(default=30.0, gt=0)  # one API call
    visible: float = Field(default=30.0, gt=0)  # a call that may be repeated to go well
    listed: float = Field(default=90.0, gt=0)  # an object that may have been created to appear in a listing
    active: float = Field(default=300.0, gt=0)
    ssh: float = Field(default=180.0, gt=0)
    attempt: float = Field(default=10.0, gt=0)  # one attempt at SSH or HTTP
    host_key: float = Field(default=60.0, gt=0)
    boot: float = Field(default=600.0, gt=0)
    push: float = Field(default=600.0, gt=0)
    release: float = Field(default=900.0, gt=0)
    answer: float = Field(default=60.0, gt=0)
    destroy: float = Field(default=300.0, gt=0)

    @property
    def launch(self) -> float:
        """The longest that a launch may take until it answers: all its waits, one after the other."""
        asking = 3 * (self.visible + OBEYED) + 5 * self.listed  # key, droplet, tag; looked for; rivals at last
        booting = self.active + self.ssh + 3 * (self.host_key + self.boot + self.attempt)  # each in three steps
        return asking + booting + self.push + self.release + self.answer


def rfc3339(unix: float | None) -> str | None:
    """Write a unix time as RFC 3339 in UTC."""
    if unix is None:
        return None
    return datetime.fromtimestamp(unix, timezone.utc).isoformat().replace("+00:00", "Z")


class Account(Told):
    """The account's standing."""

    email: str
    status: str  # active, warning or locked
    droplet_limit: int


class DropletRequest(Value):
    """The body of the one POST that makes a droplet."""

    name: str
    region: str
    size: str
    image: str
    ssh_keys: tuple[int, ...]
    tags: tuple[str, ...]
    user_data: str
