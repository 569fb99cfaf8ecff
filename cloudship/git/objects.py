"""A tree that git holds: its files copied out of the objects, and committed anew."""

from __future__ import annotations

import os

from cloudship import source as sending
from cloudship.errors import SourceError
from cloudship.git.repository import Copy, Repository
from cloudship.source import Entry, SourceTree


def sent(tree: str, repository: Repository, *, origin: str, description: str, shown: str, instead: str) -> SourceTree:
    """
    Copy a tree that the repository holds, and make the commit that carries it and no history.

    Args:
        tree: its hash.
        repository: holds the objects.
        origin: the commit that it is of.
        description: of what is sent, for people.
        shown: how the source is shown.
        instead: what to do where it has submodules, which are not in the tree.

    Raises:
        SourceError: it is empty, too large, has submodules, or holds what is never sent.
    """
    entries = _copied(tree, repository, shown, instead)
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


def _copied(tree: str, repository: Repository, shown: str, instead: str) -> list[Entry]:
    entries, hashes, submodules = _entries(tree, repository, shown)
    if submodules:
        raise SourceError(
            f"{shown} has submodules, which are not fetched:",
            evidence=submodules[: sending.SHOWN],
            next_step=instead,
        )
    sending.check_sizes(entries)
    contents = repository.call("cat-file", "--batch", stdin="".join(f"{name}\n" for name in hashes).encode())
    copy = Copy(repository.root)
    at = 0
    for entry in entries:
        start = contents.index(b"\n", at) + 1
        at = start + entry.size + 1
        copy.add(entry, contents[start : at - 1])
    copy.finish()
    return entries


def _entries(tree: str, repository: Repository, shown: str) -> tuple[list[Entry], list[str], list[str]]:
    entries, hashes, submodules = [], [], []
    for item in repository.call("ls-tree", "-r", "-z", "-l", "--full-tree", tree).split(b"\0")[:-1]:
        facts, _, raw = item.partition(b"\t")
        mode, kind, name, size = facts.decode().split()
        path = os.fsdecode(raw)
        if kind == "commit":
            submodules.append(sending.printable(path))
        elif not size.isdecimal():
            raise SourceError(
                f"{shown} is a clone of a part: {sending.printable(path)} was never fetched, or is lost",
                next_step="fetch it: git fetch --refetch, or git checkout of that commit",
            )
        else:
            entries.append(Entry(path, mode, int(size)))
            hashes.append(name)
    return entries, hashes, submodules
