"""What root may do and others may not: given up, so that a mode means the same for everybody; or used apart."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import traceback
from collections.abc import Callable

_DROP_FROM_BOUNDS, _VERSION = 24, 0x20080522  # of prctl and capset
_OF_ROOT = (0, 1, 2, 3)  # chown, and whatever passes by a file's owner and mode
_OWN_MOUNTS = 0x00020000  # of unshare
_PRIVATE = (1 << 18) | (1 << 14)  # of mount: nothing of it is seen elsewhere, at no depth
_LIBC = ctypes.CDLL(None, use_errno=True)


def like_anybody() -> None:
    """Give up what only root may do to files, in this process and in those that it starts."""
    if os.geteuid() != 0:
        return
    for one in _OF_ROOT:
        _called("prctl", _DROP_FROM_BOUNDS, one, 0, 0, 0)
    header, held = (ctypes.c_uint32 * 2)(_VERSION, 0), (ctypes.c_uint32 * 6)()
    _called("capget", header, held)
    for word in range(3):
        held[word] &= ~sum(1 << one for one in _OF_ROOT)
    _called("capset", header, held)


def own_mounts() -> None:
    """Give this process mounts that nobody else sees, and that are gone with it."""
    _called("unshare", _OWN_MOUNTS)
    _called("mount", b"none", b"/", None, _PRIVATE, None)


def mount(*words: str) -> None:
    """Mount something, as the command of that name does."""
    subprocess.run(["mount", *words], check=True, capture_output=True)


def with_own_mounts(work: Callable[[], dict[str, list[str]]]) -> dict[str, list[str]]:
    """Judge cases in a fork with mounts of its own, and give what is wrong with which."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            own_mounts()
            found = work()
        except BaseException:  # noqa: BLE001  whatever it is, the parent must see it
            found = {"the campaign": [traceback.format_exc()]}
        with os.fdopen(writing, "w", encoding="utf-8") as pipe:
            json.dump(found, pipe)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as pipe:
        told: dict[str, list[str]] = json.loads(pipe.read() or '{"the campaign": ["it was killed"]}')
    os.waitpid(pid, 0)
    return told


def _called(name: str, *words: object) -> None:
    if getattr(_LIBC, name)(*words) != 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")
