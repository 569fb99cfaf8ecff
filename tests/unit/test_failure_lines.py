"""What people and programs are told of an error: every class of the tree, in at most a dozen lines."""

from __future__ import annotations

import inspect
import io
import json
import sys
import traceback
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudship import about, errors
from cloudship.cli import failure
from cloudship.cli.app import app
from cloudship.cli.interrupts import Interrupts
from cloudship.errors import CloudshipError, ReleaseFailed, UsageError
from cloudship.keys import mint
from cloudship.legible import legible
from cloudship.models import Kind, Left

SECRET = "hunter2"  # noqa: S105  of nobody
KEY = mint("somebody's").private.reveal()
LEFT = tuple(Left(kind=Kind.DROPLET, id=str(number), price_hourly=0.00893) for number in range(5))


def _tree(base: type[CloudshipError]) -> Iterator[type[CloudshipError]]:
    yield base
    for child in base.__subclasses__():
        if child.__module__ == "cloudship.errors":
            yield from _tree(child)


CLASSES = list(dict.fromkeys(_tree(CloudshipError)))
_VALUES: dict[str, Any] = {
    "status": 422,
    "retry_after": 2.0,
    "command": "true",
    "name": "SSH",
    "limit": 60.0,
    "last": "-",
}


def _made(kind: type[CloudshipError], message: str = "It happened") -> CloudshipError:
    """Make an error with the arguments that its class wants."""
    asked = list(inspect.signature(kind).parameters.values())[1:]
    wanted = {one.name: _VALUES[one.name] for one in asked if one.name in _VALUES and one.default is one.empty}
    return kind(message, **wanted)


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_says_what_where_whether_what_is_left_and_what_to_do(
    kind: type[CloudshipError], root: Path
) -> None:
    """In at most a dozen lines, whatever it carries; the same for programs, after its schema."""
    error = _made(kind)
    error.phase, error.left = "create", LEFT
    error.evidence = tuple(f"line {number}" for number in range(40))
    told = failure.lines(error)
    assert len(told) <= 12
    assert (True, True) == (told[0].startswith("error (phase create): "), error.message in told[0])
    assert ("  | line 39", "  | line 35") == (told[5], told[1])
    assert ["left behind: droplet 0, $0.00893 an hour", "left behind: 2 more, $0.01786 an hour; cloudship list"] == [
        told[6],
        told[9],
    ]
    assert ("waiting or trying again may help" if error.retryable else "trying the same again will not help") == told[
        10
    ]
    assert (True, True) == (told[-1].startswith("next: "), len(told[-1]) > 10)
    document = failure.document(error)
    jsonschema.validate(document, json.loads((root / "docs/schemas/error.json").read_text()))


@pytest.mark.parametrize(
    ("words", "phase", "status"),
    [
        (["up"], "plan", 2),
        (["up"], "inventory", 2),
        (["up"], "boot", 1),
        (["deploy", "web"], "ssh", 2),
        (["deploy", "web"], "release", 1),
        (["rollback", "web"], "release", 2),
        (["logs", "web"], "ssh", 2),
        (["down", "web"], "destroy", 2),
        (["down", "web"], None, 2),
        (["run", "web", "--", "x"], "ssh", 255),
    ],
)
def test_wrong_use_is_a_failure_where_something_was_made(words: list[str], phase: str | None, status: int) -> None:
    """Only a launch and a deploy make something, and only from some phase on."""

    def command() -> None:
        error = errors.ConfigError("No")
        error.phase = phase
        raise error

    assert status == failure.guarded(command, words, Interrupts(lambda: None, tidies=False))


@pytest.mark.parametrize("kind", CLASSES)
def test_the_tree_in_the_docstring_is_whole(kind: type[CloudshipError]) -> None:
    """Each class stands in it, and says when it happens."""
    assert kind.__name__ in (errors.__doc__ or "")
    assert inspect.getdoc(kind)


def test_wrong_use_costs_nothing_and_says_so() -> None:
    """Nothing was created, unless something is named that is left."""
    assert "nothing was created; trying the same again will not help" == failure.lines(UsageError("No"))[1]


def test_an_error_with_nothing_more_is_short() -> None:
    """What happened, whether to wait, what to do."""
    assert ["error: Gone", "trying the same again will not help", "next: this"] == failure.lines(
        CloudshipError("Gone", next_step="this")
    )


def test_the_next_step_can_be_typed_as_it_is_where_the_ship_is_known() -> None:
    """The innermost that knows its name says it; where nobody does, NAME stands for it."""
    with pytest.raises(CloudshipError) as caught, about.ship("outer"), about.ship("web"):
        raise CloudshipError("Gone", next_step="cloudship show NAME")
    assert ("cloudship show web", "cloudship show web") == (
        failure.lines(caught.value)[-1].removeprefix("next: "),
        failure.document(caught.value)["error"]["next"],
    )
    assert "next: cloudship down NAME" == failure.lines(errors.LeftBehind("Not gone"))[-1]


@given(st.text(), st.lists(st.text(), max_size=20))
def test_nothing_foreign_moves_the_cursor_or_makes_a_line(message: str, evidence: list[str]) -> None:
    """Whatever a name, an answer or a log line holds: it is one line each, and every letter prints."""
    told = failure.lines(CloudshipError(message, evidence=evidence))
    assert len(told) <= 12
    assert [] == [line for line in told if not line.isprintable()]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("two\nlines\tand", "two lines and"),
        ("\x1b[2J\x07", "\\x1b[2J\\x07"),
        ("a\u202eb", "a\\u202eb"),
        ("\udcff", "\\udcff"),
        ("naïve 中", "naïve 中"),
        ("x" * 999 + "y", "x" * 200 + " ... (1000 letters) ... " + "x" * 199 + "y"),
    ],
)
def test_legible(text: str, shown: str) -> None:
    """Letters of any script stay; what does not print is named."""
    assert shown == legible(text)


def _wrongly_used(*words: str) -> str:
    """Type a command line that cannot be; gives all that is said of it, and how it ended."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        command = lambda: app(args=list(words), prog_name="cloudship", standalone_mode=False)  # noqa: E731
        status = failure.guarded(command, list(words), Interrupts(lambda: None, tidies=False))
    assert 2 == status, (words, err.getvalue())
    return out.getvalue() + err.getvalue()


PLACES = [
    ("env", "shop", "{}"),
    ("env", "shop", "{}", "--json"),
    ("up", ".", "{}"),
    ("up", "--on-failure={}"),
    ("up", "--on-failure", "{}"),
    ("up", "--{}"),
    ("up", "--env", "{}", "--on-failure={}1"),
    ("logs", "web", "-n{}"),
    ("logs", "web", "-fn{}"),
    ("local", "{}"),
    ("down", "web", "--launch", "{}"),
    ("reap", "--owner", "{}"),
    ("{}",),
]


VALUES = [f"pa\\{SECRET}", f"pa\n{SECRET}", f"\n{SECRET}\x7f", f"pa'{SECRET}", f"p\"a'{SECRET}", f"=pa\t{SECRET}"]


@pytest.mark.parametrize("place", PLACES, ids=" ".join)
@pytest.mark.parametrize("value", VALUES)
def test_a_value_in_a_wrong_place_is_not_shown(place: tuple[str, ...], value: str) -> None:
    """In none of the forms in which the library would show it."""
    assert SECRET not in _wrongly_used(*(one.replace("{}", f"DB_PASSWORD={value}") for one in place))


@settings(max_examples=30)
@given(st.text(), st.text())
def test_no_letter_brings_a_value_into_a_message(before: str, after: str) -> None:
    """Only its name, by which whoever typed it sees what is meant."""
    word = f"DB_PASSWORD={before}{SECRET}{after}"
    for place, shown in ((("env", "shop"), "DB_PASSWORD=..."), (("up", "."), "(DB_PASSWORD=...)")):
        said = _wrongly_used(*place, word)
        assert (False, True) == (SECRET in said, shown in said)


@pytest.mark.parametrize("name", ["my-key", "app.secret", "_X1"])
def test_a_value_is_hidden_behind_any_name(name: str) -> None:
    """Also behind one that no variable may have."""
    said = _wrongly_used("env", "shop", f"{name}={SECRET}")
    assert (False, True) == (SECRET in said, f"{name}=..." in said)


@pytest.mark.parametrize("place", PLACES, ids=" ".join)
@pytest.mark.parametrize("before", ["", "KEY="])
def test_not_a_line_of_a_private_key_is_shown(place: tuple[str, ...], before: str) -> None:
    """It may have been read into the word by `$(cat ...)`."""
    said = _wrongly_used(*(one.replace("{}", before + KEY) for one in place))
    assert [] == [line for line in KEY.splitlines()[1:-1] if line[:20] in said]


def test_a_traceback_shows_the_evidence_too() -> None:
    """As Python, pytest and notebooks print what nobody caught."""
    error = ReleaseFailed("The release failed", evidence=["No module named 'x'"])
    error.left = (Left(kind=Kind.DROPLET, id="7", price_hourly=0.5),)
    assert ["  | No module named 'x'", "left behind: droplet 7, $0.50000 an hour"] == error.__notes__
    notes = "\n".join(["The release failed", *error.__notes__]) if sys.version_info >= (3, 11) else "The release failed"
    assert notes in "".join(traceback.format_exception(error))
