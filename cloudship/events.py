"""
What happens during `up`, `deploy` and `down`, as typed values.

The library tells, it never prints: every display (terminal, JSON, notebook) reads these.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, ParamSpec, TypeAlias, TypeVar, cast

from cloudship.models import Value

if TYPE_CHECKING:
    from cloudship.models import Left

P = ParamSpec("P")
T = TypeVar("T")


class Phase(str, Enum):
    """The phases of `up`, in their order; the values are a contract of `--json`."""

    PLAN = "plan"  # nothing is created yet
    KEY = "key"
    CREATE = "create"
    ACTIVE = "active"
    SSH = "ssh"
    HOST_KEY = "host_key"
    BOOT = "boot"
    PUSH = "push"
    RELEASE = "release"
    ANSWER = "answer"


class Chosen(Value):
    """The cloud is chosen; the first thing that is told."""

    cloud: str
    ship: str = ""
    launch: str = ""  # what is made from here on carries it
    price_hourly: float = 0.0  # USD
    size: str = ""
    image: str = ""  # with what really boots, where that is something else


class PhaseStarted(Value):
    """A phase begins."""

    phase: str
    title: str  # what it does, for people: "Creating the droplet"


class PhaseEnded(Value):
    """A phase came to its end."""

    phase: str
    seconds: float
    outcome: str  # what came of it: "droplet 412 at 10.0.0.7"


class PhaseFailed(Value):
    """A phase failed; the error itself is raised to the caller."""

    phase: str
    seconds: float
    message: str


class Attempted(Value):
    """One attempt of a wait that was not successful yet."""

    waiting_for: str
    attempt: int
    elapsed: float  # seconds since the wait began
    limit: float  # seconds
    last: str  # the last answer it got


class Called(Value):
    """One request to the cloud's API; nothing of its body or headers."""

    method: str
    path: str  # with its query
    status: int | None  # None: no answer came
    seconds: float


class Output(Value):
    """A line that something on the droplet, or git, said."""

    origin: str  # "boot", "build", "release", "git"
    line: str


class Noted(Value):
    """Something the user should know: a fallback that was taken, a default, a warning."""

    text: str
    warning: bool = False


class Destroying(Value):
    """A teardown turns to one object."""

    kind: str
    id: str


class Gone(Value):
    """A teardown has proved one object gone."""

    kind: str
    id: str


class Remained(Value):
    """A teardown could not prove an object gone."""

    what: str
    price_hourly: float

    @classmethod
    def of(cls, left: Left) -> Remained:
        """Tell of something left behind."""
        return cls(what=str(left), price_hourly=left.price_hourly)


Event: TypeAlias = (
    Chosen
    | PhaseStarted
    | PhaseEnded
    | PhaseFailed
    | Attempted
    | Called
    | Output
    | Noted
    | Destroying
    | Gone
    | Remained
)
Notify: TypeAlias = Callable[[Event], None]


def undisturbed(act: Callable[P, T]) -> Callable[P, T]:
    """
    Carry out to its end what a listener, its keyword `notify`, must not stop.

    What the listener raises first is raised at the end, and it is told nothing after it.
    """

    @functools.wraps(act)
    def whole(*args: P.args, **more: P.kwargs) -> T:
        failed: list[Exception] = []
        notify = cast("Notify", more.get("notify", nobody))

        def tell(event: Event) -> None:
            if not failed:
                try:
                    notify(event)
                except Exception as error:  # noqa: BLE001  raised below
                    failed.append(error)

        more["notify"] = tell
        done = act(*args, **more)
        if failed:
            raise failed[0]
        return done

    return whole


def nobody(_event: Event) -> None:
    """Hear an event and do nothing: the default listener."""
