"""
What a machine may lack: the closed list of what may be skipped in CI, besides tests of DigitalOcean itself.

A test that needs something of the list says so with `@limits.needs("name")`. Under `CI=true` the run fails when any
other test is skipped, whatever the reason that it gives.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import pytest

_PROPERTY = "limit"


@dataclass(frozen=True)
class Limit:
    """One thing that a machine may lack."""

    reason: str
    lacking: Callable[[], bool]  # the probe; asked once in a process, and only where a test needs it
    tests: int  # how many tests need it; pinned, so that the list does not grow unseen


def _no_legacy_iptables() -> bool:
    words = ["unshare", "--net", "iptables-legacy", "-w", "-S"]
    try:
        return subprocess.run(words, capture_output=True, check=False).returncode != 0
    except FileNotFoundError:
        return False  # the tools are installed by `make test`; without them the tests fail and say so


LIMITS: dict[str, Limit] = {
    "legacy iptables": Limit("the kernel has no legacy iptables", _no_legacy_iptables, 2),
}


def needs(name: str) -> pytest.MarkDecorator:
    """Mark a test that is skipped on a machine that lacks something of the list."""
    assert name in LIMITS, name
    return pytest.mark.needs(name)


@cache
def _lacking(name: str) -> bool:
    return LIMITS[name].lacking()


class Enforcement:
    """
    Skips what the machine lacks, and fails a run in CI that skips anything else.

    Args:
        in_ci: whether other skips fail the run.
    """

    def __init__(self, *, in_ci: bool) -> None:
        self._in_ci = in_ci
        self._wrong: list[str] = []

    def pytest_configure(self, config: pytest.Config) -> None:
        """Make the marker known."""
        config.addinivalue_line("markers", "needs(name): skipped on a machine that lacks it; see tests/limits.py")

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Skip what cannot run here, of the tests that were selected."""
        for item in items:
            for name in _named(item):
                if _lacking(name):
                    item.add_marker(pytest.mark.skip(reason=LIMITS[name].reason))
                    item.user_properties.append((_PROPERTY, name))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a test that was skipped without being on the list."""
        allowed = "live" in report.keywords or _PROPERTY in dict(report.user_properties)
        if report.skipped and not hasattr(report, "wasxfail") and not allowed:
            self._wrong.append(f"{report.nodeid}: {_reason(report)}")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a whole module that was skipped: a limit is of a test."""
        if report.skipped:
            self._wrong.append(f"{report.nodeid}: {_reason(report)}")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail the run."""
        if (
            self._in_ci
            and self._wrong
            and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
        ):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say which tests should have run."""
        if self._in_ci and self._wrong:
            terminalreporter.section("skipped in CI, and not on the list of tests/limits.py", red=True)
            for line in self._wrong:
                terminalreporter.line(line)


def enforcement() -> Enforcement:
    """Give the plugin for this run."""
    return Enforcement(in_ci=os.environ.get("CI") == "true")


def _named(item: pytest.Item) -> Iterator[str]:
    for mark in item.iter_markers("needs"):
        yield str(mark.args[0])


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    return str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else str(report.longrepr)
