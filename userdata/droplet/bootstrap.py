"""
The first boot: packages, uv, user, repository, nginx; what can be done at once is done at once.

The result is a line of its own at the end of the journal; cloud-init's exit status is second evidence only.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Callable, List

from droplet import apt, command, expiry, hardware, hook, nginx, swap, uv
from droplet.firstboot import JOURNAL, LAST
from droplet.journal import DONE, FAILED, Journal, StageError, as_json
from droplet.layout import PROGRAM, USER, Config, Layout

# Every file as it was pushed, with every byte: no attribute of the app's own leaves one out or rewrites it.
_AS_PUSHED = "* -export-ignore -export-subst -text -eol -ident -filter -working-tree-encoding\n"
_SAY_WHERE = """#!/bin/sh
cat >/dev/null
echo "cloudship: http://$(hostname -I | cut -d' ' -f1)/ is where visitors see it"
"""


def run(config: Config) -> int:
    """Bring the droplet to where a release can be pushed, and give the exit status."""
    journal = Journal(JOURNAL, as_json)
    try:
        with ThreadPoolExecutor(2) as threads:
            laid_out = threading.Event()
            fetched = threads.submit(_stage, journal, "uv", lambda say: _install_uv(config, say))

            def git_works() -> bool:
                ready = fetched.done() and not fetched.exception() and laid_out.is_set()
                if ready:
                    journal.tell("git", DONE)
                return ready

            packages = threads.submit(_stage, journal, "apt", lambda say: apt.install(config.apt, say, git_works))
            _stage(journal, "user", lambda say: make_user(config.layout))
            _stage(journal, "repo", lambda say: make_repository(config.layout))
            _stage(journal, "swap", lambda say: swap.add(hardware.memory_mib(), say))
            _stage(journal, "expiry", lambda say: expiry.arm(config.expires))
            laid_out.set()
            _ended([packages, fetched])
        journal.tell("git", DONE)
        _stage(journal, "nginx", lambda say: nginx.start())
        if config.git_url:
            _stage(journal, "clone", lambda say: _cloned(config, say))
    except (StageError, OSError) as error:  # the second: the disk is full, or cannot be written to
        lines = getattr(error, "lines", ())
        for line in lines:
            journal.tell(LAST, "output", line)
        journal.tell(LAST, FAILED, str(error))
        return 1
    journal.tell(LAST, DONE)
    return 0


def _stage(journal: Journal, name: str, work: Callable[[Callable[[str], None]], object]) -> None:
    with journal.stage(name) as say:
        work(say)


def _ended(futures: List[Future]) -> None:
    """Wait for all, then raise the first error: a failed download must not hide what apt said."""
    errors = [future.exception() for future in futures]
    for error in errors:
        if error is not None:
            raise error


def _install_uv(config: Config, say: Callable[[str], None]) -> None:
    uv.install(config, say)
    if sys.version_info < (3, 11):  # no tomllib: the app's configuration could not be read
        words = ["pip", "install", "-q", "--target", str(PROGRAM), "--python", sys.executable, "tomli>=2,<3"]
        command.run([str(uv.BINARY), *words], say=say)


def make_user(layout: Layout) -> None:
    """Make the app's user and folders; only the folders that the app writes to are its own."""
    if not command.output(["getent", "passwd", USER]):
        home = str(layout.home / "home")
        command.run(
            [
                "useradd",
                "--system",
                "--user-group",
                "--no-create-home",
                "--home-dir",
                home,
                "--shell",
                "/usr/sbin/nologin",
                USER,
            ]
        )
    for place in (layout.home, layout.releases):
        place.mkdir(parents=True, exist_ok=True)
    for place in (
        layout.shared,
        layout.environments,
        layout.home / "home",
        layout.home / "cache",
        layout.home / "python",
    ):
        place.mkdir(exist_ok=True)
        shutil.chown(str(place), USER, USER)


def make_repository(layout: Layout) -> None:
    """Lay out an empty bare repository with its hook, before git itself is installed."""
    for folder in ("objects/info", "objects/pack", "refs/heads", "refs/tags", "hooks", "info"):
        (layout.repository / folder).mkdir(parents=True, exist_ok=True)
    (layout.repository / "HEAD").write_text(f"ref: {hook.HEAD}\n", encoding="utf-8")
    core = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n"
    settings = f"{core}[receive]\n\tshallowUpdate = true\n\tadvertisePushOptions = true\n"
    (layout.repository / "config").write_text(settings, encoding="utf-8")
    (layout.repository / "info" / "attributes").write_text(_AS_PUSHED, encoding="utf-8")
    script = layout.repository / "hooks" / "pre-receive"
    script.write_text("#!/bin/sh\nexec /usr/local/sbin/cloudship-droplet hook\n", encoding="utf-8")
    script.chmod(0o755)
    done = layout.repository / "hooks" / "post-receive"
    done.write_text(_SAY_WHERE, encoding="utf-8")
    done.chmod(0o755)


def _cloned(config: Config, say: Callable[[str], None]) -> None:
    """Fetch the app from its git URL and release it: the document that needs no client."""
    from droplet import release
    from droplet.records import Request

    git = ["git", "-c", "core.hooksPath=/dev/null", "-C", str(config.layout.repository)]
    allowed = {
        **os.environ,
        "GIT_ALLOW_PROTOCOL": "https:http:ssh:git",
        "GIT_TERMINAL_PROMPT": "0",
        "HOME": "/root",
    }
    ref = config.git_ref or "HEAD"
    fetch = [*git, "fetch", "-q"]
    wanted = ["--", str(config.git_url), ref]
    try:
        command.run([*fetch, "--depth", "1", *wanted], say=say, env=allowed, limit=600)
    except StageError:  # a plain web server knows whole histories only
        command.run([*fetch, *wanted], say=say, env=allowed, limit=600)
    commit = command.output([*git, "rev-parse", "FETCH_HEAD^{commit}"]).strip()
    release.run(config, Request(commit, by="the first boot", action="boot"), say=say)
    command.run([*git, "update-ref", hook.HEAD, commit])
