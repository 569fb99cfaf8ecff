"""
Everything that can go wrong, as one tree.

    CloudshipError
    ├── UsageError               exit 2: wrong use or configuration, nothing was created
    │   ├── ConfigError              a key, flag or variable that cannot be
    │   ├── SourceError              SOURCE does not exist, is empty, or cannot be sent
    │   ├── AppNotUnderstood         no app found, or more than one
    │   ├── UnknownSlug              an image, size or region that the cloud does not have
    │   ├── ShipExists               `up` for a ship that already answers
    │   ├── AmbiguousShip            the name lives on two clouds
    │   ├── CredentialsError         no token, or one that is refused
    │   ├── UserDataError            user-data that cloud-init or the API would refuse
    │   ├── ProgramMissing           git or ssh is not installed here
    │   └── LocalCloudUnavailable    this machine cannot run the local cloud as it is
    ├── ShipNotFound             exit 1: no such ship on any cloud that answered
    ├── ShipBusy                 exit 1: somebody else is at it right now
    ├── CloudError               the API
    │   ├── ApiRefused               an answer with an error status
    │   │   ├── Unauthorized             401 or 403
    │   │   ├── NotFound                 404 or 410
    │   │   ├── Conflict                 409, 412, 423 or a 422 that passes ("pending event")
    │   │   ├── TryAgain                 a 422 that says so: it had no effect
    │   │   ├── Unprocessable            any other 4xx
    │   │   ├── RateLimited              429, with the seconds to wait
    │   │   └── ServerFault              5xx, 408, 425 or 499: nobody knows
    │   ├── BadAnswer                an answer that is not what the API documents
    │   └── Unreachable              no answer; it may or may not have taken effect
    ├── ShellError               SSH
    │   ├── ShellUnreachable         nobody answers, or not yet as us; waiting may help
    │   │   └── ShellRefused             the droplet itself answers, and does not let our key in
    │   ├── HostKeyMismatch          somebody else answers on the droplet's address
    │   ├── KeyMissing               this machine holds no key for the launch, or cannot read it
    │   └── CommandFailed            a command ended with a status other than 0
    ├── StorageError             this machine's disk: a file of ours cannot be written or read
    ├── GitError                 git failed at our side
    ├── WaitTimeout              a wait reached its limit; carries the last evidence
    ├── WaitHopeless             what was waited for can no longer come
    ├── BootFailed               the first boot did not bring nginx, git and the rest
    ├── ReleaseFailed            the release was refused on the droplet; the guilty lines are in `evidence`
    └── LeftBehind               a teardown could not prove everything gone

Two that are no errors, as KeyboardInterrupt is none: Terminated, Abandoned.

Every error knows what to do next; the command line prints it in at most a dozen lines.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudship.models import Left

# What passes by itself, as the program on the droplet words it.
PASSING = ("the mirror does not answer well", "DNS does not work there", "another program holds dpkg's lock")


class CloudshipError(Exception):
    """
    Base of all errors that cloudship raises on purpose.

    Args:
        message: one sentence that says what happened.
        evidence: the lines that prove it, oldest first; shown, so never with a secret in them.
        next_step: the command or line of configuration to try next; None: what the class usually advises.
            NAME in either stands for the ship.
    """

    exit_status: ClassVar[int] = 1
    retryable: bool = False  # whether waiting and doing the same again could help
    passing: ClassVar[tuple[str, ...]] = ()  # words in a message that tell of a cause that passes by itself
    usual_step: ClassVar[str] = "the same command with -v shows what led to it; cloudship list shows what runs"

    def __init__(self, message: str, *, evidence: Sequence[str] = (), next_step: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.evidence = tuple(evidence)
        self.next_step = next_step
        if self.passing:
            self.retryable = any(cause in message for cause in self.passing)
        self.phase: str | None = None  # in which it came up, set by what it passes through: `about`, `story`
        self.left: tuple[Left, ...] = ()  # what still costs money because of it
        self.ship: str | None = None  # which one it is about, set by what knows it

    def __str__(self) -> str:
        return self.message

    @property
    def __notes__(self) -> list[str]:  # type: ignore[override]  # whoever adds one speaks to nobody
        """What a traceback shows below the message: Python, pytest and notebooks read it."""
        return [*(f"  | {line}" for line in self.evidence), *(f"left behind: {one}" for one in self.left)]

    @property
    def advice(self) -> str:
        """What to do next, ready to be typed where it is known which ship it is about."""
        step = self.next_step or self.usual_step
        return step if self.ship is None else re.sub(r"\bNAME\b", self.ship, step)


class Terminated(BaseException):
    """The process is asked to end: it cleans up as after Ctrl-C; no `Exception`, which others would swallow."""


class Abandoned(BaseException):
    """The process is asked to end for the second time: nothing that waits is begun any more."""


class UsageError(CloudshipError):
    """Wrong use or configuration; nothing was created."""

    exit_status = 2
    usual_step = "cloudship --help, or --help behind the verb"


class ConfigError(UsageError):
    """A key, flag or variable that cannot be."""

    usual_step = "mend the key, flag or variable; docs/configuration.md lists them all"


class SourceError(UsageError):
    """SOURCE does not exist, is empty, or cannot be sent."""

    usual_step = "name the folder that holds the app, or a git URL that can be fetched from"


class AppNotUnderstood(UsageError):
    """No app was found in SOURCE, or more than one."""

    usual_step = 'app = "module:callable" in cloudship.toml'


class UnknownSlug(UsageError):
    """An image, size or region that the cloud does not have."""

    usual_step = "cloudship doctor; or leave the flag out, which takes what there is"


class ShipExists(UsageError):
    """A ship of that name already answers."""

    usual_step = "cloudship deploy NAME, or cloudship down NAME"


class AmbiguousShip(UsageError):
    """The name lives on more than one cloud."""

    usual_step = "say which: --cloud local or --cloud digitalocean"


class CredentialsError(UsageError):
    """No token for the cloud that was asked for, or one that it refuses."""

    usual_step = "export DIGITALOCEAN_ACCESS_TOKEN=..., or --cloud local, which needs none"


class UserDataError(UsageError):
    """User-data that cloud-init or the API would refuse."""

    usual_step = "mend or shorten what user_data names; cloudship render shows the whole"


class ProgramMissing(UsageError):
    """A program that cloudship calls is not installed on this machine."""

    usual_step = "cloudship doctor"


class LocalCloudUnavailable(UsageError):
    """This machine cannot run the local cloud as it is."""

    usual_step = "cloudship doctor"


class ShipNotFound(CloudshipError):
    """No ship of that name on any cloud that answered."""

    usual_step = "cloudship list"


class ShipBusy(CloudshipError):
    """Somebody else launches or takes down the ship right now."""

    retryable = True
    usual_step = "wait, then try again; cloudship show NAME tells how it is"


class CloudError(CloudshipError):
    """The cloud's API failed us."""

    usual_step = "try again; -v shows every call of the API"


class ApiRefused(CloudError):
    """
    The API answered with an error status.

    Args:
        status: the HTTP status.
        identifier: the API's own error id, as in `not_found`.
        request_id: what DigitalOcean's support asks for.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        identifier: str = "",
        request_id: str | None = None,
        next_step: str | None = None,
    ) -> None:
        evidence = (f"request {request_id}",) if request_id else ()
        super().__init__(message, evidence=evidence, next_step=next_step)
        self.status = status
        self.identifier = identifier
        self.request_id = request_id


class Unauthorized(ApiRefused):
    """The token is refused, or lacks a scope."""

    exit_status = 2
    usual_step = "check the token and its scopes: cloudship doctor"


class NotFound(ApiRefused):
    """No such object, or not yet."""

    usual_step = "cloudship list shows what there is"


class Conflict(ApiRefused):
    """The object is busy with something else, which passes; a POST may or may not have taken effect."""

    retryable = True


class TryAgain(ApiRefused):
    """The API says itself that the same request may succeed later; this one had no effect."""

    retryable = True


class Unprocessable(ApiRefused):
    """The API understood the request and refuses it."""

    usual_step = "read what the cloud says; cloudship plan shows the exact requests"


class RateLimited(ApiRefused):
    """
    Too many requests.

    Args:
        retry_after: seconds to wait, as the API said, or None when it did not.
    """

    retryable = True

    def __init__(self, message: str, *, retry_after: float | None, request_id: str | None = None) -> None:
        super().__init__(message, status=429, identifier="too_many_requests", request_id=request_id)
        self.retry_after = retry_after


class ServerFault(ApiRefused):
    """The API, or what stands before it, gave up; a POST may or may not have taken effect."""

    retryable = True


class BadAnswer(CloudError):
    """An answer that is not what the API documents; a POST may or may not have taken effect."""

    retryable = True


class Unreachable(CloudError):
    """No answer came; a POST may or may not have taken effect."""

    retryable = True


class ShellError(CloudshipError):
    """SSH failed."""

    usual_step = "cloudship show NAME; --on-failure keep leaves a droplet for a look"


class ShellUnreachable(ShellError):
    """Nobody answers on the SSH port, or not yet as us."""

    retryable = True
    usual_step = "try again in a moment; cloudship show NAME tells whether the droplet runs"


class ShellRefused(ShellUnreachable):
    """The droplet itself answers, and does not let our key in."""

    usual_step = "look whether the launch's key is still among its authorized_keys, at the droplet's console"


class HostKeyMismatch(ShellError):
    """Somebody else answers on the droplet's address; nothing was sent to them."""

    usual_step = "take the ship down and launch it again; do not log in to that address"


class KeyMissing(ShellError):
    """This machine holds no key for the launch, or cannot read it."""

    usual_step = "do it on the machine, and as the user, that launched it"


class CommandFailed(ShellError):
    """
    A command on the droplet ended with a status other than 0.

    Args:
        command: what was run.
        exit_status_of_command: how it ended; -1 when the connection broke first.
    """

    usual_step = "cloudship logs NAME; cloudship ssh NAME to look for yourself"

    def __init__(self, message: str, *, command: str, status: int, evidence: Sequence[str] = ()) -> None:
        super().__init__(message, evidence=evidence)
        self.command = command
        self.status = status


class StorageError(CloudshipError):
    """A file of ours on this machine cannot be written or read: no room, no permission, something in its way."""

    usual_step = "export CLOUDSHIP_STATE_DIR=..., a folder that you may write to"


class GitError(CloudshipError):
    """Git failed at our side."""

    usual_step = "try the same git command in that folder; cloudship doctor looks for git"


class WaitTimeout(CloudshipError):
    """
    A wait reached its limit.

    Args:
        name: what was waited for, as in "the droplet to be active".
        limit: seconds it was given.
        last: the last evidence that was seen, or None when there was none at all.
    """

    retryable = True
    usual_step = "try again; --on-failure keep leaves a droplet for a look"

    def __init__(self, name: str, *, limit: float, last: str | None, next_step: str | None = None) -> None:
        seen = last if last is not None else "nothing at all"
        super().__init__(f"Waited {limit:g} s for {name}; the last that was seen: {seen}", next_step=next_step)
        self.name = name
        self.limit = limit
        self.last = last


class WaitHopeless(CloudshipError):
    """What was waited for can no longer come."""

    usual_step = "cloudship list shows what runs; launch again"


class BootFailed(CloudshipError):
    """The first boot did not bring nginx, git and the rest."""

    passing = PASSING
    usual_step = "launch again with --on-failure keep, then: cloudship logs NAME --boot"


class ReleaseFailed(CloudshipError):
    """The droplet refused the release; the guilty lines are the evidence."""

    passing = PASSING
    usual_step = "mend what the lines above name, and deploy again; cloudship releases NAME --log shows all of it"


class LeftBehind(CloudshipError):
    """A teardown could not prove everything gone."""

    usual_step = "cloudship down NAME"
