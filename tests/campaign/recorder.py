"""Every write to a folder, recorded at the calls of the operating system, and a death before one of them."""

from __future__ import annotations

import base64
import builtins
import fcntl
import io
import json
import os
import pathlib
import signal
import stat
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

_WRITING = os.O_WRONLY | os.O_RDWR


class Recorder:
    """
    Writes down what this process does to a folder, in the order in which it happens.

    Args:
        root: a folder that is there; what happens below it, and syncs of it, are recorded.
        log: where they are written down; it lies elsewhere.
        stop: dies before the act of this number; None: lives.
    """

    def __init__(self, root: Path, log: Path, stop: int | None) -> None:
        self._root = str(root)
        self._stop = stop
        self._count = 0
        self._write, self._fstat, self._lexists = os.write, os.fstat, os.path.lexists
        self._log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._plain_open, self._plain_io = os.open, io.open

    def install(self) -> None:
        """Stand at the calls of this process."""
        self._at(os, "open", self._open)
        self._at(os, "write", self._written)
        for name in ("fsync", "fdatasync"):
            self._at(os, name, self._synced)
        for name in ("rename", "replace"):
            self._at(os, name, self._renamed)
        for name in ("unlink", "remove", "rmdir", "mkdir", "truncate", "chmod", "symlink", "link"):
            self._at(os, name, self._changed(name))
        for name in ("ftruncate", "fchmod"):
            self._at(os, name, self._changed_open(name))
        for module in (io, builtins):
            module.open = self._opened  # type: ignore[attr-defined]
        self._in_accessor("open", self._opened)

    def mark(self, text: str) -> None:
        """Write down that something else happened, which is no act on the disk."""
        self._note({"act": "mark", "text": text})

    def _at(self, module: Any, name: str, around: Callable[..., Any]) -> None:
        plain = getattr(module, name)

        @wraps(plain)
        def recorded(*args: Any, **kwargs: Any) -> Any:
            return around(plain, *args, **kwargs)

        setattr(module, name, recorded)
        self._in_accessor(name, recorded)

    @staticmethod
    def _in_accessor(name: str, function: Callable[..., Any]) -> None:
        accessor = getattr(pathlib, "_NormalAccessor", None)  # Python 3.10 keeps its own references
        if accessor is not None and hasattr(accessor, name):
            setattr(accessor, name, staticmethod(function))

    def _open(self, plain: Any, path: Any, flags: int, *rest: Any, **more: Any) -> int:
        place = self._place(path, more.get("dir_fd"))
        if place is None or not flags & (_WRITING | os.O_CREAT):
            return int(plain(path, flags, *rest, **more))
        is_new = bool(flags & os.O_CREAT) and not self._lexists(f"{self._root}/{place}")
        if is_new or flags & os.O_TRUNC:
            self._before()
        descriptor = int(plain(path, flags, *rest, **more))
        if is_new:
            mode = stat.S_IMODE(self._fstat(descriptor).st_mode)
            self._note({"act": "create", "path": place, "file": self._file(descriptor), "mode": mode})
        elif flags & os.O_TRUNC:
            self._note({"act": "cut", "file": self._file(descriptor), "size": 0})
        return descriptor

    def _written(self, plain: Any, descriptor: int, data: Any) -> int:
        if self._of_descriptor(descriptor) is None:
            return int(plain(descriptor, data))
        self._before()
        end = bool(_flags(descriptor) & os.O_APPEND)
        offset = self._fstat(descriptor).st_size if end else os.lseek(descriptor, 0, os.SEEK_CUR)
        count = int(plain(descriptor, data))
        self._note_write(descriptor, offset, bytes(data)[:count])
        return count

    def _synced(self, plain: Any, descriptor: int) -> None:
        place = self._of_descriptor(descriptor)
        if place is None:
            plain(descriptor)
            return
        self._before()
        plain(descriptor)
        if stat.S_ISDIR(self._fstat(descriptor).st_mode):
            self._note({"act": "sync folder", "path": place})
        else:
            self._note({"act": "sync", "file": self._file(descriptor)})

    def _renamed(self, plain: Any, source: Any, target: Any, **more: Any) -> None:
        places = self._place(source, more.get("src_dir_fd")), self._place(target, more.get("dst_dir_fd"))
        if places == (None, None):
            plain(source, target, **more)
            return
        assert None not in places, f"{source} is moved across the border of what is recorded"
        self._before()
        plain(source, target, **more)
        self._note({"act": "rename", "path": places[0], "target": places[1]})

    def _changed(self, name: str) -> Callable[..., None]:
        def around(plain: Any, path: Any, *rest: Any, **more: Any) -> None:
            place = self._place(path, more.get("dir_fd"))
            if place is None or self._lexists(f"{self._root}/{place}") == (name == "mkdir"):
                plain(path, *rest, **more)  # elsewhere, or it fails and changes nothing
                return
            assert name not in ("symlink", "link"), f"{name} of {path} is not played again"
            self._before()
            plain(path, *rest, **more)
            told = {"act": "unlink" if name == "remove" else name, "path": place}
            if name in ("mkdir", "chmod"):
                told["mode"] = stat.S_IMODE(os.lstat(f"{self._root}/{place}").st_mode)  # type: ignore[assignment]
            self._note({**told, **({"size": rest[0]} if name == "truncate" else {})})

        return around

    def _changed_open(self, name: str) -> Callable[..., None]:
        def around(plain: Any, descriptor: int, value: int) -> None:
            if self._of_descriptor(descriptor) is None:
                plain(descriptor, value)
                return
            self._before()
            plain(descriptor, value)
            told = {"act": "cut", "size": value} if name == "ftruncate" else {"act": "fchmod", "mode": value}
            self._note({**told, "file": self._file(descriptor)})

        return around

    def _opened(self, file: Any, mode: str = "r", buffering: int = -1, *rest: Any, **more: Any) -> Any:
        """Open as `open` does, through a raw file whose writes are seen."""
        place = self._of_descriptor(file) if isinstance(file, int) else self._place(file, None)
        if place is None or not set(mode) & set("wax+"):
            return self._plain_io(file, mode, buffering, *rest, **more)
        names = ("encoding", "errors", "newline", "closefd", "opener")
        given = {**dict(zip(names, rest, strict=False)), **more}
        raw = _Seen(self, file, mode.replace("t", "").replace("b", ""), closefd=given.get("closefd", True))
        buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        if "b" in mode:
            return raw if buffering == 0 else buffered
        texts = {name: given.get(name) for name in names[:3]}
        return io.TextIOWrapper(buffered, **texts)

    def write_raw(self, descriptor: int, plain: Callable[[Any], int | None], data: Any) -> int | None:
        """Write for an open file object, and write it down."""
        self._before()
        end = bool(_flags(descriptor) & os.O_APPEND)
        offset = self._fstat(descriptor).st_size if end else os.lseek(descriptor, 0, os.SEEK_CUR)
        held = bytes(data)
        count = plain(data)
        self._note_write(descriptor, offset, held[:count])
        return count

    def open_raw(self, path: str, flags: int) -> int:
        """Open for an open file object."""
        return self._open(self._plain_open, path, flags, 0o666)

    def _note_write(self, descriptor: int, offset: int, data: bytes) -> None:
        shown = base64.b64encode(data).decode()
        self._note({"act": "write", "file": self._file(descriptor), "offset": offset, "data": shown})

    def _before(self) -> None:
        if self._count == self._stop:
            os.kill(os.getpid(), signal.SIGKILL)
        self._count += 1

    def _note(self, told: dict[str, Any]) -> None:
        self._write(self._log, (json.dumps(told) + "\n").encode())

    def _file(self, descriptor: int) -> int:
        return self._fstat(descriptor).st_ino

    def _of_descriptor(self, descriptor: int) -> str | None:
        return self._below(_named(descriptor).removesuffix(" (deleted)"))

    def _place(self, path: Any, folder: int | None) -> str | None:
        if isinstance(path, int):
            return self._of_descriptor(path)
        base = Path.cwd() if folder is None else Path(_named(folder))
        return self._below(os.path.normpath(base / os.fspath(path)))

    def _below(self, path: str) -> str | None:
        if path == self._root:
            return "."
        return path.removeprefix(f"{self._root}/") if path.startswith(f"{self._root}/") else None


class _Seen(io.FileIO):
    """A raw file whose writes are recorded."""

    def __init__(self, recorder: Recorder, file: Any, mode: str, *, closefd: bool) -> None:
        self._recorder = recorder
        opener = None if isinstance(file, int) else recorder.open_raw
        super().__init__(file, mode, closefd=closefd, opener=opener)

    def write(self, data: Any) -> int | None:  # type: ignore[override]
        return self._recorder.write_raw(self.fileno(), super().write, data)


def _named(descriptor: int) -> str:
    return str(Path(f"/proc/self/fd/{descriptor}").readlink())


def _flags(descriptor: int) -> int:
    return fcntl.fcntl(descriptor, fcntl.F_GETFL)
