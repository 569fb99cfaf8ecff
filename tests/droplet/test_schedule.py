"""Scheduled jobs: cron's words and systemd's own become calendar events that systemd understands."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

import pytest

from droplet.schedule import ScheduleError, calendars, read

WHEN = {
    "* * * * *": ("*-*-* *:*:00",),
    "*/15 * * * *": ("*-*-* *:00,15,30,45:00",),
    "15 3 * * *": ("*-*-* 03:15:00",),
    "0 9-17/4 * * mon-fri": ("Mon,Tue,Wed,Thu,Fri *-*-* 09,13,17:00:00",),
    "0 0 1,15 * 5": ("*-*-01,15 00:00:00", "Fri *-*-* 00:00:00"),
    "30 6 * jan,JUL 7": ("Sun *-01,07-* 06:30:00",),
    "5 4 * * 0-7": ("*-*-* 04:05:00",),
    "10/20 0 * * *": ("*-*-* 00:10,30,50:00",),
    "@daily": ("daily",),
    "@annually": ("yearly",),
    "Mon *-*-* 06:00": ("Mon *-*-* 06:00",),
    "hourly": ("hourly",),
}


@pytest.mark.parametrize("when", WHEN)
def test_what_cron_and_systemd_say_becomes_a_calendar_event(when: str) -> None:
    """Where cron runs on either of two days there are two events; Sunday is 0 and 7."""
    assert WHEN[when] == calendars(when)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_understands_every_event() -> None:
    """All that is written above, and by its status it would say no."""
    events = [event for found in WHEN.values() for event in found]
    subprocess.run(["systemd-analyze", "calendar", *events], check=True, capture_output=True)
    assert subprocess.run(["systemd-analyze", "calendar", "Mon 25:00"], check=False, capture_output=True).returncode


@pytest.mark.parametrize(
    "when",
    [
        "61 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 8",
        "*/0 * * * *",
        "9-3 * * * *",
        "@noon",
        "",
        "$(id)",
    ],
)
def test_what_neither_understands_is_refused(when: str) -> None:
    """With the words that cannot be."""
    with pytest.raises(ScheduleError, match="when: "):
        calendars(when)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("daily", "write it as a table"),
        ({"run": "x", "when": "@daily", "whem": 1}, "whem: there is no such key"),
        ({"when": "@daily"}, "run: one line"),
        ({"run": "a\nb", "when": "@daily"}, "run: one line"),
        ({"run": "x", "when": 5}, "when: a text"),
        ({"run": "x", "when": "@daily", "name": "../x"}, "name: small letters"),
        ({"run": "x", "when": "@daily", "name": "web"}, "name: 'web' is taken"),
        ({"run": "x", "when": "@daily", "name": "first"}, "name: 'first' is taken"),
    ],
)
def test_a_table_that_is_no_job_is_refused_by_its_place(table: Any, message: str) -> None:
    """The second of two, so that people find it."""
    with pytest.raises(ScheduleError, match=f"^job 2: {message}"):
        read([{"run": "true", "when": "@daily", "name": "first"}, table])


def test_jobs_without_a_name_are_called_by_what_they_run() -> None:
    """Each name once; a path, an option or a value is no name."""
    lines = ("python manage.py clearsessions", "A=1 ./bin/report --all", "python manage.py clearsessions", "web")
    jobs = read([{"run": line, "when": "@daily"} for line in lines])
    assert ["manage-clearsessions", "report", "manage-clearsessions-2", "job"] == [job.name for job in jobs]
