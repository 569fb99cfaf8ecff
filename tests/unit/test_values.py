"""The app's values: every byte arrives or the name is said; no value is ever shown."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudship import releasing, values
from cloudship.config import load
from cloudship.errors import ConfigError
from cloudship.models import Secret


def _file(folder: Path, data: bytes) -> dict[str, str]:
    (folder / "env").write_bytes(data)
    return {name: secret.reveal() for name, secret in values.read_env_file(folder / "env").items()}


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"A=a\xe2\x80\xa8B=c\n", {"A": "a\u2028B=c"}),
        (b"A=a\x0bB=c\x1cD=e\n", {"A": "a\x0bB=c\x1cD=e"}),
        (b"A=\xc2\xa0x\xe3\x80\x80\n", {"A": "\u00a0x\u3000"}),
        (b"\xef\xbb\xbfA=1\r\nB= two \r\n", {"A": "1", "B": "two"}),
        (b"export  A = 'it''s' \n", {"A": "it''s"}),
        (b"A=\"\nB='\"'\nC=\n", {"A": '"', "B": '"', "C": ""}),
        (b"A=\\n$B`c`%d#e\n", {"A": "\\n$B`c`%d#e"}),
    ],
)
def test_a_file_is_cut_at_line_ends_alone(tmp_path: Path, data: bytes, found: dict[str, str]) -> None:
    """Letters that only Python takes for a line's end or a blank belong to a value; Windows' marks do not."""
    assert found == _file(tmp_path, data)


@pytest.mark.parametrize("data", [b"A=\xff\n", b"A=a\0b\n", b"A\nhunter2\n", b"A=" + b"x" * values.MOST])
def test_a_file_that_cannot_be_is_refused_without_its_values(tmp_path: Path, data: bytes) -> None:
    """By its name, and the line or the value's name."""
    with pytest.raises(ConfigError) as caught:
        _file(tmp_path, data)
    assert (False, False) == ("hunter2" in str(caught.value), "xxx" in str(caught.value))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"A": "a\0b"}, "A: a value is text without a zero byte"),
        ({"A": "\ud800"}, "half a character"),
        ({"A": "x" * values.MOST}, "a process takes at most 131071"),
        ({f"A{number}": "x" * 130_000 for number in range(9)}, "all values of a process"),
        ({"1A": "hunter2"}, "no name for an environment variable"),
        ({"A" * 201: "hunter2"}, "no name for an environment variable"),
    ],
)
def test_what_no_process_can_be_given_is_refused_before_anything_exists(given: dict[str, str], message: str) -> None:
    """From wherever it comes: keywords, files, flags."""
    with pytest.raises(ConfigError, match=message) as caught:
        load(None, environ={}, given={"env": given})
    assert (2, False) == (caught.value.exit_status, "hunter2" in str(caught.value))


def test_bytes_that_are_no_text_stay_what_they_are() -> None:
    """A command line may hold them, and so may a process's environment."""
    assert {"A": Secret("a\udcffb")} == values.parse_env(("A=a\udcffb",))


def test_a_flag_without_a_name_shows_nothing() -> None:
    """It may be a value whose name was forgotten."""
    with pytest.raises(ConfigError, match=r"--env \.\.\.: write it as NAME=value") as caught:
        values.parse_env(("s3cret-value",))
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "shown"), [("KEY=hunter2", "'KEY=...'"), ("MY-KEY=hunter2", "'MY-KEY=...'"), ("1A", "'1A'"), ("", "''")]
)
def test_what_is_taken_away_is_refused_here_where_it_is_no_name(name: str, shown: str) -> None:
    """Before anything is asked of the droplet, which would say it back whole."""
    nobody: Any = None
    with pytest.raises(ConfigError, match=f"^env: {shown} is no name for an environment variable$"):
        releasing.change_environment(nobody, "web", {}, ["GOOD", name], by="me")


@given(st.text().filter(lambda text: "\n" not in text and "\0" not in text))
def test_any_text_in_quotes_arrives_from_a_file(text: str) -> None:
    """Quotes of the same kind in it too."""
    with TemporaryDirectory() as folder:
        assert {"A": text} == _file(Path(folder), f'A="{text}"'.encode())
