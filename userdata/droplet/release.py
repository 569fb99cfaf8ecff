"""
A release: build aside, migrate, start beside, probe, switch, drain.

Until the switch nothing that visitors see has changed; the switch is one rename of one link. A release counts
only with its mark of completion, so a kill at any moment leaves the live one as it was.
"""

from __future__ import annotations

import dataclasses
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Optional, Tuple

from droplet import (
    apt,
    builds,
    command,
    djangoapp,
    environment,
    formation,
    golive,
    lock,
    process,
    records,
    requirements,
    settling,
    static,
    unit,
)
from droplet.app import STATIC, App, AppError, detect
from droplet.journal import Journal, StageError, as_text
from droplet.layout import USER, Config, Layout
from droplet.records import Record, Request
from droplet.settings import Settings, SettingsError, load

RELEASE_LIMIT = 900.0  # seconds for the release command
BUILD_LIMIT = 1200.0  # seconds for the build command

Say = Callable[[str], None]


@dataclass(frozen=True)
class Release:
    """One release under way."""

    layout: Layout
    number: int
    settings: Settings
    app: App
    hosts: Tuple[str, ...]

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.layout.release(self.number)

    @property
    def root(self) -> Path:
        """Where its app runs."""
        return self.folder / "tree" / self.app.directory


def run(
    config: Config,
    request: Request,
    *,
    say: Say = lambda line: None,
    check: Callable[[], None] = lambda: None,
) -> int:
    """
    Release a commit, and give the release's number.

    Args:
        config: what the droplet was told.
        request: who asks for what.
        say: hears for whom we wait.
        check: called once nobody else releases any more; what it raises passes through.

    Raises:
        StageError: it failed; the guilty lines are in it. The live release is what it was.
    """
    with lock.alone(config.layout, say) as held:
        check()
        return attempt(
            config.layout, held, request, lambda number, journal: _released(config, number, request, journal)
        )


def attempt(
    layout: Layout,
    held: lock.Lock,
    request: Request,
    make: Callable[[int, Journal], None],
    *,
    base: Optional[int] = None,
) -> int:
    """
    Make one release, under the lock; whatever goes wrong is written down, and what it started is stopped.

    Raises:
        StageError: it failed.
    """
    formation.converge(layout)  # what a killed one left
    if settling.is_low(layout):
        settling.clean(layout)
    number = max(layout.numbers(), default=0) + 1
    layout.release(number).mkdir()
    held.tell(number, request.by)
    Record(request.shown or request.commit, request.by, request.action, time.time(), base=base).save(layout, number)
    journal = Journal(layout.release(number) / "log.jsonl", as_text)
    try:
        make(number, journal)
    except (AppError, SettingsError, OSError) as error:
        lines = [*getattr(error, "candidates", ()), getattr(error, "next_step", "")]
        failure = StageError(str(error), [line for line in lines if line])
        _failed(layout, number, failure, journal)
        raise failure from error
    except StageError as error:
        _failed(layout, number, error, journal)
        raise
    return number


def _failed(layout: Layout, number: int, error: StageError, journal: Journal) -> None:
    """Write down why, and stop what it started; its folder stays for a look, where the disk has room for it."""
    unit.stop_web([number])
    try:
        for line in error.lines:
            journal.tell("guilty", "output", line)
        journal.tell("release", "failed", str(error))
        records.fail(layout, number, str(error))
    except OSError:  # the disk is full: make room, then say why
        settling.strip(layout, number)
        records.fail(layout, number, str(error))
    if settling.is_low(layout):
        settling.strip(layout, number)


def _released(config: Config, number: int, request: Request, journal: Journal) -> None:
    layout = config.layout
    folder = layout.release(number)
    settling.demand_room(layout)
    with journal.stage("receive", (request.shown or request.commit)[:60]):
        receive(layout, number, request.commit)
    settings = load(folder / "tree", config.settings)
    app = detect(folder / "tree", settings)
    release = Release(layout, number, settings, app, addresses())
    _record(release).save(layout, number)
    journal.tell("receive", "output", app.why)
    for warning in app.warnings:
        journal.tell("receive", "output", f"warning: {warning}")
    lacking = apt.missing(settings.apt) if settings.apt else []
    if lacking:
        with journal.stage("packages", " ".join(lacking)) as say:
            apt.install(lacking, say)
    values = golive.values_of(layout, number)
    place = _dependencies(release, values, journal)
    started = process.plan(layout, number, app, place, golive.free_port(), _jobs(release))
    started.save(folder)
    env = process.whole_environment(folder, started)
    _build(release, env, journal)
    line = settings.release or app.processes.get("release")
    if line:
        with journal.stage("release", line) as say:
            _shell(line, release, env, say, RELEASE_LIMIT, "the release command")
    finish(layout, number, journal)


def finish(layout: Layout, number: int, journal: Journal) -> None:
    """Take a release that is built live."""
    record = Record.load(layout, number)
    with golive.synced(layout, number):
        golive.start(layout, number, record, journal)
    records.complete(layout, number)
    golive.make_live(layout, number, journal, action=record.action, by=record.by)


def _record(release: Release) -> Record:
    settings, app = release.settings, release.app
    return dataclasses.replace(
        Record.load(release.layout, release.number),
        kind=app.kind,
        why=app.why,
        health_path=settings.health_path,
        health_status=settings.health_status,
        health_timeout=settings.health_timeout,
        watch=settings.watch,
        drain=settings.drain,
    )


def _jobs(release: Release) -> Dict[str, Dict[str, Any]]:
    """
    Give the scheduled jobs, with calendars that systemd understands.

    Raises:
        StageError: it does not understand one, or a job has a process's name.
    """
    for job in release.settings.schedule:
        if job.name in release.app.processes:
            raise StageError(f"schedule: {job.name!r} is also a line of the Procfile; give the job another name")
        for one in job.when:
            message = f"schedule: {job.name} is to run at {one!r}, which systemd does not understand"
            command.run(["systemd-analyze", "calendar", one], message=message)
    return {job.name: {"run": job.run, "when": job.when} for job in release.settings.schedule}


def receive(layout: Layout, number: int, commit: str) -> None:
    """Lay out the commit's tree as the app's own, and take the app's values as they are now."""
    folder = layout.release(number)
    for name in ("tree", "run", "generated"):
        (folder / name).mkdir()
    words = ["git", "-C", str(layout.repository), "archive", "--format=tar", commit]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as archive:
        unpacked = subprocess.run(["tar", "-x", "-C", str(folder / "tree")], stdin=archive.stdout, check=False)
    if archive.returncode != 0 or unpacked.returncode != 0:
        raise StageError(f"the commit {commit[:10]} cannot be unpacked")
    own(folder / "tree", folder / "run")
    golive.give_values(layout, number, golive.values_text())


def own(*places: Path) -> None:
    """Give folders and all in them to the app's user."""
    command.run(["chown", "-R", "-h", f"{USER}:{USER}", *(str(place) for place in places)])


def addresses() -> Tuple[str, ...]:
    """Name every address and name under which this droplet is reached."""
    shown = command.output(["hostname", "-I"]).split()
    return (*(one for one in shown if ":" not in one), socket.gethostname(), "localhost", "127.0.0.1")


def _dependencies(release: Release, values: Dict[str, str], journal: Journal) -> Optional[Path]:
    if release.app.kind == STATIC:
        return None
    tree = release.folder / "tree"
    with journal.stage("dependencies", release.app.requirements.source) as say:
        place = environment.make(environment.Wanted.of(release.app), tree, release.layout, values, say)
        (release.folder / "environment").write_text(place.name, encoding="utf-8")
        if requirements.builds(tree) and release.app.requirements.mode != "project":
            site = release.folder / "site"
            site.mkdir()
            shutil.chown(str(site), USER, USER)
            environment.install_project(tree, site, place, release.layout, values, say)
        return place


def _build(release: Release, env: Dict[str, str], journal: Journal) -> None:
    folders = {prefix: release.folder / "tree" / where for prefix, where in release.app.static.items()}
    with journal.stage("build", release.settings.build or "") as say:
        link_shared(release.layout.shared, release.folder / "tree", release.settings.shared)
        if release.app.django_settings:
            djangoapp.write_settings(release.folder / "generated", release.hosts)
        if release.settings.build:
            _shell(release.settings.build, release, env, say, BUILD_LIMIT, "the build command")
        if release.app.kind == "django":
            collected = djangoapp.collect(release.root, env, say)
            folders.update([collected] if collected else [])
    if release.app.kind == STATIC:
        static.link(release.folder / "public", release.root)
    else:
        static.publish(release.folder / "public", folders)


def link_shared(shared: Path, tree: Path, names: Tuple[str, ...]) -> None:
    """
    Put what survives releases in place of what the tree holds; its first content is what the tree brought.

    Raises:
        StageError: a link on the way leads elsewhere: the app's user makes both, and it is root that would follow.
    """
    for name in names:
        kept, here = shared / name, tree / name
        for root, place in ((shared, kept), (tree, here)):
            if place.parent.resolve() != root.resolve() / Path(name).parent:
                raise StageError(f"shared: the way to {name} is a link")
        kept.parent.mkdir(parents=True, exist_ok=True)
        here.parent.mkdir(parents=True, exist_ok=True)
        if here.exists() and not kept.exists():
            shutil.move(str(here), str(kept))
        elif here.is_dir() and not here.is_symlink():
            shutil.rmtree(str(here))
        elif here.exists() or here.is_symlink():
            here.unlink()
        if not kept.exists() and "." not in Path(name).name:
            kept.mkdir()
        here.symlink_to(kept)
    if names:
        own(shared, tree)


def _shell(line: str, release: Release, env: Dict[str, str], say: Say, limit: float, what: str) -> None:
    words = ["/bin/sh", "-c", line]
    message, limits = f"{what} `{line}` failed", builds.limits(behind=release.layout.live() is not None)
    command.run(words, say=say, cwd=release.root, env=env, user=USER, limit=limit, message=message, limits=limits)


__all__ = ["Release", "addresses", "attempt", "finish", "own", "receive", "run"]
