"""
The one mechanism that waits and retries; the only importer of tenacity.

Two needs, two functions over the same engine: `until` waits for the world to become so, `retrying`
repeats a call that is safe to repeat. Both are bounded in time, both report every attempt as a frozen value,
both take their clock from outside.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import tenacity

from cloudship.errors import CloudshipError, RateLimited, WaitHopeless, WaitTimeout
from cloudship.events import Attempted, Notify, nobody

T = TypeVar("T")


@dataclass(frozen=True)
class Clock:
    """
    The time, injected: tests step it, campaigns share it with the local cloud.

    Both functions speak seconds; `monotonic` never goes back, `wall` is for display and tags only.
    """

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    wall: Callable[[], float] = time.time


REAL = Clock()


@dataclass(frozen=True)
class Pending:
    """What an attempt saw that is not what it waits for: the evidence."""

    evidence: str


@dataclass(frozen=True)
class Ready(Generic[T]):
    """What an attempt waited for."""

    value: T


@dataclass(frozen=True)
class Pace:
    """How the pauses between attempts grow, in seconds."""

    first: float = 0.05
    factor: float = 1.6
    longest: float = 1.0


ONCE_A_SECOND = Pace(first=1.0, factor=1.0, longest=1.0)  # the API's polling limit, rule 6 of the design
EAGER = Pace(first=0.02, factor=1.3, longest=0.25)  # for a port or socket on a machine of ours


def until(
    name: str,
    attempt: Callable[[float], Ready[T] | Pending],
    *,
    limit: float,
    attempt_limit: float,
    on: tuple[type[CloudshipError], ...],
    alive: Callable[[], str | None] = lambda: None,
    pace: Pace = Pace(),
    clock: Clock = REAL,
    notify: Notify = nobody,
    next_step: str | None = None,
) -> T:
    """
    Wait until an attempt is ready, and give its value.

    Args:
        name: what is waited for, completing "Waited 60 s for ...".
        attempt: one look at the world; it gets the seconds it may take.
        limit: seconds for the whole wait.
        attempt_limit: seconds for one attempt; never more than what is left of the limit.
        on: errors that mean "not yet"; any other passes through.
        alive: asked before each attempt; a text says why waiting is hopeless.
        pace: the pauses between attempts.
        clock: the time.
        notify: hears every attempt that was not ready.
        next_step: what to try when the limit is reached.

    Raises:
        WaitTimeout: the limit was reached; it carries the last evidence.
        WaitHopeless: `alive` said so.
    """
    begun = clock.monotonic()
    last: list[str] = []

    def look() -> T:
        if reason := alive():
            raise WaitHopeless(f"Waiting for {name} is hopeless: {reason}", evidence=last[-1:])
        remaining = limit - (clock.monotonic() - begun)
        try:
            seen = attempt(max(0.001, min(attempt_limit, remaining)))
        except on as error:
            last[:] = [str(error)]
            raise _NotYetError from error
        if isinstance(seen, Pending):
            last[:] = [seen.evidence]
            raise _NotYetError
        return seen.value

    def tell(state: tenacity.RetryCallState) -> None:
        notify(
            Attempted(
                waiting_for=name,
                attempt=state.attempt_number,
                elapsed=clock.monotonic() - begun,
                limit=limit,
                last=last[0],
            )
        )

    def pause(state: tenacity.RetryCallState) -> float:
        grown = pace.first * pace.factor ** (state.attempt_number - 1)
        return max(0.0, min(grown, pace.longest, limit - (clock.monotonic() - begun)))

    retryer = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(_NotYetError),
        stop=lambda _state: clock.monotonic() - begun >= limit,
        wait=pause,
        sleep=clock.sleep,
        before_sleep=tell,
        reraise=True,
    )
    try:
        return retryer(look)
    except _NotYetError as error:
        raise WaitTimeout(name, limit=limit, last=last[0], next_step=next_step) from error.__cause__


def retrying(
    name: str,
    call: Callable[[], T],
    *,
    on: tuple[type[CloudshipError], ...],
    limit: float,
    tries: int = 5,
    pace: Pace = Pace(first=0.5, factor=2.0, longest=8.0),
    clock: Clock = REAL,
    notify: Notify = nobody,
) -> T:
    """
    Repeat a call that is safe to repeat, and give its value.

    A `RateLimited` that says how long to wait is obeyed, within the limit. The last error itself passes
    through when tries or time are used up.

    Args:
        name: what is called, for the display.
        call: the call; never a create, see rule 2 of the design.
        on: errors after which the same call may succeed; there is no default on purpose.
        limit: seconds for everything.
        tries: how many calls at most.
        pace: the pauses between calls where the error names none.
        clock: the time.
        notify: hears every failed call.
    """
    begun = clock.monotonic()

    def pause(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, RateLimited) and error.retry_after is not None:
            return error.retry_after
        return min(pace.longest, pace.first * pace.factor ** (state.attempt_number - 1))

    def stop(state: tenacity.RetryCallState) -> bool:
        late = clock.monotonic() - begun + state.upcoming_sleep > limit
        return late or state.attempt_number >= tries

    def tell(state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        notify(
            Attempted(
                waiting_for=name,
                attempt=state.attempt_number,
                elapsed=clock.monotonic() - begun,
                limit=limit,
                last=str(error),
            )
        )

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(on),
        stop=stop,
        wait=pause,
        sleep=clock.sleep,
        before_sleep=tell,
        reraise=True,
    )(call)


class _NotYetError(Exception):
    """An attempt that was not ready; it never leaves this module."""
