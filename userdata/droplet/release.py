"""
A release: build aside, migrate, start beside, probe, switch, drain.

Until the switch nothing that visitors see has changed; the switch is one rename of one link. A release counts
only with its mark of completion, so a kill at any moment leaves the live one as it was.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, Iterator, Optional, Tuple

from droplet import bootstrap, command, djangoapp, environment, probe, process, requirements, static, unit
from droplet.app import STATIC, App, AppError, detect
from droplet.journal import Journal, StageError, as_text
from droplet.layout import ENVIRONMENT, USER, Config, Layout, replace_text
from droplet.settings import Settings, SettingsError, load

MARK = "complete.json"
KEPT = 5
RELEASE_LIMIT = 900.0  # seconds for the release command
BUILD_LIMIT = 1200.0  # seconds for the build command

Say = Callable[[str], None]


@dataclass(frozen=True)
class Release:
    """One release under way."""

    layout: Layout
    number: int
    commit: str
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


def run(config: Config, commit: str, note: Say = lambda line: None) -> int:
    """
    Release a commit, and give the release's number.

    Raises:
        StageError: it failed; the guilty lines are in it. The live release is what it was.
    """
    layout = config.layout
    with _alone(layout):
        number = max(layout.numbers(), default=0) + 1
        layout.release(number).mkdir()
        journal = Journal(layout.release(number) / "log.jsonl", as_text)
        try:
            _released(config, number, commit, journal)
        except (AppError, SettingsError) as error:
            lines = [*getattr(error, "candidates", ()), getattr(error, "next_step", "")]
            raise StageError(str(error), [line for line in lines if line]) from error
        except StageError as error:
            for line in error.lines:
                journal.tell("guilty", "output", line)
            journal.tell("release", "failed", str(error))
            raise
        finally:
            _forget_if_dead(layout, number)
        note(f"release {number} is live")
        return number


def _released(config: Config, number: int, commit: str, journal: Journal) -> None:
    layout = config.layout
    folder = layout.release(number)
    with journal.stage("receive", commit[:10]):
        receive(layout, number, commit)
    settings = load(folder / "tree", config.settings)
    app = detect(folder / "tree", settings)
    release = Release(layout, number, commit, settings, app, addresses())
    journal.tell("receive", "output", app.why)
    for warning in app.warnings:
        journal.tell("receive", "output", f"warning: {warning}")
    place = _dependencies(release, journal)
    started = process.Process((), str(release.root), process.base_environment(layout, number, app, place))
    if app.kind != STATIC:
        started = process.web(layout, number, app, place, _free_port())
        started.save(folder)
    env = process.whole_environment(folder, started)
    _build(release, env, journal)
    if settings.release:
        with journal.stage("release", settings.release) as say:
            _shell(settings.release, release, env, say, RELEASE_LIMIT, "the release command")
    if app.kind != STATIC:
        _start(release, started, journal)
    before = layout.live()
    with journal.stage("switch"):
        _finish(release)
        switch(layout, number)
        if bootstrap.use_site("static" if app.kind == STATIC else "app"):
            command.run(["systemctl", "reload-or-restart", "nginx"])
    _after(layout, before, journal)


def receive(layout: Layout, number: int, commit: str) -> None:
    """Lay out the commit's tree as the app's own, and take the app's values as they are now."""
    folder = layout.release(number)
    for name in ("tree", "run", "generated"):
        (folder / name).mkdir()
    archive = subprocess.Popen(
        ["git", "-C", str(layout.repository), "archive", "--format=tar", commit], stdout=subprocess.PIPE
    )
    unpacked = subprocess.run(["tar", "-x", "-C", str(folder / "tree")], stdin=archive.stdout, check=False)
    if archive.wait() != 0 or unpacked.returncode != 0:
        raise StageError(f"the commit {commit[:10]} cannot be unpacked")
    command.run(["chown", "-R", f"{USER}:{USER}", str(folder / "tree"), str(folder / "run")])
    secrets = ENVIRONMENT.read_text(encoding="utf-8") if ENVIRONMENT.exists() else "{}"
    replace_text(folder / process.SECRETS, secrets, 0o640)
    shutil.chown(str(folder / process.SECRETS), "root", USER)


def switch(layout: Layout, number: int) -> None:
    """Make a release the live one: one rename."""
    unfinished = layout.home / "current.part"
    if unfinished.is_symlink():
        unfinished.unlink()
    unfinished.symlink_to(layout.release(number))
    unfinished.replace(layout.current)


def completed(layout: Layout) -> Dict[int, dict]:
    """Read the marks of the releases that were completed."""
    found = {}
    for number in layout.numbers():
        mark = layout.release(number) / MARK
        if mark.exists():
            found[number] = json.loads(mark.read_text(encoding="utf-8"))
    return found


def addresses() -> Tuple[str, ...]:
    """Name every address and name under which this droplet is reached."""
    shown = command.output(["hostname", "-I"]).split()
    return (*(one for one in shown if ":" not in one), socket.gethostname(), "localhost", "127.0.0.1")


@contextmanager
def _alone(layout: Layout) -> Iterator[None]:
    """Let one release after the other; the kernel frees the lock of one that dies."""
    with (layout.home / "release.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _dependencies(release: Release, journal: Journal) -> Optional[Path]:
    if release.app.kind == STATIC:
        return None
    tree = release.folder / "tree"
    with journal.stage("dependencies", release.app.requirements.source) as say:
        place = environment.make(environment.Wanted.of(release.app), tree, release.layout, say)
        (release.folder / "environment").write_text(place.name, encoding="utf-8")
        if requirements.builds(tree) and release.app.requirements.mode != "project":
            site = release.folder / "site"
            site.mkdir()
            shutil.chown(str(site), USER, USER)
            environment.install_project(tree, site, place, release.layout, say)
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
        (release.folder / "public").symlink_to(release.root)
    else:
        static.publish(release.folder / "public", folders)


def link_shared(shared: Path, tree: Path, names: Tuple[str, ...]) -> None:
    """Put what survives releases in place of what the tree holds; its first content is what the tree brought."""
    for name in names:
        kept, here = shared / name, tree / name
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
    command.run(["chown", "-R", "-h", f"{USER}:{USER}", str(shared), str(tree)])


def _shell(line: str, release: Release, env: Dict[str, str], say: Say, limit: float, what: str) -> None:
    words = ["/bin/sh", "-c", line]
    command.run(words, say=say, cwd=release.root, env=env, user=USER, limit=limit, message=f"{what} `{line}` failed")


def _start(release: Release, started: process.Process, journal: Journal) -> None:
    with journal.stage("start", unit.name(release.number)):
        unit.start(release.number, started.port, release.folder)
    settings = release.settings
    try:
        with journal.stage("probe", f"GET {settings.health_path}") as say:
            got = probe.until_healthy(
                release.layout.socket(release.number),
                settings.health_path,
                release.hosts[0] if release.hosts else "localhost",
                status=settings.health_status,
                limit=settings.health_timeout,
                dead=lambda: unit.death(release.number),
            )
            say(f"it answers {got}")
    except StageError as error:
        time.sleep(0.05)  # the last words may still be on their way to the journal
        hint = " (nothing listens on its PORT)" if started.port and not _listens(started.port) else ""
        raise StageError(f"the app does not answer: {error}{hint}", unit.last_lines(release.number)) from error


def _finish(release: Release) -> None:
    told = {"commit": release.commit, "at": time.time(), "kind": release.app.kind, "why": release.app.why}
    replace_text(release.folder / MARK, json.dumps(told), 0o644)


def _after(layout: Layout, before: Optional[int], journal: Journal) -> None:
    """Let the old release finish what it began, stop it, and remove what nobody needs."""
    if before is not None:
        with journal.stage("drain", f"release {before}"):
            unit.drain(layout.socket(before))
            unit.stop(before)
    with journal.stage("clean"):
        live = layout.live()
        good = sorted(completed(layout))
        for number in layout.numbers():
            old = number in good[:-KEPT] or (number not in good and number < (live or 0) - KEPT)
            if old and number != live:
                shutil.rmtree(str(layout.release(number)), ignore_errors=True)
        marks = [layout.release(number) / "environment" for number in layout.numbers()]
        environment.clean(layout, [mark.read_text(encoding="utf-8") for mark in marks if mark.exists()])


def _forget_if_dead(layout: Layout, number: int) -> None:
    """Stop what a failed release started; its folder stays for a look."""
    if layout.live() != number:
        unit.stop(number)


def _listens(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as probing:
        probing.bind(("127.0.0.1", 0))
        return int(probing.getsockname()[1])


__all__ = ["Release", "addresses", "completed", "receive", "run", "switch"]
