"""`deploy`: a source becomes the live release of a running ship; the release before stays live until it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloudship import about, durable, git, readiness, releasing, request
from cloudship.errors import CloudshipError, GitError, ReleaseFailed, WaitTimeout
from cloudship.events import Noted, Notify, Phase, nobody
from cloudship.models import PhaseTime, Secret
from cloudship.releasing import Place
from cloudship.request import Request
from cloudship.ssh import Shell
from cloudship.story import Story
from cloudship.waiting import REAL, Clock

_SEEN = 10.0  # seconds until a release that is live on the droplet must be seen from outside


@dataclass(frozen=True)
class Deployed:
    """What a deploy came to."""

    release: int
    description: str  # what was sent
    timeline: tuple[PhaseTime, ...]


def deploy(
    place: Place,
    source: str | Path,
    given: Mapping[str, Any],
    *,
    config_file: Path | None = None,
    by: str,
    notify: Notify = nobody,
    clock: Clock = REAL,
) -> Deployed:
    """
    Deploy a source to a running ship.

    Args:
        place: the ship.
        source: a folder or a git URL, each with an optional `@ref`.
        given: keys of the configuration; `env` among them wins over the values that the ship has.
        config_file: a configuration from outside the app.
        by: who deploys.
        notify: hears what happens.
        clock: the time.

    Raises:
        UsageError: nothing was sent.
        ReleaseFailed: the release before stays live, with its values.
        WaitTimeout: it went live on the droplet, yet does not answer from outside.
    """
    story = Story(notify, clock)
    with about.ship(place.name), about.phase(Phase.PLAN.value), durable.workspace() as workspace:
        with story.phase(Phase.PLAN) as outcome:
            asked = request.read(source, {**given, "name": place.name}, config_file, workspace)
            git.check_ssh()
            outcome.append(f"{asked.tree.description}: {asked.app.why}")
        for note in (*asked.notes, *asked.app.warnings):
            story.tell(Noted(text=note))
        with (
            about.phase(Phase.SSH.value),
            Shell.connect(place.address, files=place.files, limit=place.timeouts.ssh) as shell,
        ):
            closed = releasing.maintenance(shell)
            before = _told_values(shell, asked, given.get("env") or {}, story)
            with _put_back(shell, before, None):
                outside = releasing.store_settings(shell, asked.loaded.outside) if asked.loaded.outside else None
            with story.phase(Phase.RELEASE) as outcome, _put_back(shell, before, outside):
                number = _pushed(place, asked, shell, by, story)
                outcome.append(f"release {number}")
    with about.ship(place.name), story.phase(Phase.ANSWER) as outcome:
        outcome.append(_answered(place, number, story, clock, closed=closed))
    return Deployed(number, asked.tree.description, tuple(story.times))


def _pushed(place: Place, asked: Request, shell: Shell, by: str, story: Story) -> int:
    """Push; where git cannot say why the droplet does not take it, the droplet is asked."""
    try:
        return releasing.deploy(place, asked.tree, by=by, notify=story.tell)
    except GitError as error:
        if trouble := releasing.trouble(shell, place.name):
            error.message = f"{error.message}: {trouble}"
        raise


def _told_values(shell: Shell, asked: Request, explicit: Mapping[str, Any], story: Story) -> dict[str, Secret] | None:
    """
    Bring values that the ship lacks, and those said for this deploy; gives what it had, None when nothing changed.

    A value that the ship has stays: somebody may have set it there since the file was written.
    """
    wanted = asked.config.env
    if not wanted:
        return None
    has = releasing.environment(shell)
    merged = {**wanted, **has, **{name: wanted[name] for name in explicit}}
    for name in sorted(wanted):
        if merged[name] != wanted[name]:
            text = f"{name} differs from the configuration; the ship's value stays. To change it: "
            story.tell(Noted(text=f"{text}cloudship env {asked.name} set {name}=..."))
    if merged == has:
        return None
    releasing.store_environment(shell, merged)
    return has


@contextmanager
def _put_back(shell: Shell, values: Mapping[str, Secret] | None, settings: Mapping[str, Any] | None) -> Iterator[None]:
    """Put back what the droplet had when the release that was to have something else fails; None: it has it still."""
    try:
        yield
    except CloudshipError as error:
        if values is not None:
            _stored(error, "values", lambda: releasing.store_environment(shell, values))
        if settings is not None:
            _stored(error, "keys from outside", lambda: releasing.store_settings(shell, settings))
        raise


def _stored(error: CloudshipError, what: str, store: Callable[[], object]) -> None:
    try:
        store()
    except CloudshipError as second:
        error.evidence = (*error.evidence, f"the {what} that it was to have stay stored: {second}")


def _answered(place: Place, number: int, story: Story, clock: Clock, *, closed: bool) -> str:
    if closed:
        story.tell(Noted(text=f"maintenance is on: visitors see it until: cloudship maintenance {place.name} off"))
        return "maintenance is on, not looked at from outside"
    url, limits = f"http://{place.address}/", place.timeouts
    try:
        readiness.switched(
            url,
            number,
            timeouts=limits.model_copy(update={"answer": min(limits.answer, _SEEN)}),
            clock=clock,
            notify=story.tell,
        )
    except WaitTimeout as error:
        raise _went_back(place, number, error) or error from error
    return url


def _went_back(place: Place, number: int, error: WaitTimeout) -> ReleaseFailed | None:
    """
    Ask whether the release failed after it was live: the droplet then goes back by itself.

    Where it did not, the error is told how nginx is.
    """
    with Shell.connect(place.address, files=place.files, limit=place.timeouts.ssh) as shell:
        why = next((one.failure for one in releasing.releases(shell) if one.number == number), None)
        state = shell.run("systemctl is-active nginx", limit=place.timeouts.attempt).stdout.strip()
    if why is None:
        error.next_step = f"cloudship logs {place.name}; cloudship ssh {place.name} to look for yourself"
        if state != "active":
            error.evidence = (f"nginx, which leads visitors to it, is {state}",)
            error.next_step = f"cloudship run {place.name} --root -- systemctl restart nginx"
        return None
    return ReleaseFailed(f"The release failed: {why}", next_step=f"cloudship releases {place.name} {number}")
