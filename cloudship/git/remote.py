"""One commit of a repository somewhere: fetched without its history, copied, and committed anew."""

from __future__ import annotations

import os
import re

from cloudship import source as sending
from cloudship.errors import SourceError
from cloudship.git import process
from cloudship.git.repository import Copy, Repository
from cloudship.source import Entry, GitSource, SourceTree

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
    repository.create(source.url)
    found = _fetch(source, repository, limit)
    origin, tree = repository.call("rev-parse", f"{found}^{{commit}}", f"{found}^{{tree}}").decode().split()
    entries, hashes = _entries(tree, source, repository)
    sending.check_sizes(entries)
    _copy(entries, hashes, repository)
    description = f"{source.shown} at {origin[:7]}"
    return SourceTree(
        root=repository.root,
        git_dir=repository.git_dir,
        commit=repository.commit_tree(tree, subject=description),
        tree=tree,
        files=len(entries),
        size=sum(entry.size for entry in entries),
        description=description,
        origin=origin,
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
    secret = sending.secret_of(source.url)
    told = [line.replace(secret, "***") if secret else line for line in lines]
    raise SourceError(
        f"{source.shown} cannot be fetched",
        evidence=told[-4:],
        next_step=f"git ls-remote {sending.public_url(source.url)}",
    )


def _try_fetch(repository: Repository, limit: float, *options: str, refs: tuple[str, ...]) -> tuple[str, ...]:
    """Fetch; give what git complained of, nothing when it went well."""
    environ = process.inherited() | {"GIT_ALLOW_PROTOCOL": ":".join(sorted(sending.SCHEMES))}
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


def _entries(tree: str, source: GitSource, repository: Repository) -> tuple[list[Entry], list[str]]:
    entries, hashes, submodules = [], [], []
    for item in repository.call("ls-tree", "-r", "-z", "-l", "--full-tree", tree).split(b"\0")[:-1]:
        facts, _, raw = item.partition(b"\t")
        mode, kind, name, size = facts.decode().split()
        path = os.fsdecode(raw)
        if kind == "commit":
            submodules.append(sending.printable(path))
        else:
            entries.append(Entry(path, mode, int(size)))
            hashes.append(name)
    if submodules:
        raise SourceError(
            f"{source.shown} has submodules, which are not fetched:",
            evidence=submodules[: sending.SHOWN],
            next_step=f"git clone --recurse-submodules {sending.public_url(source.url)}, then "
            "cloudship up with that folder",
        )
    return entries, hashes


def _copy(entries: list[Entry], hashes: list[str], repository: Repository) -> None:
    contents = repository.call("cat-file", "--batch", stdin="".join(f"{name}\n" for name in hashes).encode())
    copy = Copy(repository.root)
    at = 0
    for entry in entries:
        start = contents.index(b"\n", at) + 1
        at = start + entry.size + 1
        copy.add(entry, contents[start : at - 1])
    copy.finish()
