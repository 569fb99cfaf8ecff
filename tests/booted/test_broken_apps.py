"""Apps that do not come up: the guilty lines, exit status 1, and nothing left."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from cloudship import fleet

FLASK = "from flask import Flask\napp = Flask(__name__)\n"
FAIL_500 = FLASK + "@app.get('/')\ndef index():\n    raise RuntimeError('the database is on fire')\n"
BROKEN = {
    "requirements": (
        {"app.py": FLASK, "requirements.txt": "flask\nno-such-package-at-all==9\n"},
        "no-such-package-at-all",
    ),
    "import": ({"app.py": "import nothing_like_this\n" + FLASK}, "No module named 'nothing_like_this'"),
    "answers-500": ({"app.py": FAIL_500}, "RuntimeError: the database is on fire"),
    "never-binds": (
        {"Procfile": "web: sleep 600\n", "cloudship.toml": "[health]\ntimeout = 3\n"},
        "nothing listens on its PORT",
    ),
    "no-program": ({"Procfile": "web: ./bin/missing --port $PORT\n"}, "./bin/missing: not found"),
    "release-command": (
        {"app.py": FLASK, "cloudship.toml": "release = \"sh -c 'echo no such table; exit 3'\"\n"},
        "no such table",
    ),
    "build-command": ({"app.py": FLASK, "cloudship.toml": 'build = "make frontend"\n'}, "make frontend"),
    "apt": ({"app.py": FLASK, "cloudship.toml": 'apt = ["no-such-debian-package"]\n'}, "Unable to locate package"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_app_is_named_and_leaves_nothing(here: Path, tmp_path: Path, case: str) -> None:
    """At most a dozen lines, the cause among them; status 1; no droplet, key or tag stays."""
    files, cause = BROKEN[case]
    app = tmp_path / case
    app.mkdir()
    for name, text in files.items():
        (app / name).write_text(text)
    words = [sys.executable, "-m", "cloudship", "up", str(app), "--cloud", "local"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    message = done.stderr.partition("\nerror")[2]
    assert (1, "") == (done.returncode, done.stdout)
    assert cause in message
    assert message.count("\n") <= 12
    first_boot = f"--on-failure keep, then: cloudship logs {case} --boot"
    assert f"\nnext: {first_boot if case == 'apt' else 'mend it, and cloudship up again'}" in message
    if case == "answers-500":
        assert re.search(r"does not answer as it should at http://[0-9.]+/: it answered 500\n", message)
    assert 'Traceback (most recent call last):\n  File "/' not in done.stderr.replace(message, "")
    assert [] == [ship.name for ship in fleet.ships(cloud="local") if ship.name == case]


def test_a_droplet_is_kept_for_a_look_where_that_is_asked(here: Path, tmp_path: Path) -> None:
    """--on-failure keep names what is left and its price; the next launch replaces it."""
    app = tmp_path / "kept"
    app.mkdir()
    (app / "Procfile").write_text("web: ./missing\n")
    words = [sys.executable, "-m", "cloudship", "up", str(app), "--cloud", "local", "--on-failure", "keep"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert 1 == done.returncode
    assert "left behind: droplet" in done.stderr
    kept = fleet.get("kept", cloud="local")
    assert "bootstrap" in str(kept.status())
    (app / "Procfile").unlink()
    (app / "index.html").write_text("mended")
    done = subprocess.run([*words[:-2]], capture_output=True, text=True, check=False)
    assert (0, True) == (done.returncode, "died; it is taken down and replaced" in done.stderr)
    ships = [ship for ship in fleet.ships(cloud="local") if ship.name == "kept"]
    assert 1 == len(ships)
    fleet.down("kept", cloud="local")
