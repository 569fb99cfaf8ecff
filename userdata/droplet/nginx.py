"""The site that nginx serves: chosen by a link, tested before it counts, never changed by a release of its own kind."""

from __future__ import annotations

import os
from pathlib import Path

from droplet import command
from droplet.journal import StageError
from droplet.layout import PROGRAM

_SITE = Path("/etc/nginx/sites-enabled/cloudship")
_DEFAULT_SITE = Path("/etc/nginx/sites-enabled/default")


def start() -> None:
    """Put our site in place of the default one, and start."""
    _DEFAULT_SITE.unlink() if _DEFAULT_SITE.exists() else None
    use_site("app")
    command.run(["systemctl", "start", "nginx"])


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
        command.run(["nginx", "-t", "-q"], message="nginx refuses its configuration")
    except StageError:
        _SITE.unlink()
        if before:
            _SITE.symlink_to(before)
        raise
    return True


def serve(kind: str) -> None:
    """Have nginx serve a kind of site."""
    if use_site(kind):
        command.run(["systemctl", "reload-or-restart", "nginx"])
