"""
Reads what is sent and pushes it; the only caller of git.

    read   -> folder.py; commit.py for a commit of it; remote.py for a URL: an exact copy, and a commit of it in a
              repository of our own
    push   -> pushing.py: that commit to the droplet, whose hook releases it

The user's repository is never written to, and nothing that it, or a global configuration, names is run.
"""

from __future__ import annotations

from pathlib import Path

from cloudship.git import commit, folder, remote
from cloudship.git.pushing import check_ssh, push, repository_url
from cloudship.git.repository import Repository
from cloudship.source import FolderSource, Source, SourceTree
from cloudship.waiting import REAL, Clock

__all__ = ["check_ssh", "push", "read", "repository_url"]


def read(source: Source, workspace: Path, *, limit: float = 600.0, clock: Clock = REAL) -> SourceTree:
    """
    Copy exactly what is sent of a source, and make the commit that carries it.

    Args:
        source: where it is.
        workspace: an empty folder of ours; the result lives in it.
        limit: seconds to fetch a repository.
        clock: the time; it goes into the commit, so that sending the same twice releases twice.

    Raises:
        SourceError: it cannot be fetched, is empty, too large, or holds what is never sent.
        GitError: git is missing, or failed at our side.
        WaitTimeout: the limit was reached.
    """
    repository = Repository(workspace, clock)
    if isinstance(source, FolderSource) and source.ref is not None:
        return commit.read(source, repository)
    if isinstance(source, FolderSource):
        return folder.read(source, repository)
    return remote.read(source, repository, limit)
