"""The command line as people type it, against a local cloud without machines: bad input costs nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from cloudship.cli.upanddown import receipt_line
from cloudship.local import control, handle
from cloudship.models import Cloud, Destroyed, Kind, Receipt

pytestmark = pytest.mark.slow

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(cloud: Any, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run cloudship with nothing but that local cloud within reach."""

    def command(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "DIGITALOCEAN_END_POINT": f"{cloud.url}/v2/", "DIGITALOCEAN_TOKEN": cloud.token, **environ}
        return subprocess.run(
            [sys.executable, "-m", "cloudship", *words], capture_output=True, text=True, check=False, env=env
        )

    return command


def test_bad_input_costs_nothing(
    typed: Callable[..., Any], cloud: Any, flask_app: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One clear message, exit status 2, and not a single droplet, key or tag."""
    empty, nothing = tmp_path / "empty", tmp_path / "nothing"
    empty.mkdir()
    (tmp_path / "noapp").mkdir()
    (tmp_path / "noapp" / "notes.txt").write_text("x")
    (tmp_path / "bad.toml").write_text("sise = 'x'\n")
    (tmp_path / "large.yaml").write_text("#cloud-config\nx: '" + "y" * 70000 + "'\n")
    cases = {
        (str(nothing),): "does not exist",
        (str(empty),): "empty",
        (str(tmp_path / "noapp"),): "No app was found",
        (str(flask_app), "--name", "Not OK"): "no name for a ship",
        (str(flask_app), "--image", "ubuntu-21-04-x64"): "nearest are ubuntu",
        (str(flask_app), "--size", "s-1vcpu-3gb"): "nearest are s-1vcpu",
        (str(flask_app), "--region", "nyc9"): "nearest are nyc",
        (str(flask_app), "--ttl", "soon"): "no duration",
        (str(flask_app), "--config", str(tmp_path / "bad.toml")): "did you mean 'size'",
        (str(flask_app), "--env", "NOVALUE"): "NAME=value",
        (str(flask_app), "--cloud", "digitalocean"): "disagrees",
        (str(flask_app), "--bogus"): "No such option",
    }
    for words, message in cases.items():
        said = typed("up", *words)
        assert (2, "") == (said.status, said.out), words
        assert message in said.err, words
        assert "Traceback" not in said.err
    monkeypatch.setenv("CLOUDSHIP_USER_DATA", str(tmp_path / "large.yaml"))
    said = typed("up", str(flask_app))
    assert (2, True) == (said.status, "at most 65536" in said.err)
    left = [cloud("GET", f"/v2/{kind}").json()["meta"]["total"] for kind in ("droplets", "account/keys", "tags")]
    assert [0, 0, 0] == left


def test_a_refused_token_is_said_as_what_it_is(run: Run, flask_app: Path) -> None:
    """Exit status 2, and where to look."""
    done = run("up", str(flask_app), DIGITALOCEAN_TOKEN="cloudship_local_wrong")
    assert (2, True) == (done.returncode, "refuses the token" in done.stderr)


def test_failures_are_one_json_document_where_that_is_asked(run: Run, root: Path, tmp_path: Path) -> None:
    """Its schema lies in docs."""
    done = run("up", str(tmp_path / "nothing"), "--json")
    told = json.loads(done.stdout)
    jsonschema.validate(told, json.loads((root / "docs/schemas/error.json").read_text()))
    assert ("SourceError", "plan", False) == tuple(told["error"][key] for key in ("type", "phase", "retryable"))


def test_plan_shows_everything_and_creates_nothing(run: Run, cloud: Any, flask_app: Path) -> None:
    """The exact requests, with the tags, and without the temporary key."""
    done = run("plan", str(flask_app), "--json", "--ttl", "2h")
    told = json.loads(done.stdout)
    assert ["/v2/account/keys", "/v2/droplets"] == [one["path"] for one in told["requests"]]
    assert any(tag.startswith("cloudship:expires:") for tag in told["requests"][1]["body"]["tags"])
    assert "PRIVATE KEY" not in done.stdout
    assert 0 == cloud("GET", "/v2/droplets").json()["meta"]["total"]


def test_plan_says_when_the_ship_ends_and_when_it_goes(typed: Callable[..., Any], flask_app: Path) -> None:
    """A ttl is a promise about the next sweep; for programs it is the moment alone."""
    rows = typed("plan", str(flask_app), "--ttl", "2h").out.splitlines()
    (row,) = (one for one in rows if one.startswith("expires_at "))
    assert row.endswith("Z; it goes at the first `cloudship reap` after that")
    told = json.loads(typed("plan", str(flask_app), "--ttl", "2h", "--json").out)
    assert told["expires_at"].endswith("Z")
    assert "expires_at    never" in typed("plan", str(flask_app)).out.splitlines()
    assert json.loads(typed("plan", str(flask_app), "--json").out)["expires_at"] is None


_DROPLET, _KEY = Destroyed(kind=Kind.DROPLET, id="7"), Destroyed(kind=Kind.KEY, id="5")
_TAG = Destroyed(kind=Kind.TAG, id="cloudship:ship:web")


@pytest.mark.parametrize(
    ("destroyed", "lived", "said"),
    [
        ((), None, "web: nothing to take down (searched: local)"),
        ((_DROPLET, _KEY, _TAG), 60.0, "web: gone after 60 s (droplet 7, key 5); it cost $0.0100"),
        ((_KEY, _TAG), None, "web: gone (key 5)"),
        ((_TAG,), None, "web: its last tag is gone; nothing else of it was there"),
        ((_TAG, _TAG), None, "web: its last 2 tags are gone; nothing else of it was there"),
    ],
)
def test_a_receipt_says_what_went_and_what_it_cost(
    destroyed: tuple[Destroyed, ...], lived: float | None, said: str
) -> None:
    """Where no droplet was there any more, nobody knows what it had cost."""
    receipt = Receipt(
        name="web", destroyed=destroyed, searched=(Cloud.LOCAL,), seconds_lived=lived, cost=0.01 if lived else 0.0
    )
    assert said == receipt_line(receipt)


def test_a_local_cloud_that_hangs_is_told_as_that(
    typed: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By `local status`, `local start` and `doctor`, each with what to do about it."""
    monkeypatch.setenv("CLOUDSHIP_LOCAL_DIR", str(tmp_path / "own"))
    monkeypatch.setenv("CLOUDSHIP_LOCAL_DRIVER", "none")
    found = control.start(driver="none")
    try:
        monkeypatch.setattr(handle, "_LIMIT", 0.3)
        os.kill(found.pid, signal.SIGSTOP)
        mend = "cloudship local stop, then cloudship local start"
        for verb in ("status", "start"):
            said = typed("local", verb)
            assert (2, "") == (said.status, said.out)
            assert (True, True) == (f"(process {found.pid})" in said.err, f"next: {mend}" in said.err)
        checked = {one["name"]: one for one in json.loads(typed("doctor", "--cloud", "local", "--json").out)}
        assert (False, mend) == (checked["local cloud"]["ok"], checked["local cloud"]["mend"])
        assert "does not answer" in checked["local cloud"]["found"]
    finally:
        os.kill(found.pid, signal.SIGCONT)
        control.reset()


def test_doctor_goes_on_where_the_local_cloud_cannot_be_looked_at(
    typed: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A state of somebody else's, a folder that cannot be: one line that fails among all the others."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "account.sqlite").touch()
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: "own" not in Path(path).parts and access(path, mode))
    cases = [
        (tmp_path / "own", "is somebody else's", "cloudship local start"),
        (tmp_path / ("x" * 300), "its folder cannot be used", "export CLOUDSHIP_LOCAL_DIR="),
    ]
    for place, message, mend in cases:
        monkeypatch.setenv("CLOUDSHIP_LOCAL_DIR", str(place))
        said = typed("doctor", "--cloud", "local")
        assert (1, True) == (said.status, "git " in said.out)
        row, next_row = said.out.splitlines()[-2:]
        assert (True, True) == (row.startswith("FAIL local cloud "), message in row)
        assert mend in next_row


def test_render_prints_the_cloned_document(run: Run) -> None:
    """A git URL in, user-data out, nothing else on standard output; a folder alone is refused."""
    done = run("render", "--git", "https://example.org/you/app.git@main", "--name", "app")
    assert (0, True) == (done.returncode, done.stdout.startswith("#cloud-config\n"))
    assert "ssh_keys" not in done.stdout
    assert 2 == run("render", ".").returncode


def test_lists_and_searches_of_nothing(run: Run, root: Path) -> None:
    """An empty list; an unknown ship is status 1; taking down what is not there is success and says where it looked."""
    listed = run("list", "--json")
    jsonschema.validate(json.loads(listed.stdout), json.loads((root / "docs/schemas/list.json").read_text()))
    assert (0, []) == (listed.returncode, json.loads(listed.stdout))
    assert "cloud: local" == listed.stderr.splitlines()[0]
    assert 1 == run("show", "nobody").returncode
    assert 255 == run("run", "nobody", "--", "true").returncode
    down = run("down", "nobody")
    assert (0, True) == (down.returncode, "searched: local" in down.stderr)


@pytest.mark.parametrize(
    "words",
    [
        ("list",),
        ("plan", "APP"),
        *((verb, "nobody") for verb in ("show", "logs", "ssh", "deploy", "rollback", "releases", "down")),
        ("extend", "nobody", "1h"),
        ("env", "nobody", "list"),
        ("run", "nobody", "true"),
    ],
    ids=lambda words: words[0],
)
def test_v_shows_every_call_of_the_api(typed: Callable[..., Any], flask_app: Path, words: tuple[str, ...]) -> None:
    """Of any verb, without the token."""
    whole = [str(flask_app) if word == "APP" else word for word in words]
    assert "api: GET" in typed("-v", *whole).err
    assert "api: GET" not in typed(*whole).err


def test_the_reference_is_not_stale(root: Path) -> None:
    """docs/cli.md is what the command line says of itself."""
    done = subprocess.run([sys.executable, str(root / "docs/make_cli.py"), "--check"], check=False)
    assert 0 == done.returncode
