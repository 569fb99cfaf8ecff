"""
T14: secrets of every kind at once, in commands that go well and in those that fail, told with -v and --debug.

The oracle looks for them after every case of every campaign. Here there are more of them, and more that could show
them: a password in the URL of the source, values in a file, in flags and in the environment, an index's and a mirror's
password; all attempts and tracebacks are told; git writes down every word of what it starts itself; and the hand slips,
so that a secret stands where a name, a path or a verb should.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from gitserver import GitServer, publish

from campaign import case, machine, oracle
from campaign.case import Ended
from campaign.conftest import SOAK, Field, record, told
from campaign.points import kill_at
from cloudship import deploy, git, launch, readiness
from cloudship.errors import GitError, ReleaseFailed, ShellRefused
from cloudship.keys import mint
from cloudship.models import Result

SHARDS = 2
LOGIN = f"me:{oracle.REPOSITORY_PASSWORD}"
TELLING = (("-v",), ("--debug",), ("-v", "--debug"), ("-v", "--debug", "--json"))
_UP = ("up", "{url}", "--name", "web", "--env", "SECRET={value}", "--env-file", "{values}")
_HERE = ("up", "{app}", *_UP[2:])  # what nobody has to fetch
_DEPLOY = ("deploy", "web", "{url}", "--env", "MORE={value}")
_NO_JSON = ("render", "run")
_GIT = """#!/bin/sh
GIT_TRACE="$HOME/trace" exec {real} "$@"
"""


def _nothing() -> None:
    """Break nothing."""


def _push_breaks_off() -> None:
    def push(_tree: object, *, url: str, **_more: object) -> None:
        raise GitError("The push broke off", evidence=[url])

    git.push = push  # type: ignore[assignment]


def _release_fails() -> None:
    def push(_tree: object, **more: object) -> None:
        raise ReleaseFailed("The release was refused", evidence=[str(more.get("options"))])

    git.push = push  # type: ignore[assignment]


def _not_let_in() -> None:
    def connect(*_words: object, files: object, **_more: object) -> None:
        raise ShellRefused(f"it does not let us in: {files}")

    machine.FakeShell.connect = connect  # type: ignore[assignment,method-assign]


def _values_are_refused() -> None:
    plain = machine.FakeShell.run

    def run(self: machine.FakeShell, command: Any, *, stdin: bytes | None = None, limit: float | None = None) -> Result:
        if "env-set" in command:
            return Result(exit_status=1, stdout="", stderr=(stdin or b"").decode())
        return plain(self, command, stdin=stdin, limit=limit)

    machine.FakeShell.run = run  # type: ignore[method-assign]


def _stumble() -> None:
    """Let something go wrong that nobody foresaw, while the values are at hand."""

    def stumbling(drawn: Any, *_rest: object) -> None:
        raise LookupError(f"{drawn.env} {drawn.request.source}")

    launch._tell_environment = stumbling  # type: ignore[assignment]
    deploy._told_values = lambda *_rest: {}["nothing"]  # type: ignore[assignment]


def _no_answer() -> None:
    readiness.look = lambda url, *, limit: 1 / 0  # type: ignore[attr-defined,assignment]


@dataclass(frozen=True)
class Row:
    """A command, and what goes wrong with it."""

    words: tuple[str, ...]
    status: int
    says: str = ""  # stands in what it says: it came as far as it was meant to
    mutate: Callable[[], None] = _nothing
    fault: Mapping[str, Any] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)
    cloud: str = "local"  # empty: it is not named


def _refused(operation: str, status: int, **more: Any) -> dict[str, Any]:
    return {"kind": "status", "operation": operation, "status": status, "message": "no, {token}", **more}


def _proxy(port: str) -> dict[str, str]:
    return {"https_proxy": f"http://{{login}}@127.0.0.1:{port}", "DIGITALOCEAN_ACCESS_TOKEN": oracle.CANARY}


ROWS = {
    "a launch": Row(_UP, 0, "web is up"),
    "a launch at a branch": Row((_UP[0], "{url}@main", *_UP[2:]), 0, "web is up"),
    "a deploy": Row(_DEPLOY, 0, "release"),
    "a list": Row(("list",), 0, "web"),
    "a plan": Row(("plan", *_UP[1:2]), 0, "app.git"),
    "a document for the panel": Row(("render", "{url}"), 2, "can be read by everything", cloud=""),
    "a wrong password": Row(("up", "{wrong}", *_UP[2:]), 2, "cannot be fetched"),
    "no such branch": Row(("up", "{url}@nowhere", *_UP[2:]), 2, "cannot be fetched"),
    "no such repository": Row(("up", "{url}.not", *_UP[2:]), 2, "cannot be fetched"),
    "a kind of URL that has no password": Row(("up", "ssh://{login}@example.org/a", *_UP[2:]), 2, "no URL"),
    "a proxy that is not there": Row(_UP, 2, "cannot be fetched", environ={"http_proxy": "http://{login}@127.0.0.1:9"}),
    "a proxy that is none": Row(_UP, 1, "proxy", environ=_proxy("99999"), cloud="digitalocean"),
    "a proxy that refuses": Row(_UP, 1, "proxy", environ=_proxy("9"), cloud="digitalocean"),
    "a create that is refused": Row(_UP, 1, "no, ***", fault=_refused("droplets_create", 422)),
    "a create whose answer is lost": Row(_UP, 0, "web is up", fault=_refused("droplets_create", 500, effect="after")),
    "a key that is refused": Row(_UP, 1, "no, ***", fault=_refused("sshKeys_create", 422)),
    "a cloud that breaks down": Row(_UP, 1, "no, ***", fault=_refused("droplets_get", 503, times=None)),
    "a token that is revoked": Row(_UP, 2, "refuses the token", fault={"kind": "token", "state": "revoked"}),
    "a droplet that lets nobody in": Row(_UP, 1, "let us in", _not_let_in),
    "values that are not taken": Row(_UP, 1, "could not be written", _values_are_refused),
    "a push that breaks off": Row(_UP, 1, "broke off", _push_breaks_off),
    "a release that is refused": Row(_UP, 1, "was refused", _release_fails),
    "a deploy that is refused": Row(_DEPLOY, 1, "was refused", _release_fails),
    "an app that is not asked": Row(_UP, 1, "did not foresee", _no_answer),
    "what nobody foresaw in a launch": Row(_UP, 1, "did not foresee", _stumble),
    "what nobody foresaw in a deploy": Row(_DEPLOY, 1, "did not foresee", _stumble),
}
SLIPS = {
    "a value behind the source": Row((*_HERE, "MORE={value}"), 2, "MORE"),
    "a value in place of a verb": Row(("env", "web", "SECRET={value}"), 2, "SECRET"),
    "a value in place of a file": Row((*_HERE[:-1], "SECRET={value}"), 2, "env file"),
    "a value in place of a configuration": Row((*_HERE, "--config", "SECRET={value}"), 2, "configuration file"),
    "a value without a name": Row((*_HERE, "--env", "{value}"), 2, "NAME=value"),
    "a value with a strange name": Row((*_HERE, "--env", "a b={value}"), 2, "NAME=value"),
    "a file of values that is none": Row((*_HERE[:-1], "{broken}"), 2, "NAME=value"),
    "a file of values with a zero byte": Row((*_HERE[:-1], "{zero}"), 2, "zero byte"),
    "a configuration that is none": Row((*_HERE, "--config", "{toml}"), 2, "cannot be read"),
    "a source for a name": Row(("deploy", "{url}"), 2, "name"),
    "a source to take down": Row(("down", "{url}"), 2, "name"),
    "a source to show": Row(("show", "{url}"), 2, "name"),
    "a source to log in to": Row(("run", "{url}", "--", "true"), 255, "name"),
    "a source for --name": Row(("up", "{app}", "--name", "{url}"), 2, "name"),
    "a source for --size": Row((*_HERE, "--size", "{url}"), 2, "size"),
    "a source for --ttl": Row((*_HERE, "--ttl", "{url}"), 2, "ttl"),
    "a source for --app": Row((*_HERE, "--app", "{url}"), 2, "app"),
    "a source for --image": Row((*_HERE, "--image", "{url}"), 2, "image"),
    "a key in place of its file": Row(_HERE, 2, "ssh_keys", environ={"CLOUDSHIP_SSH_KEYS": "{key}"}),
    "a token in place of an endpoint": Row(
        _HERE, 2, "no address", environ={"DIGITALOCEAN_API_URL": "{token}"}, cloud=""
    ),
    "a password in an endpoint": Row(
        _UP, 2, "no address", environ={"DIGITALOCEAN_API_URL": "http://{login}@127.0.0.1"}, cloud=""
    ),
}


class Vault:
    """Where cases take place, and what stands for the words in them."""

    def __init__(self, ground: Field, server: GitServer) -> None:
        self.ground, self.box = ground, ground.box
        self.folder = ground.folder / "vault"
        self.key = mint("user").private.reveal()
        self.said = {
            "url": f"http://{LOGIN}@{server.host}/app.git",
            "wrong": f"http://{LOGIN}-{oracle.CANARY}@{server.host}/app.git",
            "login": LOGIN,
            "app": str(ground.app),
            "value": oracle.CANARY,
            "values": str(ground.values),
            "token": self.box.knobs.token,
            "key": self.key,
            **{name: str(self.folder / name) for name in ("broken", "zero", "toml")},
        }

    def run(self, row: Row, place: Path, *telling: str, act: Any = lambda _point: None) -> Ended:
        """Run a command in a fork."""
        if row.fault:
            self.box.knobs.fault(**{name: self._filled(value) for name, value in row.fault.items()})
        environ = self.ground.environment(place) | {
            "PATH": str(self.folder / "programs"),
            "CLOUDSHIP_ENV_FROM_THE_ENVIRONMENT": oracle.CANARY,
            "UV_PYTHON_INSTALL_MIRROR": f"https://{LOGIN}@mirror.invalid/",
            **{name: self._filled(value) for name, value in row.environ.items()},
        }
        verb, *words = (self._filled(word) for word in row.words)
        flags = [flag for flag in telling if flag != "--json" or verb not in _NO_JSON]
        where = ["--cloud", row.cloud] if row.cloud else []
        return case.run([verb, *flags, *where, *words], self.box.knobs, environ, act, row.mutate)

    def judge(self, row: Row, *telling: str) -> list[str]:
        """Run a command, and say what is wrong."""
        place = self.ground.place()
        if row.words in (_DEPLOY, ("list",)):
            self.ground.prepare("deploy", place)
        ended = self.run(row, place, *telling)
        found = [] if ended.status == row.status else [f"it ended with {ended.status}: {ended.output[-900:]}"]
        found += [] if row.says in ended.output else [f"it does not say {row.says!r}: {ended.output[-900:]}"]
        found += self._shown(place, ended)
        if "--debug" in telling:  # where a traceback is what was asked for
            ended = Ended(ended.status, ended.output.replace("Traceback (most", ""), 0.0, ended.words, ended.left)
        return found + oracle.judge(self.box, place, ended)

    def _shown(self, place: Path, ended: Ended) -> list[str]:
        """Look where the oracle does not: in the words of what git itself starts, and for the user's own key."""
        trace = place / "trace"
        texts = {"the words of git's programs": trace.read_text() if trace.exists() else "", "the output": ended.output}
        secrets = (oracle.REPOSITORY_PASSWORD, oracle.CANARY, *self.key.splitlines()[1:-1])
        return [f"a secret is in {where}" for where, text in texts.items() if any(one in text for one in secrets)]

    def _filled(self, value: Any) -> Any:
        return value.format(**self.said) if isinstance(value, str) else value


@pytest.fixture
def vault(ground: Field) -> Iterator[Vault]:
    """Serve a repository behind a password; git writes down what it starts."""
    folder = ground.folder / "vault"
    if not folder.exists():
        (folder / "programs").mkdir(parents=True)
        shutil.copytree(ground.app, folder / "source")
        publish(folder / "source", folder)
        (folder / "programs" / "git").write_text(_GIT.format(real=shutil.which("git")))
        (folder / "programs" / "git").chmod(0o755)
        (folder / "programs" / "ssh").symlink_to(str(shutil.which("ssh")))
        (folder / "broken").write_text(f"FINE=1\n{oracle.CANARY}\n")
        (folder / "zero").write_text(f"FINE={oracle.CANARY}\0\n")
        (folder / "toml").write_text(f"[env]\nSECRET = {oracle.CANARY}\n")
    with GitServer(folder, LOGIN).serving() as server:
        yield Vault(ground, server)


def _turned(at: int) -> list[tuple[str, ...]]:
    """Give one way of telling, another one each time."""
    return [TELLING[at % len(TELLING)]]


def _judged(vault: Vault, rows: Mapping[str, Row], shard: int) -> None:
    wrong, share = {}, [*rows.items()][shard::SHARDS]
    cases = [(*one, telling) for at, one in enumerate(share) for telling in (TELLING if SOAK else _turned(at))]
    for name, row, telling in cases:
        if found := vault.judge(row, *telling):
            wrong[f"{name} {telling}"] = found
    record("T14 secret canaries", cases=len(cases), points=len(share))
    assert not wrong, told(wrong)


@pytest.mark.parametrize("shard", range(SHARDS))
def test_nothing_tells_a_secret(vault: Vault, shard: int) -> None:
    """Commands end as they should, and what they were given stands in nothing that they say, write or start."""
    _judged(vault, ROWS, shard)


@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_slip_of_the_hand_is_not_told_to_everybody(vault: Vault, shard: int) -> None:
    """A secret where a name, a path or a verb should be is refused, and not shown in the refusal."""
    _judged(vault, SLIPS, shard)


def test_what_a_kill_leaves_tells_none(vault: Vault) -> None:
    """With the source fetched and the values read: what lies on the disk then holds none of them."""
    points = vault.ground.trace("up")[:: 30 if SOAK else 100]
    wrong = {}
    for point in points:
        place = vault.ground.place()
        ended = vault.run(ROWS["a launch"], place, act=kill_at(point, signal.SIGKILL))
        found = [] if ended.status == -signal.SIGKILL else [f"it was not killed: {ended.output[-300:]}"]
        found += [] if [*case.temporary(place).iterdir()] else ["nothing was left to look at"]
        if found := found + oracle.judge(vault.box, place, ended):
            wrong[str(point)] = found
    record("T14 secret canaries", cases=len(points), points=len(points))
    assert not wrong, told(wrong)


def _in_words() -> None:
    subprocess.run(["true", oracle.FILE_CANARY], check=True)


def _in_a_file() -> None:
    tempfile.mkstemp()


def _after_a_kill() -> None:
    with tempfile.NamedTemporaryFile("w", delete=False) as file:
        file.write(oracle.REPOSITORY_PASSWORD)
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    ("leak", "noticed"),
    [
        (_in_words, "the value in a file is in the words of a program"),
        (_in_a_file, "is left in TMPDIR"),
        (_after_a_kill, "the repository's password is in tmp"),
    ],
)
def test_a_leak_would_be_noticed(vault: Vault, leak: Callable[[], None], noticed: str) -> None:
    """In the words of a program, in a file that stays, and in one that a kill leaves."""
    place = vault.ground.place()
    ended = vault.run(replace(ROWS["a list"], mutate=leak), place)
    assert any(noticed in one for one in oracle.judge(vault.box, place, ended))
