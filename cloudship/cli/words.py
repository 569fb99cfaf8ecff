"""The words of a command line, as far as they matter before and after the command itself."""

from __future__ import annotations

from collections.abc import Sequence

_TIDYING = frozenset({"up", "down", "reap", "deploy", "rollback", "env", "local"})  # make or destroy things


def own(words: Sequence[str]) -> list[str]:
    """Leave out what belongs to the command that `run` runs."""
    return list(words[: words.index("--")] if "--" in words else words)


def verb(words: Sequence[str]) -> str | None:
    """Say which verb it is: the first word that is no flag."""
    return next((word for word in words if not word.startswith("-")), None)


def tidies(words: Sequence[str]) -> bool:
    """Whether the verb makes or destroys things, so that an interrupt has something to clean up."""
    return verb(words) in _TIDYING
