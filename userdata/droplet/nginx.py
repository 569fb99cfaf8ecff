"""The site that nginx serves: chosen by a link, tested before it counts, never changed by a release of its own kind."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Optional

from droplet import command
from droplet.journal import StageError
from droplet.layout import PROGRAM

_SITE = Path("/etc/nginx/sites-enabled/cloudship")
_REFUSED = "nginx refuses its configuration"
_DEFAULT_SITE = Path("/etc/nginx/sites-enabled/default")


def start() -> None:
    """Put our site in place of the default one, and start."""
    _DEFAULT_SITE.unlink() if _DEFAULT_SITE.exists() else None
    use_site("app")
    _have("start")


def use_site(kind: str) -> bool:
    """Choose the site for apps or for static folders; True when it changed."""
    target = PROGRAM / "nginx" / f"{kind}.conf"
    if _SITE.is_symlink() and os.readlink(str(_SITE)) == str(target):
        return False
    unfinished = _SITE.with_name("cloudship.part")
    if unfinished.is_symlink():
        unfinished.unlink()
    unfinished.symlink_to(target)
    before = os.readlink(str(_SITE)) if _SITE.is_symlink() else None
    unfinished.replace(_SITE)
    try:
        command.run(["nginx", "-t", "-q"], message=_REFUSED)
    except StageError:
        _SITE.unlink()
        if before:
            _SITE.symlink_to(before)
        raise
    return True


def check(kind: str) -> None:
    """
    Look whether nginx would take another site, before anything leads there: somebody may have spoilt what is beside it.

    Raises:
        StageError: it refuses the configuration that it has.
    """
    if kind != _served():
        command.run(["nginx", "-t", "-q"], message=_REFUSED)


def serve(kind: str) -> None:
    """Have nginx serve a kind of site."""
    before = _served()
    if not use_site(kind):
        return
    try:
        _have("reload-or-restart")
    except StageError:
        if before is not None:
            use_site(before)
        raise


def _served() -> Optional[str]:
    """Say which kind of site is chosen."""
    return Path(os.readlink(str(_SITE))).stem if _SITE.is_symlink() else None


def _have(verb: str) -> None:
    try:
        command.run(["systemctl", verb, "nginx"], message=f"nginx does not {verb}")
    except StageError as error:
        said = command.output(["journalctl", "-q", "-o", "cat", "-b", "-n", "40", "-u", "nginx"]).splitlines()
        guilty = [line for line in said if "[emerg]" in line or "[alert]" in line]
        raise StageError(str(error), list(dict.fromkeys(guilty))[-4:] or error.lines) from error
