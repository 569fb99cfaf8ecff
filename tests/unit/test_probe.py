"""One look at a page: at servers that say too little, too much, too slowly, or what no number is."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from cloudship.errors import Unreachable
from cloudship.probe import Answer, look

HEAD = b"HTTP/1.1 200 OK\r\nX-Cloudship-Release: 7\r\n"


@contextmanager
def _saying(say: Callable[[socket.socket, threading.Event], None]) -> Iterator[str]:
    """Run a server that reads one request, says what it is to say, and hangs up; gives its URL."""
    over = threading.Event()

    def serve() -> None:
        with suppress(OSError), listening.accept()[0] as visitor:
            visitor.recv(65536)
            say(visitor, over)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        finally:
            over.set()
            thread.join()


def _said(text: bytes) -> Answer:
    with _saying(lambda visitor, _over: visitor.sendall(text)) as url:
        return look(url, limit=5)


def _drop_by_drop(begin: bytes, more: bytes) -> Callable[[socket.socket, threading.Event], None]:
    def say(visitor: socket.socket, over: threading.Event) -> None:
        visitor.sendall(begin)
        while not over.wait(0.05):
            visitor.sendall(more)

    return say


def test_an_answer_is_its_status_and_the_release_that_gave_it() -> None:
    """nginx names the release; of itself it names none."""
    found = _said(HEAD + b"Content-Length: 2\r\n\r\nhi")
    assert (200, "OK", 7) == (found.status, found.reason, found.release)
    assert _said(b"HTTP/1.1 503 Service Unavailable\r\n\r\n").release is None


@pytest.mark.parametrize("text", [b"", b"-1", b"1.5", b"0x1", b"\xb2", b"9" * 5000])
def test_what_is_no_number_is_no_release(text: bytes) -> None:
    """Neither a superscript, which Python takes for a digit, nor more of them than Python reads."""
    assert _said(b"HTTP/1.1 200 OK\r\nX-Cloudship-Release: %b\r\n\r\n" % text).release is None


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (b"HTTP/1.1 200 ", b"O"),
        (b"HTTP/1.1 200 OK\r\n", b"X-More: x\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["a status", "headers", "no final status"],
)
def test_the_limit_holds_for_the_whole_answer(begin: bytes, more: bytes) -> None:
    """However often a little of it comes."""
    with _saying(_drop_by_drop(begin, more)) as url:
        began = time.monotonic()
        with pytest.raises(Unreachable, match=r"no answer within 0\.4 s"):
            look(url, limit=0.4)
        assert time.monotonic() - began < 2


def test_a_page_that_never_ends_has_answered() -> None:
    """As a stream of events: nobody waits for what comes after its head."""
    with _saying(_drop_by_drop(HEAD + b"Content-Type: text/event-stream\r\n\r\n", b"data: x\n\n")) as url:
        began = time.monotonic()
        assert 7 == look(url, limit=10).release
        assert time.monotonic() - began < 5


def test_nobody_there_and_no_http_are_told_as_that() -> None:
    """Each is a reason to look again."""
    with pytest.raises(Unreachable, match="BadStatusLine"):
        _said(b"SSH-2.0-OpenSSH_9.2\r\n")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(Unreachable, match="refused"):
        look(f"http://127.0.0.1:{port}/", limit=5)
