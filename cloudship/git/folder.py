"""A folder as it is now: what git would have of it, whether it is a repository or not."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from cloudship import source as sending
from cloudship.errors import GitError, SourceError
from cloudship.git import process
from cloudship.git.repository import Repository
from cloudship.source import Entry, FolderSource, SourceTree

_AROUND_AN_ENVIRONMENT = ("bin", "lib", "lib64", "include", "pyvenv.cfg", "conda-meta")


def read(source: FolderSource, repository: Repository) -> SourceTree:
    """
    Copy what is sent of a folder, and make the commit that carries it.

    Raises:
        SourceError: it is empty, too large, or holds what is never sent.
    """
    folder = source.path
    if _is_bare(folder):
        raise SourceError(
            f"{folder} is a bare repository, not a folder with an app",
            next_step=f"cloudship up file://{folder}",
        )
    repository.create()
    within = _is_in_repository(folder)
    paths = _list(folder, repository, tracked=within)
    if within and not paths:  # a folder that the repository around it ignores, and is named all the same
        paths = _list(folder, repository, tracked=False)
    entries = _entries(folder, paths)
    sending.check_sizes(entries)
    _check_links(folder, entries)
    origin, tree_there = _head(folder) if within else (None, None)
    name = sending.printable(folder.name)
    at = f"{name} at {origin[:7]}" if origin else name
    commit, tree = repository.import_files(entries, lambda entry: _content(folder, entry), subject=at)
    top = {entry.path.partition("/")[0] for entry in entries} | {".git"}
    return SourceTree(
        root=repository.root,
        git_dir=repository.git_dir,
        commit=commit,
        tree=tree,
        files=len(entries),
        size=sum(entry.size for entry in entries),
        description=f"{at} with changes" if origin and tree != tree_there else at,
        origin=origin,
        left_out=tuple(sorted(name for name in os.listdir(folder) if name not in top)),
    )


def _is_bare(folder: Path) -> bool:
    return (folder / "HEAD").is_file() and (folder / "objects").is_dir() and (folder / "refs").is_dir()


def _is_in_repository(folder: Path) -> bool:
    """Look for a repository around a folder, as git does: an empty or dangling `.git` is none."""
    for above in (folder, *folder.parents):
        mark = above / ".git"
        if (mark / "HEAD").is_file():
            return True
        if mark.is_file():
            named = mark.read_text("utf-8", "surrogateescape").partition("gitdir: ")[2].strip()
            return bool(named) and (above / named).is_dir()
    return False


def _head(folder: Path) -> tuple[str | None, str | None]:
    """Ask which commit is checked out, and which tree the folder is in it; both may be none."""
    words = ["git", *process.TAME, "rev-parse", "HEAD^{commit}", "HEAD:./"]
    outcome = process.call(words, environ=process.inherited(), cwd=folder)
    hashes = [word for word in outcome.out.decode().split() if set(word) <= set("0123456789abcdef")]
    return (hashes[0] if hashes else None), (hashes[1] if outcome.status == 0 else None)


def _list(folder: Path, repository: Repository, *, tracked: bool) -> list[str]:
    """List what is sent of a folder, repositories inside it included."""
    skip = [word for pattern in sending.NEVER_UNTRACKED for word in ("-x", pattern)]
    lent = [] if tracked else [f"--git-dir={repository.git_dir}", "--work-tree=."]
    words = ["git", *lent, *process.TAME, "ls-files", "-z", "-t", "-c", "-o", "--exclude-standard", *skip]
    outcome = process.call(words, environ=process.inherited(), cwd=folder)
    if outcome.status != 0:
        raise GitError(f"git cannot list {folder}", evidence=outcome.lines[-process.SHOWN :])
    known: list[str] = []
    others: list[str] = []
    for item in outcome.out.split(b"\0")[:-1]:
        (others if item.startswith(b"? ") else known).append(os.fsdecode(item[2:]))
    found = dict.fromkeys([*known, *_without_environments(folder, others)])
    return [path for name in found for path in _with_inside(folder, name, repository)]


def _with_inside(folder: Path, name: str, repository: Repository) -> Iterator[str]:
    """Put in place of a submodule, or of a repository inside, what is sent of it."""
    full = f"{folder}/{name}"
    if os.path.islink(full) or not os.path.isdir(full):
        yield name
        return
    if not os.listdir(full):
        raise SourceError(
            f"The submodule {sending.printable(name)} is not checked out",
            next_step="git submodule update --init --recursive",
        )
    inside = Path(full)
    within = os.path.lexists(inside / ".git") and _is_in_repository(inside)
    for path in _list(inside, repository, tracked=within):
        yield f"{name.rstrip('/')}/{path}"


def _without_environments(folder: Path, untracked: Sequence[str]) -> Iterator[str]:
    """Leave out Python environments, whatever they are called."""
    marked = {mark for path in untracked if (mark := sending.environment_of(path)) is not None}
    if "" in marked:  # made in the source itself: `python -m venv .`
        marked.update(_AROUND_AN_ENVIRONMENT)
    inside = tuple(f"{mark}/" for mark in marked if mark)
    for path in untracked:
        linked = os.path.islink(f"{folder}/{path}") and os.path.exists(f"{folder}/{path}/pyvenv.cfg")
        if not (linked or path in marked or path.startswith(inside)):
            yield path


def _entries(folder: Path, paths: Iterable[str]) -> list[Entry]:
    entries = []
    for path in sorted(paths):
        try:
            found = os.lstat(f"{folder}/{path}")
        except (FileNotFoundError, NotADirectoryError):
            continue  # tracked, but deleted
        if stat.S_ISLNK(found.st_mode):
            entries.append(Entry(path, "120000", found.st_size))
        elif stat.S_ISREG(found.st_mode):
            mode = "100755" if found.st_mode & stat.S_IXUSR else "100644"
            entries.append(Entry(path, mode, found.st_size))
    return entries


def _check_links(folder: Path, entries: Sequence[Entry]) -> None:
    links = [entry.path for entry in entries if entry.link]
    outside = [path for path in links if not Path(os.path.realpath(f"{folder}/{path}")).is_relative_to(folder)]
    sending.check_links([(path, os.readlink(f"{folder}/{path}")) for path in links], outside)


def _content(folder: Path, entry: Entry) -> bytes:
    try:
        if entry.link:
            return os.fsencode(os.readlink(f"{folder}/{entry.path}"))
        with open(f"{folder}/{entry.path}", "rb", buffering=0) as file:
            return file.readall()
    except OSError as error:
        raise SourceError(f"{sending.printable(entry.path)} cannot be read: {error.strerror}") from error
