"""
DigitalOcean's API, spoken through python-digitalocean; the only importer of it.

That library drops the status of an error, has no timeout of its own, and follows redirects with the token: `wire.py`
gives each of its objects what it lacks. Every error is mapped once, by type: there where no answer came, here where
one came.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar
from urllib.parse import quote

import digitalocean
from digitalocean.baseapi import BaseAPI, DataReadError, EndPointError, JSONReadError, NotFoundError, TokenError
from digitalocean.Droplet import BadKernelObject, BadSSHKeyFormat, DropletError

from cloudship import answers, wire
from cloudship.errors import (
    ApiRefused,
    BadAnswer,
    CloudError,
    ConfigError,
    Conflict,
    NotFound,
    RateLimited,
    ServerFault,
    TryAgain,
    Unauthorized,
    Unprocessable,
    Unreachable,
)
from cloudship.events import Called, Notify, nobody
from cloudship.legible import legible
from cloudship.models import (
    OBEYED,
    Account,
    Cloud,
    Droplet,
    DropletRequest,
    Endpoint,
    Image,
    Key,
    Region,
    Secret,
    Size,
    Timeouts,
)
from cloudship.waiting import REAL, Clock, retrying
from cloudship.wire import Answer, Wire

T = TypeVar("T")
PER_PAGE = 200  # the most that the API gives
SKEW = 90.0  # seconds by which two clocks may differ: an answer says whole ones, and is on its way for some
_MOST_PAGES, _LOOKS = 100, 3
TRANSIENT = (RateLimited, TryAgain, ServerFault, Unreachable, BadAnswer)  # what asking again may mend
_KINDS: dict[int, type[ApiRefused]] = {
    **dict.fromkeys((401, 403), Unauthorized),
    **dict.fromkeys((404, 410), NotFound),
    **dict.fromkeys((409, 412, 423), Conflict),
    **dict.fromkeys((408, 425, 499), ServerFault),  # whoever answers so may have handed the request on
}
_WORDS: dict[str, type[ApiRefused]] = {"please try again": TryAgain, "pending event": Conflict}  # of 422s that pass
# What the library raises itself, each named, and what it stumbles over in an answer that is not as documented.
LIBRARY: tuple[type[Exception], ...] = (
    *(DataReadError, EndPointError, JSONReadError, NotFoundError, TokenError),
    *(DropletError, BadKernelObject, BadSSHKeyFormat),
    *(AttributeError, IndexError, KeyError, TypeError, ValueError, RecursionError),
)
_NO_JSON = (ValueError, RecursionError)  # the second for brackets nested without end
_SECONDS = re.compile(r"[0-9]{1,6}")


class Client:
    """
    One account on one cloud.

    Reads are repeated when that may help; nothing that changes something ever is, see rule 2 of the design.

    Args:
        endpoint: where the API answers, and the token.
        timeouts: the limit of one request, in seconds, is `request`.
        clock: the time.
        notify: hears of repeated calls.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        timeouts: Timeouts | None = None,
        clock: Clock = REAL,
        notify: Notify = nobody,
    ) -> None:
        self._endpoint = endpoint
        self._timeouts = timeouts or Timeouts()
        self._clock, self._notify = clock, notify
        self._obeyed = OBEYED
        self._wire = Wire(self._timeouts.request, wire.proxies(endpoint), wire.environment_bundle(), self._trace)
        self._told: tuple[float, float] | None = None  # the cloud's time, and ours by the monotonic clock then

    @property
    def cloud(self) -> Cloud:
        """Which cloud it speaks to."""
        return self._endpoint.cloud

    @property
    def mark(self) -> str:
        """What tells its account apart on this machine's records."""
        return self._endpoint.mark

    def hasty(self) -> Client:
        """Give a client that does not wait where the API asks it to: for who looks in passing, beside another wait."""
        found = copy.copy(self)
        found._obeyed = 0.0  # noqa: SLF001  a copy of this one
        return found

    def now(self, clock: Clock) -> float:
        """
        Say what time it is, unix time: as the clock of this machine says, unless the cloud's differs by more than that.

        What is written into the account is read by other machines, and every one of them must mean the same moment.
        """
        if self._told is None:
            return clock.wall()
        at, since = self._told
        theirs = at + self._clock.monotonic() - since
        return theirs if abs(theirs - clock.wall()) > SKEW else clock.wall()

    def account(self) -> Account:
        """Read the account's standing."""
        told = self._get("account/")
        return answers.read(
            lambda: Account(**{name: told["account"][name] for name in ("email", "status", "droplet_limit")})
        )

    def image(self, slug: str) -> Image:
        """Read one image by slug or id."""
        told = self._get(f"images/{quote(slug, safe='')}")
        return answers.read(lambda: answers.image(told["image"]))

    def images(self) -> tuple[Image, ...]:
        """List the distributions' images."""
        return tuple(answers.image(one) for one in self._all("images/", "images", {"type": "distribution"}))

    def sizes(self) -> tuple[Size, ...]:
        """List the sizes with their prices."""
        return tuple(answers.size(one) for one in self._all("sizes/", "sizes"))

    def regions(self) -> tuple[Region, ...]:
        """List the regions."""
        return tuple(answers.region(one) for one in self._all("regions/", "regions"))

    def ssh_keys(self) -> tuple[Key, ...]:
        """List the account's SSH keys."""
        return tuple(answers.key(one) for one in self._all("account/keys/", "ssh_keys"))

    def ssh_key(self, key_id: int) -> Key:
        """Read one SSH key."""
        told = self._get(f"account/keys/{key_id}")
        return answers.read(lambda: answers.key(told["ssh_key"]))

    def create_key(self, name: str, public_key: str) -> Key:
        """Add an SSH key; never repeated."""
        key = self._object(digitalocean.SSHKey, name=name, public_key=public_key)
        self._call(key.create)
        return answers.read(lambda: Key(id=key.id, name=name, fingerprint=key.fingerprint or "", public_key=public_key))

    def delete_key(self, key_id: int) -> None:
        """Remove an SSH key."""
        self._call(self._object(digitalocean.SSHKey, id=key_id).destroy)

    def create_droplet(self, request: DropletRequest) -> int:
        """
        Make a droplet, and give its id as soon as the API says it; never repeated.

        Raises:
            CloudError: it was refused, or nobody knows; see `creation.py`.
        """
        droplet = self._object(
            digitalocean.Droplet,
            name=request.name,
            region=request.region,
            size_slug=request.size,
            image=request.image,
            ssh_keys=list(request.ssh_keys),
            tags=list(request.tags),
            user_data=request.user_data,
        )
        try:
            self._call(droplet.create)
        except BadAnswer:
            if type(droplet.id) is not int:
                raise
        if type(droplet.id) is not int:
            raise BadAnswer("The create was answered without an id")
        return droplet.id

    def droplet(self, droplet_id: int) -> Droplet:
        """
        Read one droplet.

        Raises:
            NotFound: there is none, or none yet.
        """
        told = self._get(f"droplets/{droplet_id}")
        return answers.read(lambda: answers.droplet(told["droplet"]))

    def droplets(self, *, tag: str | None = None, name: str | None = None) -> tuple[Droplet, ...]:
        """List the droplets, by tag or by exact name; complete or an error, never a part."""
        if "" in (tag, name):
            raise ConfigError("A listing with an empty filter would be of everything")
        asked = {"tag_name": tag} if tag is not None else {"name": name} if name is not None else {}
        return tuple(answers.droplet(one) for one in self._all("droplets/", "droplets", asked))

    def delete_droplet(self, droplet_id: int) -> None:
        """Ask for a droplet's end."""
        self._call(self._object(digitalocean.Droplet, id=droplet_id).destroy)

    def tags(self) -> tuple[str, ...]:
        """List the names of the account's tags."""
        listed = self._all("tags", "tags")
        return answers.read(lambda: tuple(str(one["name"]) for one in listed))

    def attach_tag(self, tag: str, droplet_id: int) -> None:
        """Put a tag on a droplet, making the tag when it is new."""
        made = self._object(digitalocean.Tag, name=tag)
        self._call(made.create)
        self._call(lambda: made.add_droplets([str(droplet_id)]))

    def detach_tag(self, tag: str, droplet_id: int) -> None:
        """Take a tag off a droplet."""
        self._call(lambda: self._object(digitalocean.Tag, name=tag).remove_droplets([str(droplet_id)]))

    def delete_tag(self, tag: str) -> None:
        """Remove a tag from everything."""
        self._call(self._object(digitalocean.Tag, name=tag).delete)

    def _trace(self, method: str, path: str, status: int | None, seconds: float) -> None:
        self._notify(Called(method=method, path=path, status=status, seconds=seconds))

    def _object(self, kind: Callable[..., Any], **values: Any) -> Any:
        """Make one of the library's objects, with our token, endpoint and session: it inherits none of them."""
        made = kind(token=self._endpoint.token.reveal(), end_point=self._endpoint.url, **values)
        self._wire.equip(made)
        return made

    def _get(self, path: str, asked: Mapping[str, Any] | None = None) -> dict[str, Any]:
        def once() -> dict[str, Any]:
            reader = self._object(BaseAPI)
            answer = self._call(lambda: self._wire.perform(reader, path, "GET", asked))
            if answer.status_code >= 400:  # noqa: PLR2004
                raise _mapped(answer, ValueError(), self._endpoint.token)
            return _object_of(answer, path)

        return retrying(
            f"GET {path}",
            once,
            on=TRANSIENT,
            limit=self._timeouts.visible,
            obeyed=self._obeyed,
            clock=self._clock,
            notify=self._notify,
        )

    def _all(self, path: str, key: str, asked: Mapping[str, Any] | None = None) -> list[Any]:
        """
        Read a listing whole: the library takes an error on a page for the end.

        One that changes between two of its pages can leave out what was there all the time. So several pages are read
        until two looks show the same; where they never do, all that was seen is given, as what is gone by now is found
        out by its id.
        """
        seen: dict[str, Any] = {}
        looks: list[Collection[str]] = []
        for left in reversed(range(_LOOKS)):
            try:
                found, pages = self._pages(path, key, asked or {})
            except _TornError:
                if not left and len(looks) < 2:  # noqa: PLR2004
                    raise
                continue
            seen |= found
            if pages == 1 or found.keys() in looks[-1:]:
                return list(found.values())
            looks.append(found.keys())
        return list(seen.values())

    def _pages(self, path: str, key: str, asked: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
        """Read a listing once; gives its objects by what tells them apart, and how many pages that took."""
        found: dict[str, Any] = {}
        for page in range(1, _MOST_PAGES + 1):
            items, total = _page(self._get(path, {**asked, "per_page": PER_PAGE, "page": page}), path, key)
            before = len(found)
            found |= {_identity(one): one for one in items}
            if len(found) >= total:
                return found, page
            if len(found) == before:  # the end came too early, or a page leads back to one that was read
                break
        raise _TornError(f"GET {path} gave {len(found)} of its {key} and then no more")

    def _call(self, call: Callable[[], T]) -> T:
        """Carry out one call of the library, and turn whatever goes wrong into ours."""
        self._wire.last = None
        try:
            return call()
        except LIBRARY as error:
            token = self._endpoint.token
            cause = None if token.reveal() in str(error) else error  # the library says what the API says
            raise _mapped(self._wire.last, error, token) from cause
        finally:
            if self._wire.last is not None and (at := wire.date(self._wire.last)) is not None:
                self._told = (at, self._clock.monotonic())


class _TornError(BadAnswer):
    """A listing of which a part did not come."""


def _page(told: Mapping[str, Any], path: str, key: str) -> tuple[list[Any], int]:
    items, meta = told.get(key), told.get("meta")
    total = meta.get("total") if isinstance(meta, dict) else None
    if not isinstance(items, list) or type(total) is not int or len(items) > total:
        raise BadAnswer(f"GET {path} was answered without {key} or their total")
    return items, total


def _identity(item: Any) -> str:
    """Tell an object of a listing from the others: a listing that shifts shows one twice, and another not at all."""
    return repr([item.get(name) for name in ("id", "slug", "name")] if isinstance(item, dict) else item)


def _mapped(answer: Answer | None, error: Exception, token: Secret) -> CloudError:
    """Turn an answer that the library stumbled over into one of our errors."""
    if answer is None:
        return BadAnswer(f"The cloud's API was not understood: {type(error).__name__}")
    told = _error_body(answer)
    status, message = answer.status_code, _words(told.get("message") or answer.reason or "no message", token)
    if status < 400:  # noqa: PLR2004
        return BadAnswer(f"The cloud's API answered {status} with something else than it documents")
    request_id = _words(told["request_id"], token) if told.get("request_id") else None
    if status == 429:  # noqa: PLR2004
        return RateLimited(message, retry_after=_seconds(answer), request_id=request_id)
    identifier = _words(told.get("id") or "", token)
    return _refusal(status, message)(message, status=status, identifier=identifier, request_id=request_id)


def _words(said: object, token: Secret) -> str:
    """Take what an API says, in so many words, and without the token: some middle of the way may say it back."""
    return legible(str(said).replace(token.reveal(), "***"))


def _refusal(status: int, message: str) -> type[ApiRefused]:
    """Choose the error for a status; of 422s that pass only DigitalOcean's text tells."""
    if status == 422:  # noqa: PLR2004
        return next((kind for words, kind in _WORDS.items() if words in message.lower()), Unprocessable)
    return _KINDS.get(status, ServerFault if status >= 500 else Unprocessable)  # noqa: PLR2004


def _object_of(answer: Answer, path: str) -> dict[str, Any]:
    try:
        told = answer.json()
    except _NO_JSON as error:
        raise BadAnswer(f"GET {path} was answered with something that is no JSON") from error
    if not isinstance(told, dict):
        raise BadAnswer(f"GET {path} was answered with something that is no JSON object")
    return told


def _error_body(answer: Answer) -> dict[str, Any]:
    try:
        told = answer.json()
    except _NO_JSON:
        return {}
    return told if isinstance(told, dict) else {}


def _seconds(answer: Answer) -> float | None:
    """Read how long to wait; a moment is one by the clock of whoever answered."""
    text = answer.headers.get("retry-after", "")
    if _SECONDS.fullmatch(text):
        return float(text)
    until, now = wire.moment(text), wire.date(answer)
    return None if until is None or now is None else max(0.0, until - now)
