"""
Every kind of fault, as a typed body.

A fault of an answer is taken by the next request that it fits, one of the account by the next object or for as long
as it stands; each after `skip`, at most `times` times, with `probability`.
"""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, field_validator

MOST_SECONDS = 3600.0
MOST_BYTES = 64 << 20


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

    model_config = ConfigDict(extra="forbid", frozen=True)

    times: int | None = Field(default=1, ge=1)  # None: until it is cleared
    skip: int = Field(default=0, ge=0)  # requests or objects that it lets pass first
    probability: float = Field(default=1.0, gt=0, le=1)
    seed: int = 0  # of the probability


class AnswerFault(Fault):
    """A fault of one answer; which, see `operations`, or None for every request."""

    operation: str | None = None
    effect: Effect = Effect.BEFORE


class Status(AnswerFault):
    """An error status, with a body in DigitalOcean's shape."""

    kind: Literal["status"]
    status: int = Field(ge=400, le=599)
    identifier: str = ""  # DigitalOcean's error id; empty: the usual one of the status
    message: str = ""
    headers: dict[str, str] = Field(default_factory=dict)  # as in {"retry-after": "2"}

    @field_validator("headers")
    @classmethod
    def _one_line_each(cls, value: dict[str, str]) -> dict[str, str]:
        if any(character in text for pair in value.items() for text in pair for character in "\r\n"):
            raise ValueError("a header is one line")
        return value


class Reset(AnswerFault):
    """The connection is reset (RST) without an answer."""

    kind: Literal["reset"]


class Delay(AnswerFault):
    """The answer comes late, by the machine's own clock."""

    kind: Literal["delay"]
    seconds: float = Field(gt=0, le=MOST_SECONDS)
    effect: Effect = Effect.AFTER


class Silence(AnswerFault):
    """The connection stays open and no answer ever comes."""

    kind: Literal["silence"]


class Truncated(AnswerFault):
    """The body breaks off in its middle, although its length was announced."""

    kind: Literal["truncated"]
    effect: Effect = Effect.AFTER


class WrongLength(AnswerFault):
    """The announced length is a few bytes short of the body."""

    kind: Literal["wrong_length"]
    effect: Effect = Effect.AFTER


class Slow(AnswerFault):
    """The body comes drop by drop."""

    kind: Literal["slow"]
    bytes_per_second: float = Field(gt=0)
    effect: Effect = Effect.AFTER


class Body(AnswerFault):
    """Another body than the right one: HTML, nothing, half JSON, bytes that are no text."""

    kind: Literal["body"]
    status: int = Field(default=200, ge=200, le=599)
    text: str = ""
    base64: str | None = None  # in place of the text
    repeat: int = Field(default=1, ge=1, le=MOST_BYTES)
    content_type: str = "application/json"


class Html(AnswerFault):
    """A page of HTML with status 200, as captive portals and broken proxies send it."""

    kind: Literal["html"]
    status: int = Field(default=200, ge=200, le=599)


class Redirect(AnswerFault):
    """A redirect to somewhere else."""

    kind: Literal["redirect"]
    location: str
    status: Literal[301, 302, 303, 307, 308] = 302


class ListingLag(Fault):
    """What is made is not listed for a while, although it can be read by its id."""

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
    """The account may have no more droplets than this, or as many; without, as many as a new account."""

    kind: Literal["droplet_limit"]
    limit: int = Field(ge=0)
    times: int | None = None


class Unavailable(Fault):
    """A region or a size is sold out: still listed as available, refused at create."""

    kind: Literal["unavailable"]
    region: str | None = None
    size: str | None = None
    times: int | None = None


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
