"""What a deploy puts back on the droplet when its release fails."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cloudship import deploy, releasing
from cloudship.errors import ReleaseFailed, ShellUnreachable, Terminated
from cloudship.events import Event, Noted
from cloudship.models import Result, Secret, Timeouts
from cloudship.ssh import Shell


class Droplet:
    """A droplet's program, which remembers what was stored."""

    def __init__(self, *, speaks: bool = True) -> None:
        self.kept: dict[str, Any] = {"settings-set": {"build": "make"}, "env-set": {"A": "1"}}
        self._speaks = speaks

    def run(self, command: Sequence[str], *, stdin: bytes, limit: float) -> Result:
        """Store something, and say what was there."""
        del limit
        before, self.kept[command[1]] = self.kept[command[1]], json.loads(stdin)
        return Result(exit_status=0, stdout=json.dumps(before) if self._speaks else "", stderr="")


def test_a_failed_release_leaves_keys_and_values_as_they_were() -> None:
    """Else every later deploy without them, and every git push, would meet them again."""
    droplet = Droplet()
    shell = cast("Shell", droplet)
    before = releasing.store_settings(shell, {"build": "make assts"})
    releasing.store_environment(shell, {"A": Secret("2")})
    with pytest.raises(ReleaseFailed), deploy._put_back(shell, {"A": Secret("1")}, before):
        raise ReleaseFailed("The build failed")
    assert {"settings-set": {"build": "make"}, "env-set": {"A": "1"}} == droplet.kept


def test_keys_that_cannot_be_stored_leave_the_values_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    """The values were stored a moment before, for the same release."""
    kept = {"A": Secret("1")}
    config = SimpleNamespace(env={"A": Secret("2")})
    asked = SimpleNamespace(
        tree=SimpleNamespace(description=""),
        app=SimpleNamespace(why="", warnings=()),
        notes=(),
        loaded=SimpleNamespace(outside={"build": "make"}),
        config=config,
        name="web",
    )

    def refuse(*_: object) -> None:
        raise ShellUnreachable("The connection to 10.0.0.1 broke")

    monkeypatch.setattr(deploy.request, "read", lambda *_: asked)
    monkeypatch.setattr(deploy.Shell, "connect", lambda *_, **__: nullcontext(object()))
    monkeypatch.setattr(releasing, "maintenance", lambda _shell: False)
    monkeypatch.setattr(releasing, "environment", lambda _shell: dict(kept))
    monkeypatch.setattr(releasing, "store_environment", lambda _shell, values: kept.update(values))
    monkeypatch.setattr(releasing, "store_settings", refuse)
    place = cast("releasing.Place", SimpleNamespace(name="web", address="10.0.0.1", files=None, timeouts=Timeouts()))
    with pytest.raises(ShellUnreachable):
        deploy.deploy(place, ".", {"env": {"A": Secret("2")}}, by="me")
    assert {"A": Secret("1")} == kept


def test_a_release_that_goes_well_has_what_it_was_given() -> None:
    """Nothing is put back."""
    droplet = Droplet()
    shell = cast("Shell", droplet)
    with deploy._put_back(shell, None, releasing.store_settings(shell, {"build": "npm"})):
        pass
    assert {"build": "npm"} == droplet.kept["settings-set"]


def test_a_droplet_that_does_not_say_what_it_had_keeps_what_it_has() -> None:
    """It was launched by an earlier cloudship."""
    droplet = Droplet(speaks=False)
    shell = cast("Shell", droplet)
    assert releasing.store_settings(shell, {"build": "npm"}) is None
    with pytest.raises(ReleaseFailed), deploy._put_back(shell, None, None):
        raise ReleaseFailed("The build failed")
    assert {"build": "npm"} == droplet.kept["settings-set"]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, Terminated])
def test_an_interrupted_release_may_go_on_and_that_is_said(kind: type[BaseException]) -> None:
    """The droplet carries it out, whoever listens: where to look, and what takes it back."""
    heard: list[Event] = []
    with pytest.raises(kind), releasing._going_on("web", heard.append):
        raise kind
    (said,) = (event.text for event in heard if isinstance(event, Noted))
    assert "may finish this release by itself: cloudship releases web; cloudship rollback web" in said
