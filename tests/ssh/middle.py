"""Somebody between client and host: passes on what both say, late, or only so much of it."""

from __future__ import annotations

import select
import socket
import threading
from contextlib import suppress

from typing_extensions import Self

_CHUNK = 65536


class Middle:
    """
    A listener on loopback that leads to a port there.

    Args:
        port: where to.
        delay: seconds before the host's first word is passed on.
        cut: bytes of the host's that are passed on before the connection breaks; None: all.
        hang: say nothing more after the cut instead of breaking off.
    """

    def __init__(self, port: int, *, delay: float = 0.0, cut: int | None = None, hang: bool = False) -> None:
        self._to, self._delay, self._cut, self._hang = port, delay, cut, hang
        self._over = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self.passed = 0  # bytes of the host's
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._listening.close()
        for one in self._threads:
            one.join()

    def _accept(self) -> None:
        self._listening.settimeout(0.02)
        while not self._over.is_set():
            with suppress(TimeoutError, OSError):
                client = self._listening.accept()[0]
                thread = threading.Thread(target=self._pass_on, args=(client,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _pass_on(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._to)) as host, suppress(OSError):
            self._over.wait(self._delay)
            while not self._over.is_set():
                for source in select.select([client, host], [], [], 0.02)[0]:
                    data = source.recv(_CHUNK)
                    if not data:
                        return
                    if source is host and self._is_cut(data, client):
                        return
                    if source is client:
                        host.sendall(data)

    def _is_cut(self, data: bytes, client: socket.socket) -> bool:
        left = len(data) if self._cut is None else max(0, self._cut - self.passed)
        self.passed += min(left, len(data))
        client.sendall(data[:left])
        if left >= len(data):
            return False
        if self._hang:
            self._over.wait()
        return True


class Saying:
    """
    A listener that says what it is given to everybody, whatever they say.

    Args:
        words: what it says first.
        flood: say them again and again.
        close: break off after them instead of staying.
    """

    def __init__(self, words: bytes = b"", *, flood: bool = False, close: bool = False) -> None:
        self._words, self._flood, self._close = words, flood, close
        self._over = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self.heard = b""
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._listening.close()
        self._thread.join()

    def _serve(self) -> None:
        self._listening.settimeout(0.02)
        while not self._over.is_set():
            with suppress(TimeoutError, OSError), self._listening.accept()[0] as client:
                client.settimeout(0.02)
                client.sendall(self._words)
                while not self._close and not self._over.is_set():
                    with suppress(TimeoutError):
                        if self._flood:
                            client.sendall(self._words)
                        elif heard := client.recv(_CHUNK):
                            self.heard += heard
                        else:
                            break
