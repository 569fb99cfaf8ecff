"""Streams whose reader goes away, or that cannot show every letter."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO, cast

import pytest

from cloudship.cli.streams import Unheard


@pytest.fixture
def unread() -> Iterator[TextIO]:
    """Give the writing end of a pipe that nobody reads any more."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", buffering=1) as stream:
        yield stream


def test_speaking_to_nobody_never_fails(unread: TextIO) -> None:
    """Nor does the stream itself, once that was noticed: the interpreter flushes it at its end."""
    stream = Unheard(unread)
    assert 6 == stream.write("hello\n")
    stream.flush()
    assert Path(os.devnull).samefile(f"/proc/self/fd/{unread.fileno()}")
    print("more", file=cast("TextIO", stream))


def test_a_closed_stream_is_nobody_too(unread: TextIO) -> None:
    """As where a parent closes the file."""
    unread.close()
    Unheard(unread).write("hello\n")


def test_what_else_a_stream_can_is_the_streams(unread: TextIO) -> None:
    """A display asks for its encoding, and whether it is a terminal."""
    stream = Unheard(unread)
    assert (False, unread.encoding) == (stream.isatty(), stream.encoding)


def _cloudship(*words: str, **more: object) -> subprocess.CompletedProcess[bytes]:
    environ = {**os.environ, **cast("dict[str, str]", more.pop("environ", {}))}
    return subprocess.run(
        [sys.executable, "-m", "cloudship", *words],
        env=environ,
        check=False,
        stderr=subprocess.PIPE,
        **more,  # type: ignore[call-overload]
    )


def test_a_result_that_nobody_takes_is_a_failure(unread: TextIO) -> None:
    """Exit status 1, and not a word of the interpreter's about pipes."""
    done = _cloudship("--help", stdout=unread)
    assert (1, b"") == (done.returncode, done.stderr)


def test_letters_that_the_locale_does_not_have_are_shown_as_their_numbers(tmp_path: Path) -> None:
    """A locale of plain ASCII is no reason to fail, for a result or an error."""
    app = tmp_path / "caf\u00e9"
    app.mkdir()
    (app / "index.html").write_text("hello")
    ascii_only = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = _cloudship("render", str(app), "--name", "web", stdout=subprocess.PIPE, environ=ascii_only)
    assert b"Traceback" not in done.stderr, done.stderr
    missing = _cloudship("up", str(tmp_path / "th\u00e9"), stdout=subprocess.PIPE, environ=ascii_only)
    assert (2, True) == (missing.returncode, b"th" in missing.stderr), missing.stderr
    assert b"Traceback" not in missing.stderr


def test_closed_streams_are_no_reason_to_fail() -> None:
    """As under `>&- 2>&-`, where the interpreter has no streams at all."""
    done = subprocess.run(
        ["sh", "-c", f'exec "{sys.executable}" -m cloudship --version >&- 2>&-'], check=False, capture_output=True
    )
    assert (0, b"", b"") == (done.returncode, done.stdout, done.stderr)


def test_a_result_for_which_there_is_no_room_is_a_failure_with_its_reason() -> None:
    """As under `> /dev/full`: the system's words, and what to do."""
    with Path("/dev/full").open("wb") as full:
        done = _cloudship("--version", stdout=full)
    assert 1 == done.returncode
    assert b"standard output: No space left on device" in done.stderr
    assert b"next: " in done.stderr


def test_a_closed_standard_input_answers_no_question() -> None:
    """As under `<&-`: nobody is asked, and the error says what to type."""
    done = subprocess.run(
        ["sh", "-c", f'exec "{sys.executable}" -m cloudship down --all --cloud local <&-'],
        check=False,
        capture_output=True,
    )
    assert b"foresee" not in done.stderr, done.stderr
