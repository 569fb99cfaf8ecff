"""A command on a terminal of its own, that can be closed under it at a point, as a window or a connection is."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import struct
import termios
import time
from collections.abc import Callable
from contextlib import suppress

from campaign import case
from campaign.case import LIMIT, Aftermath, Ended
from campaign.points import Point

_CLOSING: list[int] = []  # in a fork: where it asks for its terminal to be closed, and hears that it is


def acting(closed_at: Point | None) -> Callable[[Point], None]:
    """Have the terminal closed at a point; what is said after that is said to nobody."""

    def act(here: Point) -> None:
        if here == closed_at:
            asking, answered = _CLOSING
            os.write(asking, b"!")
            os.read(answered, 1)  # it is closed now; the signal comes here, or to the main thread

    return act


def fork(work: Callable[[], int], environ: dict[str, str], *, columns: int = 80) -> Ended:
    """
    Run something in a fork whose streams are its controlling terminal, and collect what it shows.

    Args:
        work: see `case.fork`.
        environ: variables of its own; TERM among them says what the terminal can.
        columns: how wide it is.
    """
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    asked, asking = os.pipe()
    answered, answering = os.pipe()

    def attach() -> None:
        _CLOSING[:] = [asking, answered]
        for number in (master, asked, answering):
            os.close(number)
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        for stream in range(3):
            os.dup2(slave, stream)
        os.close(slave)

    began, watch = time.monotonic(), Aftermath(environ)
    pid = os.fork()
    if pid == 0:
        case.child(work, {"TERM": "xterm", **environ}, attach, watch.started)
    for number in (slave, asking, answered):
        os.close(number)
    output = _watched(pid, master, asked, answering)
    for number in (asked, answering):
        os.close(number)
    return watch.ended(case.waited(pid), output, time.monotonic() - began)


def _watched(pid: int, master: int, asked: int, answering: int) -> str:
    """Collect what is shown, and close the terminal when that is asked for; returns when the command has ended."""
    parts, deadline, terminal = [], time.monotonic() + LIMIT, [master]
    while True:
        ready = select.select([*terminal, asked], [], [], max(0.0, deadline - time.monotonic()))[0]
        if not ready:
            os.kill(pid, signal.SIGKILL)
            parts.append(b"\n[killed by the campaign: it took too long]\n")
            break
        if master in ready:
            chunk = b""
            with suppress(OSError):  # all who had it open are gone
                chunk = os.read(master, 65536)
            parts.append(chunk)
            terminal = terminal if chunk else []
        elif not os.read(asked, 1):
            break  # the command has ended
        else:
            os.close(master)
            terminal, master = [], -1
            with suppress(BrokenPipeError):  # it had nothing to clean up, and has ended meanwhile
                os.write(answering, b"!")
    if master >= 0:
        os.close(master)
    return b"".join(parts).decode("utf-8", "replace")
