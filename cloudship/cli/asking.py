"""Questions on the terminal, before something is destroyed."""

from __future__ import annotations

import sys

import typer

from cloudship.cli.failure import FAILED


def agreed(question: str, *, otherwise: str) -> None:
    """
    Ask, and go on with a yes.

    Args:
        question: with what would be destroyed.
        otherwise: said to who answers no, as the command ends with status 1.
    """
    if not typer.confirm(question, err=True):
        print(otherwise, file=sys.stderr)
        raise typer.Exit(FAILED)
