"""Every verb with --json: its document has a schema in docs, and what it really prints is valid by it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import typer
from orders import order

from cloudship import tags
from cloudship.cli.app import app
from cloudship.client import Client
from cloudship.local import control

Say = Callable[..., Any]


def _verbs() -> Iterator[tuple[str, Any]]:
    """Walk the command line: each verb with its command."""
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        yield from ((f"{name}-{one}", two) for one, two in inner.items()) if inner else [(name, command)]


def _with_json() -> set[str]:
    return {name for name, command in _verbs() if any("--json" in one.opts for one in command.params)}


@pytest.fixture
def say(typed: Callable[..., Any], root: Path) -> Say:
    """Type a command line with --json; gives its status and its document, once that is valid by its schema."""

    def type_(*words: str, schema: str) -> tuple[int, Any]:
        said = typed(*words, "--json")
        told = json.loads(said.out)
        jsonschema.validate(told, json.loads((root / f"docs/schemas/{schema}.json").read_text()))
        return said.status, told

    return type_


@pytest.fixture
def ship(client: Client) -> str:
    """A ship of ours that has answered, without a machine."""
    asked = order(tags.droplet_name("web", "a" * 10), tags.launch_tags("web", "a" * 10, "me", None, None))
    client.create_droplet(asked)
    return "web"


def test_every_verb_with_json_has_a_schema_and_every_schema_a_verb(root: Path) -> None:
    """Each is a schema itself; the one of errors is everybody's."""
    found = {path.stem: json.loads(path.read_text()) for path in (root / "docs/schemas").glob("*.json")}
    assert _with_json() == set(found) - {"error"}
    for schema in found.values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_what_ships_are_told_as(say: Say, ship: str) -> None:
    """`list`, `show`, `extend`, `reap`, `down`: of a ship, and of nothing."""
    status, listed = say("list", schema="list")
    assert (0, ["web"], "active") == (status, [one["name"] for one in listed], listed[0]["state"])
    status, shown = say("show", ship, schema="show")
    assert (0, None, "me") == (status, shown["droplet"], shown["owner"])
    status, extended = say("extend", ship, "2h", schema="extend")
    assert (0, True) == (status, extended["expires_at"].endswith("Z"))
    status, swept = say("reap", "--dry-run", schema="reap")
    assert (0, [False]) == (status, [one["would_be_taken"] for one in swept])
    status, gone = say("down", ship, schema="down")
    assert (0, ["local"]) == (status, gone["searched"])
    assert "droplet" in {one["kind"] for one in gone["destroyed"]}
    status, nothing = say("down", ship, schema="down")
    assert (0, [], None) == (status, nothing["destroyed"], nothing["seconds_lived"])
    assert (0, []) == say("down", "--all", "--yes", schema="down")
    assert (0, []) == say("reap", schema="reap")


def test_what_is_told_of_a_plan_and_of_this_machine(say: Say, flask_app: Path) -> None:
    """`plan` with its notes and requests; `doctor` with the command that mends what is wrong."""
    (flask_app / ".venv").mkdir()
    (flask_app / ".venv" / "pyvenv.cfg").touch()
    status, planned = say("plan", str(flask_app), schema="plan")
    assert (0, "tiny", 0) == (status, planned["name"], planned["price_hourly"])
    assert (["app.py", "requirements.txt"], [".venv"]) == (planned["files"], planned["left_out"])
    _, checked = say("doctor", schema="doctor")
    assert {"git", "ssh", "keys", "token", "root", "engine", "forward policy", "local cloud"} == {
        one["name"] for one in checked
    }
    assert all(one["mend"] for one in checked if not one["ok"])


def test_what_the_local_cloud_tells_of_itself(say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`start`, `status`, `env`, `images`, `setup`, `stop` and `reset`, running and not."""
    monkeypatch.setenv("CLOUDSHIP_LOCAL_DIR", str(tmp_path / "own"))
    monkeypatch.setenv("CLOUDSHIP_LOCAL_DRIVER", "none")
    try:
        assert say("local", "status", schema="local-status")[1]["running"] is False
        status, started = say("local", "start", schema="local-start")
        assert (0, "none") == (status, started["driver"])
        assert say("local", "status", schema="local-status")[1]["url"] == started["url"]
        _, variables = say("local", "env", schema="local-env")
        assert (started["url"], f"{started['url']}/v2/") == (
            variables["DIGITALOCEAN_API_URL"],
            variables["DIGITALOCEAN_END_POINT"],
        )
        assert "ubuntu-20-04-x64" in {one["slug"] for one in say("local", "images", schema="local-images")[1]}
        assert (0, {"stopped": True}) == say("local", "stop", schema="local-stop")
        assert (0, {"stopped": False}) == say("local", "stop", schema="local-stop")
        assert (0, {"reset": True}) == say("local", "reset", "--yes", schema="local-reset")
        status, told = say("local", "env", schema="error")
        assert (2, "cloudship local start") == (status, told["error"]["next"])
    finally:
        control.reset(tmp_path / "own")


@pytest.mark.parametrize(
    ("words", "status", "kind"),
    [
        (("show", "nobody"), 1, "ShipNotFound"),
        (("up", "no-such-folder"), 2, "SourceError"),
        (("up", ".", "--bogus"), 2, "UsageError"),
        (("lst",), 2, "UsageError"),
        (("extend", "web", "soon"), 2, "ConfigError"),
    ],
)
def test_failures_are_the_documented_document(say: Say, words: tuple[str, ...], status: int, kind: str) -> None:
    """Whatever fails: usage, configuration, a search; the status is the contract's."""
    ended, told = say(*words, schema="error")
    assert (status, kind, []) == (ended, told["error"]["type"], told["error"]["left"])
