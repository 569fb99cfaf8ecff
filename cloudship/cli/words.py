"""The words of a command line, as far as they matter before and after the command itself."""

from __future__ import annotations

from collections.abc import Sequence

_TIDYING = frozenset({"up", "down", "reap", "deploy", "rollback", "env", "local"})  # make or destroy things

_GLOBAL = frozenset({"-v", "--verbose", "--debug"})


def own(words: Sequence[str]) -> list[str]:
    """Leave out what belongs to the command that `run` runs."""
    return list(words[: words.index("--")] if "--" in words else words)


def flags_first(words: Sequence[str]) -> list[str]:
    """Take the global flags from behind the verb, where many type them; `run` leaves its command's words alone."""
    mine = own(words)
    if verb(mine) in (None, "run"):
        return list(words)
    flags = [word for word in mine if word in _GLOBAL]
    return [*flags, *(word for word in mine if word not in _GLOBAL), *words[len(mine) :]]


def verb(words: Sequence[str]) -> str | None:
    """Say which verb it is: the first word that is no flag."""
    return next((word for word in words if not word.startswith("-")), None)


def tidies(words: Sequence[str]) -> bool:
    """Whether the verb makes or destroys things, so that an interrupt has something to clean up."""
    return verb(words) in _TIDYING
