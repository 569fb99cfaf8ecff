"""What the droplet says about a release, read."""

from __future__ import annotations

import pytest

from cloudship import verdict


@pytest.mark.parametrize(
    ("said", "number"),
    [
        (["-> switch", "cloudship: release 12 is live"], 12),
        (["cloudship: release 3 is live again"], 3),
        (["cloudship: release 3 is live", "cloudship: http://10.0.0.1/ is where visitors see it"], 3),
        (["the app printed: release 4 is live"], None),
        ([], None),
    ],
)
def test_the_number_is_the_one_that_was_announced(said: list[str], number: int | None) -> None:
    """Only the program's own line counts."""
    assert number == verdict.number(said)


def test_a_failure_carries_the_guilty_lines_and_what_to_do() -> None:
    """The reason in the message, the lines as evidence."""
    said = ["-> probe", "  | Traceback", "  | KeyError: 'X'", "cloudship: release failed: it does not answer"]
    error = verdict.failure(said, next_step="mend it")
    assert "The release failed: it does not answer" == error.message
    assert (("Traceback", "KeyError: 'X'"), "mend it") == (error.evidence, error.next_step)


def test_a_refusal_is_told_in_its_own_words() -> None:
    """A push of a branch that is not released has no guilty lines."""
    error = verdict.failure(["cloudship: dev is not released here"], next_step="x")
    assert "The release failed: dev is not released here" == error.message


def test_pythons_own_frames_and_what_was_just_said_are_left_out() -> None:
    """What is left names the app's line."""
    said = [
        '  |   File "<frozen importlib._bootstrap>", line 690, in _load_unlocked',
        '  |   File "<frozen importlib._bootstrap_external>", line 940, in exec_module',
        '  |   File "/srv/web/releases/1/tree/app.py", line 2, in <module>',
        "  |     import absent",
        "  | ModuleNotFoundError: No module named 'absent'",
        "  | No module named 'absent'",
        "  | KeyError: ",
        "  | ",
        "cloudship: release failed: the process ended",
    ]
    assert (
        '  File "/srv/web/releases/1/tree/app.py", line 2, in <module>',
        "    import absent",
        "ModuleNotFoundError: No module named 'absent'",
        "KeyError: ",
    ) == verdict.failure(said, next_step="").evidence
