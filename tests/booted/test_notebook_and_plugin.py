"""The notebook, the README's lines and the fixtures, as their users run them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from cloudship import fleet
from cloudship.local.machines.rootfs.build import cache_folder

CACHE = cache_folder().parent
pytest_plugins = ["pytester"]


@pytest.mark.filterwarnings("ignore")  # the notebook's own machinery warns of its own past
def test_the_notebook_runs_from_top_to_bottom(here: Path, root: Path) -> None:
    """Up, a page, a command, the log, and gone; the ship shows itself as a table."""
    notebook = nbformat.read(root / "examples/quickstart.ipynb", as_version=4)
    NotebookClient(notebook, timeout=180, resources={"metadata": {"path": str(root / "examples")}}).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("<caption><b>quickstart</b>" in output.get("data", {}).get("text/html", "") for output in shown)
    assert [] == [ship.name for ship in fleet.ships(cloud="local") if ship.name == "quickstart"]


def test_the_readmes_ten_lines_do_what_they_say(here: Path, root: Path) -> None:
    """As they stand: the URL with the phases, the page, the version of Python, the log; and then it is gone."""
    lines = (root / "README.md").read_text().partition("```python\n")[2].partition("```")[0]
    assert 10 == len(lines.splitlines())
    done = subprocess.run([sys.executable, "-c", lines], cwd=root, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr
    assert ("http://10.213.", True) == (done.stdout[:14], "'answer " in done.stdout.splitlines()[0])
    for shown in ("Ahoy", "\nPython 3.", "GET / "):
        assert shown in done.stdout
    assert [] == [ship.name for ship in fleet.ships(cloud="local") if ship.name == "flask-hello"]


def test_the_fixture_launches_and_takes_down(
    here: Path, root: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what a test that fails leaves behind."""
    monkeypatch.setenv("CLOUDSHIP_CACHE_DIR", str(CACHE))  # pytester moves the home folder, and the cache with it
    pytester.makepyfile(
        f"""
        import urllib.request, pytest

        def test_answers(ship_factory):
            ship = ship_factory({str(root / "examples/static-site")!r})
            assert 200 == urllib.request.urlopen(ship.url).status
            raise RuntimeError("the test itself fails")

        def test_nothing_is_left(local_cloud):
            from cloudship.local import control
            assert 0 == control.status(local_cloud.directory).droplets
        """
    )
    done = pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider")
    done.assert_outcomes(passed=1, failed=1)
    done.stdout.fnmatch_lines(["*RuntimeError: the test itself fails*"])
