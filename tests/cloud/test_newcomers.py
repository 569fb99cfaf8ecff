"""Mistakes that newcomers make: each costs nothing, is called by its name, and ends with what to type instead."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from orders import order

from cloudship import tags
from cloudship.cli import words
from cloudship.client import Client
from cloudship.errors import LocalCloudUnavailable
from cloudship.local.handle import LocalCloud

pytestmark = pytest.mark.slow

LAUNCH = "0123456789"


@pytest.fixture
def knobs(cloud: Any) -> LocalCloud:
    """Give what the cloud can be told to do wrong."""
    return LocalCloud(cloud.url, cloud.token)


FLASK = "from flask import Flask\napp = Flask(__name__)\n"
FOLDERS: dict[str, dict[str, str]] = {
    "good": {"app.py": FLASK},
    "nothing": {},
    "notes": {"notes.txt": "x"},
    "above/web": {"app.py": FLASK},
    "node": {"package.json": "{}", "index.js": "x"},
    "torn": {"app.py": "from flask import Flask\napp = Flask(__name__\n"},
    "asking": {"app.py": "from flask import Flask\ndef create_app(config):\n    return Flask(__name__)\n"},
    "two": {"main.py": FLASK, "server.py": FLASK},
    "poetry": {"app.py": FLASK, "pyproject.toml": '[tool.poetry.dependencies]\nflask = "*"\n'},
    "pipfile": {"app.py": FLASK, "Pipfile": "[packages]\n"},
    "key": {"app.py": FLASK, "deploy_key": "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n"},
    "toml": {"app.py": FLASK, "cloudship.toml": "name = [\n"},
    "typo": {"app.py": FLASK, "cloudship.toml": 'relase = "x"\n'},
    "wrong": {"app.py": FLASK, "cloudship.toml": 'shared = "media"\n'},
    "away": {"app.py": FLASK, "requirements.txt": "-r base.txt\n"},
    "both": {"app.py": FLASK, "cloudship.toml": 'size = "x"\n', "pyproject.toml": '[tool.cloudship]\nsize = "x"\n'},
}
# words, then what the message says, then what is to be typed instead
MISTAKES: dict[tuple[str, ...], tuple[str, str]] = {
    ("up", "nowhere"): ("'nowhere' does not exist", "name the folder"),
    ("up", "nothing"): ("the folder is empty, or git ignores all of it", "name the folder"),
    ("up", "good/app.py"): ("is a file; an app is a folder or a git URL", "name its folder: good"),
    ("up", "site.zip"): ("'site.zip' is a file", "unpack it"),
    ("up", "notes"): ("No app was found here", 'app = "module:callable"'),
    ("up", "above"): ("web/ holds one: Flask: app.py defines app", "name that folder: web"),
    ("up", "node"): ("package.json: a project for Node.js", 'app = "module:callable"'),
    ("up", "torn"): ("app.py: syntax error in line 2", 'app = "module:callable"'),
    ("up", "asking"): ("app.py: create_app wants arguments; in wsgi.py, write app = create_app(...)", "app = "),
    ("up", "two"): ("This could be 2 apps: main:app, server:app", 'app = "main:app"'),
    ("up", "poetry"): ("poetry.lock is missing", "poetry lock"),
    ("up", "pipfile"): ("Pipfile alone does not say what to install", "pipenv lock"),
    ("up", "key"): ("hold a private key", ".gitignore"),
    ("up", "toml"): ("cloudship.toml cannot be read", ""),
    ("up", "typo"): ("relase: there is no such key; did you mean 'release'?", ""),
    ("up", "both"): ("Both cloudship.toml and [tool.cloudship]", "keep one of them"),
    ("up", "good@main"): ("has no commit 'main'", "git -C"),
    ("up", "ftp://example.org/x"): ("is no URL that is fetched from", "git URL"),
    ("up", "good", "--name", "My Shop"): ("'My Shop' is no name for a ship", "'my-shop' would do"),
    ("up", "good", "--name", "Café Süd"): ("'Café Süd' is no name for a ship", "'cafe-sud' would do"),
    ("up", "wrong"): ("cloudship.toml: shared: a list of texts", 'such as ["one", "two"]'),
    ("up", "away"): ("requirements.txt names base.txt, which is not in the app", "bring base.txt into the app"),
    ("up", "good", "--config", "notes"): ("The configuration file notes does not exist, or is no file", ""),
    ("up", "good", "--env", "DEBUG"): ("--env DEBUG: write it as NAME=value", ""),
    ("up", "good", "--env-file", "no.env"): ("no.env cannot be read: No such file or directory", ""),
    ("up", "good", "--app", "app.py"): ('write it as "module:callable"', ""),
    ("up", "good", "--cloud", "aws"): ("'aws' is not one of 'local', 'digitalocean'", "cloudship up --help"),
    ("up", "good", "bad"): ("unexpected extra argument", "cloudship up --help"),
    ("upp", "good"): ("Did you mean 'up'?", "cloudship --help"),
    ("up", "good", "--nmae", "x"): ("--name", "cloudship up --help"),
    ("show",): ("Missing argument 'name'", "cloudship show --help"),
    ("show", "Shop"): ("'shop' would do", ""),
    ("extend", "shop", "a bit"): ("is no duration; write it like 2h", ""),
    ("env", "shop", "ste", "A=1"): ("'ste' is not one of 'list', 'set', 'unset', 'import'", "cloudship env --help"),
    ("scale", "shop", "worker"): ("write it as PROCESS=COUNT", ""),
    ("down", "shop", "--all"): ("--all takes every ship; shop alone: cloudship down shop", ""),
    ("local", "start", "--port", "99999"): ("less than or equal to 65535", "cloudship local start --help"),
}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in a folder with all of them."""
    monkeypatch.chdir(tmp_path)
    for folder, files in FOLDERS.items():
        (tmp_path / folder).mkdir(parents=True)
        for name, text in files.items():
            (tmp_path / folder / name).write_text(text)
    (tmp_path / "site.zip").write_bytes(b"PK")
    subprocess.run(["git", "init", "-q", "good"], check=True)


def test_each_mistake_costs_nothing_and_is_called_by_its_name(typed: Callable[..., Any], cloud: Any) -> None:
    """Exit status 2, one message of a few lines with the way out, nothing on standard output, nothing created."""
    for mistake, (message, way_out) in MISTAKES.items():
        said = typed(*mistake)
        assert (2, "") == (said.status, said.out), mistake
        assert message in said.err, mistake
        assert way_out in said.err, (mistake, said.err)
        assert said.err.count("\n") <= 12, mistake
        assert ["error"] == [line[:5] for line in said.err.splitlines() if line.startswith("error")], mistake
        assert "Errno" not in said.err, mistake
        assert "Value error" not in said.err, mistake
    left = [cloud("GET", f"/v2/{kind}").json()["meta"]["total"] for kind in ("droplets", "account/keys", "tags")]
    assert [0, 0, 0] == left


def test_without_a_verb_the_help_is_shown_as_it_is(typed: Callable[..., Any]) -> None:
    """Line by line, and not as an error."""
    said = typed()
    assert (2, True) == (said.status, "\n  up           Put an app online" in said.err)
    assert "error" not in said.err


@pytest.mark.parametrize(
    ("typed_words", "read"),
    [
        ("up . -v", "-v up ."),
        ("up . --debug --json", "--debug up . --json"),
        ("run web -- ls -v", "run web -- ls -v"),
        ("run web ls -v", "run web ls -v"),
        ("-v run web -- ls", "-v run web -- ls"),
        ("logs web -f", "logs web -f"),
        ("-v", "-v"),
    ],
)
def test_global_flags_may_stand_behind_the_verb(typed_words: str, read: str) -> None:
    """Where many type them; what `run` runs keeps its own."""
    assert read.split() == words.flags_first(typed_words.split())


def test_a_misspelt_variable_is_no_default(typed: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """`CLOUDSHIP_SISE` is named, with the one that was meant; what is no key but ours passes."""
    monkeypatch.setenv("CLOUDSHIP_SISE", "s-2vcpu-2gb")
    said = typed("plan", "good")
    assert 2 == said.status
    assert "CLOUDSHIP_SISE in the environment is no key of cloudship; did you mean CLOUDSHIP_SIZE?" in said.err
    assert "next: unset CLOUDSHIP_SISE" in said.err


def test_every_variable_that_the_project_reads_is_known(root: Path) -> None:
    """A new one that is no key of the configuration is written down where keys are checked."""
    import re

    from cloudship.config import OTHERS, Config, Health

    keys = {f"CLOUDSHIP_{key}".upper() for key in Config.model_fields}
    keys |= {f"CLOUDSHIP_HEALTH_{key}".upper() for key in Health.model_fields}
    read = set()
    for folder in ("cloudship", "userdata", "tests", "docs", "bench"):
        for path in (root / folder).rglob("*.*"):
            if path.suffix in {".py", ".md", ".sh", ".j2", ".service"}:
                read |= set(re.findall(r"\bCLOUDSHIP_[A-Z_]*[A-Z]\b", path.read_text()))
    assert set() == {name for name in read if not name.startswith("CLOUDSHIP_ENV")} - keys - OTHERS - {"CLOUDSHIP_SISE"}


def test_a_folder_that_cannot_be_written_is_said_before_anything_is_created(
    typed: Callable[..., Any], cloud: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where keys would lie, and where the local cloud would: with the variable that moves it."""
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("CLOUDSHIP_STATE_DIR", str(tmp_path / "file"))
    said = typed("up", "good")
    assert (2, True) == (said.status, "next: export CLOUDSHIP_STATE_DIR=" in said.err)
    assert 0 == cloud("GET", "/v2/account/keys").json()["meta"]["total"]
    monkeypatch.setenv("CLOUDSHIP_LOCAL_DIR", str(tmp_path / "file"))
    said = typed("local", "start", "--driver", "none")
    assert (2, True) == (said.status, "next: export CLOUDSHIP_LOCAL_DIR=" in said.err)


def test_a_program_that_is_not_installed_is_named(
    typed: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without git nothing was created, and there is the command that installs it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    said = typed("up", "good")
    assert (2, True) == (said.status, "git is not installed" in said.err)
    assert "next: apt-get install git" in said.err


def test_the_local_cloud_is_refused_where_there_is_neither_root_nor_sudo(
    typed: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Exit status 2 with the commands that somebody with root has to type."""
    for name in ("DIGITALOCEAN_END_POINT", "DIGITALOCEAN_TOKEN", "CLOUDSHIP_LOCAL_DRIVER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSHIP_LOCAL_DIR", str(tmp_path / "local"))
    monkeypatch.setenv("CLOUDSHIP_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(shutil, "which", lambda name, **_: None if name == "sudo" else f"/usr/bin/{name}")
    said = typed("up", "good", "--cloud", "local")
    assert (2, "") == (said.status, said.out)
    assert "Booting droplets needs root, and sudo is not here" in said.err
    assert "next: as root: env HOME=" in said.err
    assert "-m cloudship local setup --yes" in said.err
    assert said.err.startswith("cloud: local")


def test_from_python_the_reason_is_the_command_lines_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The message and the next step of `local start`, not a copy of its output."""
    from cloudship import clouds

    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("CLOUDSHIP_LOCAL_DIR", str(tmp_path / "file"))
    monkeypatch.setenv("CLOUDSHIP_LOCAL_DRIVER", "none")
    with pytest.raises(LocalCloudUnavailable, match="The local cloud's folder cannot be used") as caught:
        clouds.start_by_command()
    assert "CLOUDSHIP_LOCAL_DIR" in str(caught.value.next_step)


def test_down_names_the_ship_that_may_have_been_meant(typed: Callable[..., Any], client: Client) -> None:
    """Nothing to take down is success, and may be a slip."""
    client.create_droplet(order(tags.droplet_name("shop", LAUNCH), tags.launch_tags("shop", LAUNCH, "me", None, None)))
    said = typed("down", "shpo")
    assert (0, True) == (said.status, "did you mean shop? cloudship down shop" in said.err)
    assert "did you mean" not in typed("down", "website").err
    said = typed("down", "shop", "--launch", "f" * 10)
    assert (0, True) == (said.status, f"launches of shop that are there: {LAUNCH}" in said.err)
    assert "did you mean" not in said.err
    assert "did you mean" not in typed("down", "shop").err


def test_down_names_no_ship_of_somebody_else(typed: Callable[..., Any], client: Client) -> None:
    """Whose ship it is says whether it may go."""
    client.create_droplet(order(tags.droplet_name("shop", LAUNCH), tags.launch_tags("shop", LAUNCH, "you", None, None)))
    assert "did you mean" not in typed("down", "shpo").err


def test_a_look_for_what_was_meant_does_not_wait(typed: Callable[..., Any], knobs: LocalCloud) -> None:
    """What was asked for is answered: a cloud that stumbles then, or asks for patience, is asked no more."""
    before = len(knobs.requests())
    typed("down", "shpo")
    asked = [one["operation"] for one in knobs.requests()[before:]].count("droplets_list")
    patience = {"retry-after": "60"}
    knobs.fault("status", operation="droplets_list", status=429, headers=patience, skip=asked - 1, times=None)
    began = time.monotonic()
    assert 0 == typed("down", "shpo").status
    assert time.monotonic() - began < 30


def test_down_of_all_says_whose(
    typed: Callable[..., Any], client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder may say so, and be anybody's."""
    assert client.droplets() == ()
    (tmp_path / "cloudship.toml").write_text('owner = "alice"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CLOUDSHIP_OWNER")
    assert "; ships of alice" in typed("down", "--all", "--yes").err


def test_nothing_is_there_where_the_local_cloud_was_never_started(
    typed: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`down` is success and names it, `list` is empty; one that was stopped is not called empty."""
    for name in ("DIGITALOCEAN_END_POINT", "DIGITALOCEAN_TOKEN"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("CLOUDSHIP_LOCAL_DIR", str(tmp_path / "local"))
    said = typed("down", "shop", "--cloud", "local")
    assert (0, True) == (said.status, "shop: nothing to take down (searched: local)" in said.err)
    listed = typed("list", "--cloud", "local")
    assert (0, True) == (listed.status, "no ships" in listed.err)
    assert 1 == typed("show", "shop", "--cloud", "local").status
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "account.sqlite").touch()
    assert "is stopped, and may hold ships: cloudship local start" in typed("list").err
    assert 2 == typed("list", "--cloud", "local").status


def test_a_value_that_never_came_is_not_taken_for_an_empty_one(
    typed: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a job whose secret is not led to the input."""
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    said = typed("env", "shop", "set", "TOKEN")
    assert (2, True, True) == (said.status, "TOKEN: the input ended before its value" in said.err, "TOKEN=" in said.err)
