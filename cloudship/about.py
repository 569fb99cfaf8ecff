"""What an error is told as it passes by: which ship it is about, and in which phase it came up. The innermost wins."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cloudship.errors import CloudshipError

# What is no phase of a launch; those are `events.Phase`.
INVENTORY = "inventory"  # reading what there is; nothing is changed yet
DESTROY = "destroy"
EXTEND = "extend"


@contextmanager
def ship(name: str) -> Iterator[None]:
    """Let errors that pass through know which ship they are about."""
    try:
        yield
    except CloudshipError as error:
        error.ship = error.ship or name
        raise


@contextmanager
def phase(name: str) -> Iterator[None]:
    """Let errors that pass through know in which phase they came up."""
    try:
        yield
    except CloudshipError as error:
        error.phase = error.phase or name
        raise
