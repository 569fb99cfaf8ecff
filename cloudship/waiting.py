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
from cloudship.models import OBEYED

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

    def after(self, attempt: int) -> float:
        """Say how long to pause after an attempt; the first one's number is 1."""
        return min(self.longest, self.first * self.factor ** (attempt - 1))


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

    A `RateLimited` that says how long to wait is obeyed, within the limit.

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
        missed = state.outcome.exception() if state.outcome else None
        wished = _wished(missed.__cause__) if missed else None
        return max(0.0, min(max(pace.after(state.attempt_number), wished or 0.0), limit - (clock.monotonic() - begun)))

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
    obeyed: float = OBEYED,
    pace: Pace = Pace(first=0.5, factor=2.0, longest=8.0),
    clock: Clock = REAL,
    notify: Notify = nobody,
) -> T:
    """
    Repeat a call that is safe to repeat, and give its value.

    A `RateLimited` that says how long to wait is obeyed, within a limit of its own: such a call is no slow one. The
    last error itself passes through when tries or time are used up.

    Args:
        name: what is called, for the display.
        call: the call; a create only where `on` is what had no effect, see rule 2 of the design.
        on: errors after which the same call may succeed; there is no default on purpose.
        limit: seconds for everything but the pauses that were asked for.
        tries: how many calls at most.
        obeyed: seconds for all pauses that were asked for.
        pace: the pauses between calls where the error names none.
        clock: the time.
        notify: hears every failed call.
    """
    begun = clock.monotonic()
    asked_for: list[float] = []  # the pauses that were

    def pause(state: tenacity.RetryCallState) -> float:
        wished = _wished(state.outcome.exception()) if state.outcome else None
        return pace.after(state.attempt_number) if wished is None else wished

    def stop(state: tenacity.RetryCallState) -> bool:
        if state.attempt_number >= tries:
            return True
        if state.outcome and _wished(state.outcome.exception()) is not None:
            return sum(asked_for) + state.upcoming_sleep > obeyed
        return clock.monotonic() - begun - sum(asked_for) + state.upcoming_sleep > limit

    def tell(state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if _wished(error) is not None:
            asked_for.append(state.upcoming_sleep)
        notify(
            Attempted(
                waiting_for=name,
                attempt=state.attempt_number,
                elapsed=clock.monotonic() - begun,
                limit=limit + sum(asked_for),
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


def _wished(error: BaseException | None) -> float | None:
    """Say how many seconds the API asks to wait, if it does."""
    return error.retry_after if isinstance(error, RateLimited) else None


class _NotYetError(Exception):
    """An attempt that was not ready; it never leaves this module."""
