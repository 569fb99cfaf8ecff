"""One commit of a repository somewhere: fetched without its history, copied, and committed anew."""

from __future__ import annotations

import re

from cloudship import source as sending
from cloudship.errors import SourceError
from cloudship.git import process
from cloudship.git.objects import sent
from cloudship.git.repository import Repository
from cloudship.source import GitSource, SourceTree

_FETCHED = "refs/cloudship/source"
_HASH = re.compile(r"[0-9a-f]{4,64}")
_EVERYTHING = ("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")


def read(source: GitSource, repository: Repository, limit: float) -> SourceTree:
    """
    Fetch one commit, copy its files, and make a commit of ours that carries them and no history.

    Raises:
        SourceError: it cannot be fetched, is empty, too large, or holds what is never sent.
        WaitTimeout: the limit was reached.
    """
    repository.create(source.url, source.login)
    found = _fetch(source, repository, limit)
    origin, tree = repository.call("rev-parse", f"{found}^{{commit}}", f"{found}^{{tree}}").decode().split()
    return sent(
        tree,
        repository,
        origin=origin,
        description=f"{source.shown} at {origin[:7]}",
        shown=source.shown,
        instead=f"git clone --recurse-submodules {source.url}, then cloudship up with that folder",
    )


def _fetch(source: GitSource, repository: Repository, limit: float) -> str:
    """Fetch one commit alone where the server can, else everything; give the name that it has here."""
    wanted = source.ref or "HEAD"
    lines = _try_fetch(repository, limit, "--depth=1", refs=(f"+{wanted}:{_FETCHED}",))
    if not lines:
        return _FETCHED
    if _HASH.fullmatch(wanted) or _cannot_be_shallow(lines):
        whole = _EVERYTHING if source.ref else (f"+{wanted}:{_FETCHED}",)
        lines = _try_fetch(repository, limit, refs=whole) or lines
        for name in (f"refs/tags/{wanted}", f"refs/remotes/origin/{wanted}", wanted, _FETCHED):
            if _exists(name, repository):
                return name
    raise SourceError(
        f"{source.shown} cannot be fetched",
        evidence=lines[-4:],
        next_step=f"git ls-remote {source.url}",
    )


def _try_fetch(repository: Repository, limit: float, *options: str, refs: tuple[str, ...]) -> tuple[str, ...]:
    """Fetch; give what git complained of, nothing when it went well."""
    environ = process.inherited() | repository.login | {"GIT_ALLOW_PROTOCOL": ":".join(sorted(sending.SCHEMES))}
    words = repository.words("fetch", "--quiet", "--no-tags", *options, "origin", *refs)
    with process.started(words, environ=environ) as fetching:
        outcome = process.finish(fetching, name="the repository to be fetched", limit=limit)
    return () if outcome.status == 0 else outcome.lines or ("git fetch failed",)


def _cannot_be_shallow(lines: tuple[str, ...]) -> bool:
    """Read from git's words, which is all it gives, that a server knows only whole histories."""
    return any("shallow" in line for line in lines)


def _exists(name: str, repository: Repository) -> bool:
    words = repository.words("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    return process.call(words, environ=repository.environ).status == 0
