"""One of a few words, as it is given from Python: the word itself or a text."""

from __future__ import annotations

from enum import Enum
from typing import TypeVar

from cloudship.errors import ConfigError

E = TypeVar("E", bound=Enum)


def choice(kind: type[E], given: E | str, what: str) -> E:
    """
    Read a choice.

    Args:
        kind: what there is to choose from.
        given: what was chosen.
        what: is chosen, for people: "cloud".

    Raises:
        ConfigError: there is no such choice; with those that there are.
    """
    try:
        return kind(given)
    except ValueError:
        there_are = ", ".join(str(one.value) for one in kind)
        raise ConfigError(f"There is no {what} {given!r}; there are: {there_are}") from None
