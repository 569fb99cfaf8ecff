"""One commit of a repository that is here: its objects are read where they lie, and committed anew."""

from __future__ import annotations

from pathlib import Path

from cloudship.errors import SourceError
from cloudship.git import process
from cloudship.git.objects import sent
from cloudship.git.repository import Repository
from cloudship.source import FolderSource, SourceTree, printable


def read(source: FolderSource, repository: Repository) -> SourceTree:
    """
    Copy the files that a commit has in a folder, and make a commit of ours that carries them and no history.

    Raises:
        SourceError: there is no such commit or folder in it, it is empty, too large, or holds what is never sent.
    """
    folder, ref = source.path, str(source.ref)
    origin, tree, objects = _resolved(folder, ref)
    repository.create()
    (repository.git_dir / "objects" / "info").mkdir()
    (repository.git_dir / "objects" / "info" / "alternates").write_text(f"{objects}\n", encoding="utf-8")
    return sent(
        tree,
        repository,
        origin=origin,
        description=f"{printable(folder.name)} at {origin[:7]}",
        shown=f"{folder.name}@{ref}",
        instead=f"git checkout {ref}, git submodule update --init --recursive, then send the folder as it is",
    )


def _resolved(folder: Path, ref: str) -> tuple[str, str, str]:
    """Ask the repository for the commit, the folder's tree in it, and where its objects lie."""
    words = ["git", *process.TAME, "rev-parse", "--verify", "--quiet", "--end-of-options"]
    found = []
    for name in (f"{ref}^{{commit}}", f"{ref}:./"):
        outcome = process.call([*words, name], environ=process.inherited(), cwd=folder)
        if outcome.status != 0:
            raise SourceError(f"{folder} has no commit {ref!r}", next_step=f"git -C {folder} log --oneline --all")
        found.append(outcome.out.decode().strip())
    words = ["git", *process.TAME, "rev-parse", "--git-path", "objects"]
    outcome = process.call(words, environ=process.inherited(), cwd=folder)
    return found[0], found[1], str((folder / outcome.out.decode("utf-8", "surrogateescape").strip()).resolve())
