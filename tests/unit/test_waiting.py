"""The one mechanism that waits, on a clock that tests step."""

from __future__ import annotations

import pytest

from cloudship.errors import NotFound, RateLimited, ServerFault, Unreachable, WaitHopeless, WaitTimeout
from cloudship.events import Event
from cloudship.waiting import ONCE_A_SECOND, Clock, Pace, Pending, Ready, retrying, until


class Stepped:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def clock(self) -> Clock:
        return Clock(monotonic=lambda: self.now, sleep=self.sleep, wall=lambda: self.now)


def test_until_gives_the_value_of_the_first_ready_attempt() -> None:
    """A wait ends with what it waited for."""
    time = Stepped()
    seen = iter([Pending("not yet"), Pending("almost"), Ready(42)])
    found = until("it", lambda _limit: next(seen), limit=60, attempt_limit=5, on=(), clock=time.clock())
    assert 42 == found
    assert 2 == len(time.slept)


def test_until_never_times_out_into_success_and_carries_the_last_evidence() -> None:
    """A wait that reaches its limit raises, with what was last seen."""
    time = Stepped()
    with pytest.raises(WaitTimeout) as caught:
        until("it", lambda _limit: Pending("status new"), limit=3, attempt_limit=1, on=(), clock=time.clock())
    assert "status new" == caught.value.last
    assert 103 == pytest.approx(time.now)
    assert caught.value.retryable


def test_until_asks_whether_waiting_is_hopeless_before_each_attempt() -> None:
    """What can no longer come is not waited for."""
    time = Stepped()
    reasons = iter([None, "it is powered off"])
    with pytest.raises(WaitHopeless, match="powered off"):
        until(
            "it",
            lambda _limit: Pending("new"),
            limit=60,
            attempt_limit=5,
            on=(),
            alive=lambda: next(reasons),
            clock=time.clock(),
        )


def test_until_takes_named_errors_for_not_yet_and_lets_others_through() -> None:
    """Only what was named means not yet."""
    time = Stepped()
    outcomes = iter([Unreachable("refused"), Ready(1)])

    def attempt(_limit: float) -> Ready[int]:
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    assert 1 == until("it", attempt, limit=9, attempt_limit=1, on=(Unreachable,), clock=time.clock())
    with pytest.raises(NotFound):
        until("it", _not_found, limit=9, attempt_limit=1, on=(Unreachable,), clock=time.clock())


def test_until_gives_no_attempt_more_than_what_is_left() -> None:
    """The limit of an attempt shrinks towards the end."""
    time, limits = Stepped(), list[float]()

    def attempt(limit: float) -> Pending:
        limits.append(limit)
        time.now += 4
        return Pending("slow")

    with pytest.raises(WaitTimeout):
        until("it", attempt, limit=10, attempt_limit=8, on=(), clock=time.clock())
    assert [8] == limits[:1]
    assert limits[-1] < 4


def test_until_reports_every_attempt_as_a_value() -> None:
    """Whoever listens hears what is waited for, since when, and the last answer."""
    time, heard = Stepped(), list[Event]()
    seen = iter([Pending("503"), Ready(None)])
    until(
        "the page", lambda _limit: next(seen), limit=9, attempt_limit=1, on=(), clock=time.clock(), notify=heard.append
    )
    assert ["the page"] == [event.waiting_for for event in heard]  # type: ignore[union-attr]
    assert ["503"] == [event.last for event in heard]  # type: ignore[union-attr]


def test_retrying_obeys_what_the_api_says_to_wait() -> None:
    """Retry-After is the pause."""
    time = Stepped()
    outcomes = iter([RateLimited("slow down", retry_after=7.0), None])
    retrying("a read", lambda: _raised(next(outcomes)), on=(RateLimited,), limit=30, clock=time.clock())
    assert [7.0] == time.slept


def test_retrying_is_bounded_in_tries_and_lets_the_last_error_through() -> None:
    """After its tries the last error itself is raised."""
    time, calls = Stepped(), list[int]()

    def fail() -> None:
        calls.append(1)
        raise ServerFault("down", status=503)

    with pytest.raises(ServerFault):
        retrying("a read", fail, on=(ServerFault,), limit=1000, tries=4, clock=time.clock())
    assert 4 == len(calls)


def test_retrying_is_bounded_in_time() -> None:
    """A pause that would pass the limit is not begun."""
    time = Stepped()
    fail = lambda: _raised(ServerFault("down", status=503))  # noqa: E731
    with pytest.raises(ServerFault):
        retrying("a read", fail, on=(ServerFault,), limit=3, pace=Pace(2.0, 1.0, 2.0), clock=time.clock())
    assert [2.0] == time.slept


@pytest.mark.parametrize(
    ("retry_after", "slept"), [(45.0, [45.0, 45.0]), (60.0, [60.0, 60.0]), (119.0, [119.0]), (3600.0, [])]
)
def test_what_the_api_says_to_wait_has_a_limit_of_its_own(retry_after: float, slept: list[float]) -> None:
    """A minute is waited although a call may take half of one; an hour is not."""
    time = Stepped()
    limited = lambda: _raised(RateLimited("later", retry_after=retry_after))  # noqa: E731
    with pytest.raises(RateLimited):
        retrying("a read", limited, on=(RateLimited,), limit=30, clock=time.clock())
    assert slept == time.slept


def test_what_the_api_says_to_wait_takes_no_time_from_the_call() -> None:
    """An error that comes after such a pause is met with the same patience as one before it."""
    time, heard = Stepped(), list[Event]()
    outcomes = iter([RateLimited("later", retry_after=45.0), ServerFault("down", status=503), None])
    both = (RateLimited, ServerFault)
    fail = lambda: _raised(next(outcomes))  # noqa: E731
    retrying("a read", fail, on=both, limit=3, clock=time.clock(), notify=heard.append)
    assert [45.0, 1.0] == time.slept
    assert [48.0, 48.0] == [event.limit for event in heard]  # type: ignore[union-attr]


@pytest.mark.parametrize(("retry_after", "calls"), [(45.0, 3), (0.0, 61), (None, 61), (3600.0, 2)])
def test_until_obeys_what_the_api_says_to_wait_within_its_own_limit(retry_after: float | None, calls: int) -> None:
    """Asking meanwhile is in vain, and delays what is asked of others; the last look is at the limit."""
    time, asked = Stepped(), list[float]()

    def attempt(_limit: float) -> Ready[int]:
        asked.append(time.now)
        raise RateLimited("later", retry_after=retry_after)

    with pytest.raises(WaitTimeout, match="later"):
        until("it", attempt, limit=60, attempt_limit=5, on=(RateLimited,), pace=ONCE_A_SECOND, clock=time.clock())
    assert (calls, 160.0) == (len(asked), asked[-1])


def _raised(outcome: Exception | None) -> None:
    if outcome is not None:
        raise outcome


def _not_found(_limit: float) -> Ready[int]:
    raise NotFound("no", status=404)
