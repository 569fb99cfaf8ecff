"""Scheduled jobs: `[[schedule]]` tables with cron's or systemd's own words, turned into systemd's calendar events."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, List, Mapping, Optional, Sequence, Tuple

KEYS = ("run", "when", "name")
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
_CRON_FIELD = re.compile(r"[0-9A-Za-z*,/-]+")
_CALENDAR = re.compile(r"[0-9A-Za-z_ *.,:/~+-]+")
_WORDS = {
    "@hourly": "hourly",
    "@daily": "daily",
    "@midnight": "daily",
    "@weekly": "weekly",
    "@monthly": "monthly",
    "@yearly": "yearly",
    "@annually": "yearly",
}
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_FIELDS: Tuple[Tuple[str, int, int, Sequence[str]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 7, _DAYS),
)


class ScheduleError(Exception):
    """A table that cannot be a scheduled job; the message says which part."""


@dataclass(frozen=True)
class Job:
    """A scheduled job."""

    name: str
    run: str  # one line, for a shell
    when: Tuple[str, ...]  # systemd calendar events; it runs at each


def read(tables: Any) -> Tuple[Job, ...]:
    """
    Read all tables, in their order.

    Raises:
        ScheduleError: an unknown key, a value that cannot be, or two of one name.
    """
    if not isinstance(tables, (list, tuple)):
        raise ScheduleError("write each job as a table of its own: [[schedule]]")
    jobs: List[Job] = []
    for place, table in enumerate(tables, start=1):
        try:
            jobs.append(_job(table, {job.name for job in jobs}))
        except ScheduleError as error:
            raise ScheduleError(f"job {place}: {error}") from None
    return tuple(jobs)


def calendars(when: str) -> Tuple[str, ...]:
    """
    Turn cron's five fields, its @words, or a systemd calendar event into systemd calendar events.

    Raises:
        ScheduleError: it is none of these.
    """
    text = " ".join(when.split())
    if text.startswith("@"):
        if text not in _WORDS:
            raise ScheduleError(f"when: {text} is not known; known are {', '.join(sorted(_WORDS))}")
        return (_WORDS[text],)
    fields = text.split(" ")
    if len(fields) == 5 and all(_CRON_FIELD.fullmatch(one) for one in fields):
        return _cron(fields)
    if not text or len(fields) > 4 or not _CALENDAR.fullmatch(text):
        raise ScheduleError(
            f'when: {when!r} is neither cron ("*/5 * * * *", "@daily") nor a systemd calendar ("Mon 04:00")'
        )
    return (text,)


def _job(table: Any, taken: Any) -> Job:
    if not isinstance(table, Mapping):
        raise ScheduleError("write it as a table: [[schedule]]")
    for key in table:
        if key not in KEYS:
            raise ScheduleError(f"{key}: there is no such key; known are {', '.join(KEYS)}")
    run, when, name = (table.get(key) for key in KEYS)
    if not isinstance(run, str) or not run.strip() or "\n" in run or "\0" in run:
        raise ScheduleError('run: one line, such as run = "python manage.py clearsessions"')
    if not isinstance(when, str):
        raise ScheduleError('when: a text, such as when = "*/5 * * * *"')
    if name is not None and not (isinstance(name, str) and _NAME.fullmatch(name)):
        raise ScheduleError("name: small letters, digits and - only, at most 40")
    if name in taken or name in ("web", "all", "release"):
        raise ScheduleError(f"name: {name!r} is taken; choose another")
    return Job(name or _named(run, taken), run.strip(), calendars(when))


def _named(run: str, taken: Any) -> str:
    """Make a name of a line's first words that are no options and no paths."""
    words = [word.rsplit("/", 1)[-1] for word in run.split() if not word.startswith("-") and "=" not in word]
    words = words[1:] if len(words) > 1 and re.fullmatch(r"python[\d.]*|exec|sh|bash", words[0]) else words
    base = re.sub(r"[^a-z0-9]+", "-", "-".join(words[:2]).lower().replace(".py", "")).strip("-")[:34].rstrip("-")
    base = "job" if base in ("", "web", "all", "release") else base
    number, name = 2, base
    while name in taken:
        name, number = f"{base}-{number}", number + 1
    return name


def _cron(fields: Sequence[str]) -> Tuple[str, ...]:
    minutes, hours, days, months, weekdays = (_numbers(text, *about) for text, about in zip(fields, _FIELDS))  # noqa: B905  not before Python 3.10
    if weekdays is not None:
        weekdays = sorted({day % 7 for day in weekdays})
        weekdays = None if len(weekdays) == 7 else weekdays
    clock = f"{_shown(hours)}:{_shown(minutes)}:00"
    named = ",".join(_DAYS[day].capitalize() for day in weekdays) if weekdays is not None else ""
    on_day = f"*-{_shown(months)}-{_shown(days)} {clock}"
    on_weekday = f"{named} *-{_shown(months)}-* {clock}"
    if weekdays is None:
        return (on_day,)
    return (on_weekday,) if days is None else (on_day, on_weekday)  # cron runs when either is due


def _numbers(text: str, field: str, low: int, high: int, names: Sequence[str]) -> Optional[List[int]]:
    """Give the numbers that a field of cron's stands for; None: every one."""
    found = set()
    for part in text.split(","):
        body, slash, step = part.partition("/")
        first, dash, last = body.partition("-")
        if body == "*":
            begin, end = low, high
        else:
            begin = _number(first, field, low, high, names)
            end = _number(last, field, low, high, names) if dash else high if slash else begin
        if (slash and (not step.isdigit() or int(step) == 0)) or begin > end:
            raise ScheduleError(f"when: {text!r} is no {field}")
        found |= set(range(begin, end + 1, int(step) if slash else 1))
    return None if text == "*" or len(found) == high - low + 1 else sorted(found)


def _number(text: str, field: str, low: int, high: int, names: Sequence[str]) -> int:
    if text.lower() in names:
        return names.index(text.lower()) + low
    if not text.isdigit() or not low <= int(text) <= high:
        raise ScheduleError(f"when: {text!r} is no {field} ({low} to {high})")
    return int(text)


def _shown(numbers: Optional[List[int]]) -> str:
    return "*" if numbers is None else ",".join(f"{number:02d}" for number in numbers)
