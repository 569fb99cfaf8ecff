"""
The user's own files: nobody else can read them, and what was written is there after the machine has crashed.

Whoever creates something in the cloud has first written down here what it takes to find it and to log in to it. A
file's contents are on the disk when the file was synced, its name when its folder was; neither implies the other.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cloudship.errors import StorageError

_FORBIDDEN = frozenset((errno.EROFS, errno.EACCES, errno.EPERM))
_IN_THE_WAY = frozenset((errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ELOOP))
_NO_MORE_FILES = frozenset((errno.EMFILE, errno.ENFILE))
_NO_MORE_ROOM = frozenset((errno.ENOSPC, errno.EDQUOT, errno.ENOMEM))
_WORKSPACE = "cloudship-workspace-"
_BEGINNING = 60.0  # seconds, more than between making a workspace and locking it


def folder(path: Path) -> None:
    """
    Make a folder, and whatever is missing above it, for this user alone.

    Raises:
        StorageError: it cannot be made.
    """
    with mapped(path):
        if path.is_dir():
            return
        folder(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)
        _sync_folder(path.parent)


def read(path: Path) -> str:
    """
    Read a file of ours, whatever lies in its place; what is no text is marked in it.

    Raises:
        OSError: it is not there, cannot be read, or is no file: a pipe would keep us waiting for ever.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY), "rb") as file:
        _check_is_file(file.fileno(), path)
        return file.read().decode("utf-8", "replace")


def write(path: Path, text: str) -> None:
    """
    Replace a file, whole or not at all; of several who do so at once the last one stays.

    What a killed process leaves unfinished is read by nobody.

    Raises:
        StorageError: it cannot be written; what was there is still there.
    """
    unfinished = path.with_name(f"{path.name}.{secrets.token_hex(5)}.part")  # nobody else's, who may be at it too
    with mapped(path):
        try:
            _write_new(unfinished, text)
            unfinished.replace(path)
        finally:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
        _sync_folder(path.parent)


def write_new(path: Path, text: str) -> None:
    """
    Write a file that must not be there yet; not for a moment can others read it.

    Raises:
        StorageError: it is there, or cannot be written.
    """
    with mapped(path):
        _write_new(path, text)
        _sync_folder(path.parent)


def append(path: Path, line: bytes) -> None:
    """
    Add a line to a file, made where it is missing; one that a crash has torn before takes nothing of it along.

    Raises:
        StorageError: it cannot be written; nothing may be done that it announces.
    """
    with mapped(path):
        is_new = not path.exists()
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY, 0o600)
        try:
            _check_is_file(descriptor, path)
            whole = (b"\n" if _is_torn(descriptor) else b"") + line + b"\n"
            if os.write(descriptor, whole) < len(whole):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if is_new:
            _sync_folder(path.parent)


def remove_folder(path: Path) -> None:
    """
    Remove a folder with all that is in it, for good; of a link the link, not what it leads to.

    Raises:
        StorageError: something of it cannot be removed.
    """
    with mapped(path):
        if path.is_symlink():
            path.unlink()
        elif path.exists():
            shutil.rmtree(path)
        _sync_folder(path.parent)


@contextmanager
def workspace() -> Iterator[Path]:
    """
    Give a folder for a while; what is in it is not worth keeping. Those of killed processes are taken away.

    Raises:
        StorageError: there is no place for one.
    """
    try:
        made = Path(tempfile.mkdtemp(prefix=_WORKSPACE))
        try:
            kept_back = os.open(made, os.O_RDONLY)
        except OSError:
            made.rmdir()
            raise
    except OSError as error:
        raise fault(error, Path("The folder for temporary files"), "TMPDIR") from error
    with suppress(OSError):  # where a file system has no locks, nobody can take it for left either
        fcntl.flock(kept_back, fcntl.LOCK_EX)  # somebody works there until we end; whoever sweeps holds it for a moment
    try:
        with suppress(OSError):
            _sweep(made.parent)
        yield made
    finally:
        os.close(kept_back)  # for who may open no more files: one is enough, see below
        shutil.rmtree(made, ignore_errors=True)
        if os.path.lexists(made):
            _walked_away(made)


def _sweep(place: Path) -> None:
    """Take away the workspaces of processes that were killed: ours alone, a minute old, and nobody works there."""
    for one in place.glob(f"{_WORKSPACE}*"):
        with suppress(OSError):
            number = os.open(one, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
                found = os.fstat(number)
                is_left = found.st_uid == os.geteuid() and time.time() - found.st_mtime > _BEGINNING
            finally:
                os.close(number)
            if is_left:
                _walked_away(one)


def _walked_away(folder: Path) -> None:
    """Take a folder of ours away with one open file at a time, where Python's own way wants one for each level."""
    for place, folders, files in os.walk(folder, topdown=False):
        for one in (*files, *folders):
            path = Path(place, one)
            with suppress(OSError):  # it is not worth keeping, and nobody can do more about it
                path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    with suppress(OSError):
        folder.rmdir()


@contextmanager
def mapped(path: Path) -> Iterator[None]:
    """Turn what the operating system raises into one error of ours; it names the path where the system does not."""
    try:
        yield
    except OSError as error:
        raise fault(error, path) from error


def fault(error: OSError, path: Path | None = None, variable: str = "CLOUDSHIP_STATE_DIR") -> StorageError:
    """
    Say what the operating system refused, and what helps.

    Args:
        error: what it raised.
        path: of what; the error itself knows better, where it names one.
        variable: moves that elsewhere.
    """
    where = error.filename if isinstance(error.filename, str) else path
    cause = error.strerror or str(error)
    if error.errno in _NO_MORE_FILES:
        return StorageError(f"This machine lets cloudship open no more files: {cause}", next_step="ulimit -n 1024")
    if error.errno in _FORBIDDEN:
        step = f"export {variable}=..., a folder that you may write to"
    elif error.errno in _IN_THE_WAY:
        step = f"export {variable}=..., another folder; or look at what lies there, and move it away"
    else:
        step = f"make room there; or export {variable}=..., a folder on another disk"
    return StorageError(f"{where} cannot be used: {cause}", next_step=step)


def exhausted(error: Exception) -> StorageError | None:
    """Say what this machine has no more of, where a call of the system failed for that; None: it is another error."""
    if not isinstance(error, OSError):
        return None
    if error.errno in _NO_MORE_FILES:
        return fault(error)
    if error.errno in _NO_MORE_ROOM:
        step = "make room; TMPDIR and CLOUDSHIP_STATE_DIR may name folders on another disk"
        return StorageError(f"This machine has no room left: {error.strerror}", next_step=step)
    return None


def _write_new(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)


def _check_is_file(descriptor: int, path: Path) -> None:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise OSError(errno.EEXIST, "it is no file", str(path))


def _is_torn(descriptor: int) -> bool:
    """Whether the last line has no end, which only a crash leaves."""
    size = os.fstat(descriptor).st_size
    return size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"


def _sync_folder(path: Path) -> None:
    """Bring the names in a folder to the disk; not every file system can, and there is nothing better to do then."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
