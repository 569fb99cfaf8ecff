"""
Every kind of fault, as a typed body.

A fault of an answer is taken by the next request that it fits, one of the account by the next object or for as long
as it stands; each after `skip`, at most `times` times, with `probability`. What could not be carried out when it
strikes is refused here, by its field.
"""

from __future__ import annotations

import re
from base64 import b64decode
from enum import Enum
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationInfo,
    field_validator,
    model_validator,
)

from cloudship.local.account import catalogue

MOST_SECONDS = 3600.0
MOST_BYTES = 64 << 20
_BARE = frozenset({204, 304})  # answers that HTTP gives no body
_TOKEN = re.compile(r"[-!#$%&'*+.^_`|~0-9a-zA-Z]+")  # what HTTP takes for the name of a header
_LINE = re.compile(r"(?! )[^\x00-\x1f\x7f]*(?<! )")
_FRAMING = frozenset({"content-length", "transfer-encoding"})  # said by the server, of the body that it sends


def _header_name(value: str) -> str:
    if not _TOKEN.fullmatch(value):
        raise ValueError("HTTP knows no such name of a header")
    if value.lower() in _FRAMING:
        raise ValueError("it would contradict the body; `wrong_length` is a fault of its own")
    return value


def _header_value(value: str) -> str:
    if not _LINE.fullmatch(value):
        raise ValueError("a header is one line, without control characters or blanks at its ends")
    return value


def _status_of_a_body(value: int) -> int:
    if value in _BARE:
        raise ValueError(f"an answer of status {value} has no body")
    return value


HeaderName = Annotated[str, AfterValidator(_header_name)]
HeaderValue = Annotated[str, AfterValidator(_header_value)]


class Effect(str, Enum):
    """Whether the request is carried out although its answer is spoilt."""

    BEFORE = "before"  # it is not: nothing changed
    AFTER = "after"  # it is, and nobody is told


class By(str, Enum):
    """Which listing."""

    NAME = "name"
    TAG = "tag"
    ALL = "all"


class Fault(BaseModel):
    """What all faults have."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    times: int | None = Field(default=1, ge=1)  # None: until it is cleared
    skip: int = Field(default=0, ge=0)  # requests or objects that it lets pass first
    probability: float = Field(default=1.0, gt=0, le=1)
    seed: int = 0  # of the probability


class AnswerFault(Fault):
    """A fault of one answer; which, see `operations`, or None for every request."""

    operation: str | None = None
    effect: Effect = Effect.BEFORE


class RightAnswerFault(AnswerFault):
    """A fault of an answer that is the right one: without the effect there would be none to spoil."""

    effect: Literal[Effect.AFTER] = Effect.AFTER


class Status(AnswerFault):
    """An error status, with a body in DigitalOcean's shape."""

    kind: Literal["status"]
    status: int = Field(ge=400, le=599)
    identifier: str = ""  # DigitalOcean's error id; empty: the usual one of the status
    message: str = ""
    headers: dict[HeaderName, HeaderValue] = Field(default_factory=dict)  # as in {"retry-after": "2"}


class Reset(AnswerFault):
    """The connection is reset (RST) without an answer."""

    kind: Literal["reset"]


class Delay(RightAnswerFault):
    """The answer comes late, by the machine's own clock."""

    kind: Literal["delay"]
    seconds: float = Field(gt=0, le=MOST_SECONDS)


class Silence(AnswerFault):
    """The connection stays open and no answer ever comes."""

    kind: Literal["silence"]


class Truncated(RightAnswerFault):
    """The body breaks off in its middle, although its length was announced."""

    kind: Literal["truncated"]


class WrongLength(RightAnswerFault):
    """The announced length is a few bytes short of the body."""

    kind: Literal["wrong_length"]


class Slow(RightAnswerFault):
    """The body comes drop by drop."""

    kind: Literal["slow"]
    bytes_per_second: float = Field(gt=0)


class Body(AnswerFault):
    """Another body than the right one: HTML, nothing, half JSON, bytes that are no text."""

    kind: Literal["body"]
    status: int = Field(default=200, ge=200, le=599)
    text: str = ""
    base64: str | None = None  # in place of the text
    repeat: int = Field(default=1, ge=1)
    content_type: HeaderValue = "application/json"

    @field_validator("text", "base64")
    @classmethod
    def _may_be_sent(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value and "status" in info.data:
            _status_of_a_body(info.data["status"])
        if value and info.field_name == "base64":
            b64decode(value, validate=True)
        return value

    @field_validator("repeat")
    @classmethod
    def _is_bounded(cls, value: int, info: ValidationInfo) -> int:
        if len(_content(info.data.get("text", ""), info.data.get("base64"))) * value > MOST_BYTES:
            raise ValueError(f"the body would be larger than {MOST_BYTES >> 20} MiB")
        return value

    @property
    def whole(self) -> bytes:
        """The body as it is sent."""
        return _content(self.text, self.base64) * self.repeat


def _content(text: str, base64: str | None) -> bytes:
    return text.encode() if base64 is None else b64decode(base64, validate=True)


class Html(AnswerFault):
    """A page of HTML with status 200, as captive portals and broken proxies send it."""

    kind: Literal["html"]
    status: Annotated[int, AfterValidator(_status_of_a_body)] = Field(default=200, ge=200, le=599)


class Redirect(AnswerFault):
    """A redirect to somewhere else."""

    kind: Literal["redirect"]
    location: HeaderValue
    status: Literal[301, 302, 303, 307, 308] = 302


class ListingLag(Fault):
    """What is newly made is not listed for a while, although it can be read by its id."""

    kind: Literal["listing_lag"]
    seconds: float = Field(gt=0)  # of the account's time
    by: By = By.ALL  # for droplets: which listing; the plain one lags with `all`
    resource: Literal["droplets", "keys", "tags"] = "droplets"


class MissingAfterCreate(Fault):
    """A new droplet's id answers 404 for a while."""

    kind: Literal["missing_after_create"]
    seconds: float = Field(gt=0)


class NeverActive(Fault):
    """A new droplet stays new."""

    kind: Literal["never_active"]


class NoIp(Fault):
    """A new droplet becomes active and never gets an address."""

    kind: Literal["no_ip"]


class IpLate(Fault):
    """A new droplet's address comes later than its activity."""

    kind: Literal["ip_late"]
    seconds: float = Field(gt=0)


class NoSsh(Fault):
    """A new droplet's SSH port is never reached."""

    kind: Literal["no_ssh"]


class CreateFails(Fault):
    """A new droplet's create ends errored, and the droplet vanishes."""

    kind: Literal["create_fails"]


class ActionErrors(Fault):
    """The next action of a droplet ends errored."""

    kind: Literal["action_errors"]


class DeleteIgnored(Fault):
    """A delete is answered 204 and nothing happens."""

    kind: Literal["delete_ignored"]


class ComesBack(Fault):
    """A deleted droplet is gone, and there again after a while."""

    kind: Literal["comes_back"]
    seconds: float = Field(gt=0)


class DropletLimit(Fault):
    """The account may have no more droplets than this, or as many; met by the creates that it makes a difference to."""

    kind: Literal["droplet_limit"]
    limit: int = Field(ge=0)
    times: int | None = None


class Unavailable(Fault):
    """A region or a size is sold out: still listed as available, refused at create."""

    kind: Literal["unavailable"]
    region: str | None = None
    size: str | None = None
    times: int | None = None

    @field_validator("region")
    @classmethod
    def _is_a_region(cls, value: str | None) -> str | None:
        if value is not None and value not in catalogue.REGIONS:
            raise ValueError(f"there is no {value!r}, only {', '.join(catalogue.REGIONS)}")
        return value

    @field_validator("size")
    @classmethod
    def _is_a_size(cls, value: str | None) -> str | None:
        if value is not None and catalogue.size(value) is None:
            raise ValueError(f"there is no {value!r}, only {', '.join(one['slug'] for one in catalogue.sizes())}")
        return value

    @model_validator(mode="after")
    def _is_something(self) -> Unavailable:
        if self.region is None and self.size is None:
            raise ValueError("region or size must be said")
        return self


class Token(Fault):
    """The token is revoked (401), or lacks the scope to change anything (403)."""

    kind: Literal["token"]
    state: Literal["revoked", "read_only"]
    times: int | None = None


Answer = Status | Reset | Delay | Silence | Truncated | WrongLength | Slow | Body | Html | Redirect
OfDroplet = MissingAfterCreate | NeverActive | NoIp | IpLate | NoSsh | CreateFails
OfDelete = DeleteIgnored | ComesBack
Condition = DropletLimit | Unavailable | Token
Any_ = Annotated[
    Answer | ListingLag | OfDroplet | ActionErrors | OfDelete | Condition,
    Field(discriminator="kind"),
]
ADAPTER: TypeAdapter[Any_] = TypeAdapter(Any_)
