"""The closed list of what may be skipped in CI: nothing else is, and nothing joins it unseen."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import limits
import pytest

pytestmark = pytest.mark.slow

pytest_plugins = ("pytester",)
Run = Callable[..., pytest.RunResult]
TESTS = Path(__file__).parent
_CONFTEST = """
import limits


def pytest_configure(config):
    config.addinivalue_line("markers", "live: of DigitalOcean")
    config.pluginmanager.register(limits.enforcement())
"""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Callable[..., pytest.RunResult]:
    """Run one test in CI or elsewhere, with a list of its own."""
    monkeypatch.setitem(limits.LIMITS, "moon", limits.Limit("there is no moon", lambda: True, 1))
    monkeypatch.setitem(limits.LIMITS, "air", limits.Limit("there is no air", lambda: False, 1))
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeconftest(_CONFTEST)

    def here(test: str, *words: str, ci: bool = True) -> pytest.RunResult:
        monkeypatch.setenv("CI", "true" if ci else "")
        pytester.makepyfile(test_it="import limits, pytest\n\n\n" + test)
        return (pytester.runpytest_subprocess if words else pytester.runpytest_inprocess)(*words)

    return here


@pytest.mark.parametrize(
    ("test", "status"),
    [
        ("@limits.needs('moon')\ndef test_it():\n    raise AssertionError\n", 0),
        ("@limits.needs('air')\ndef test_it():\n    raise AssertionError\n", 1),
        ("@pytest.mark.live\n@pytest.mark.skip\ndef test_it():\n    pass\n", 0),
        ("@pytest.mark.xfail\ndef test_it():\n    raise AssertionError\n", 0),
        ("@pytest.mark.skip(reason='lazy')\ndef test_it():\n    pass\n", 1),
        ("def test_it():\n    pytest.skip('lazy')\n", 1),
        ("pytest.skip('lazy', allow_module_level=True)\n", 1),
        ("import pytest\n\nlacking = pytest.importorskip('no_such_module')\n", 1),
    ],
)
def test_in_ci_only_what_is_on_the_list_may_be_skipped(run: Run, test: str, status: int) -> None:
    """A test of the list is skipped where the probe says so; any other skip fails the run, also of a whole module."""
    assert status == run(test).ret


@pytest.mark.parametrize("words", [(), ("-p", "xdist", "-n", "1")])
def test_a_skip_that_fails_the_run_is_named(run: Run, words: tuple[str, ...]) -> None:
    """With its reason, also where workers ran it; outside CI it stays a skip."""
    test = "def test_it():\n    pytest.skip('lazy')\n\n\ndef test_other():\n    pass\n"
    done = run(test, *words)
    assert 1 == done.ret
    done.stdout.fnmatch_lines(["test_it.py::test_it: Skipped: lazy"])
    assert 0 == run(test, *words, ci=False).ret


def test_each_limit_is_needed_by_as_many_tests_as_it_says() -> None:
    """The counts are pinned: who needs a limit for one more test raises its number on purpose."""
    files = [str(path) for path in TESTS.rglob("test_*.py") if path != Path(__file__) and "limits." in path.read_text()]
    code = (
        "import pytest, sys\n"
        "class Count:\n"
        "    @pytest.hookimpl(tryfirst=True)\n"
        "    def pytest_collection_modifyitems(self, items):\n"
        "        for item in items:\n"
        "            for mark in item.iter_markers('needs'):\n"
        "                print('needs', mark.args[0], sep=':')\n"
        "        items.clear()\n"
        "if sys.argv[1:]:\n"
        "    pytest.main(['--collect-only', '-q', '-p', 'no:xdist', *sys.argv[1:]], plugins=[Count()])\n"
    )
    words = [sys.executable, "-c", code, *files]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=TESTS.parent)
    found = Counter(line[6:] for line in done.stdout.splitlines() if line.startswith("needs:"))
    assert {name: one.tests for name, one in limits.LIMITS.items()} == dict(found)
