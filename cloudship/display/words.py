"""Texts as wide as there is room: folded on a terminal, as they are elsewhere."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from cloudship.legible import legible

HARD_BLANK = "\N{NO-BREAK SPACE}"  # where a line is not to be broken


def folded(text: str, width: int, *, most: int = 0, whole_words: bool = False) -> list[str]:
    """
    Fold a text into lines.

    Args:
        text: one line of any length.
        width: of the lines.
        most: how many lines at most, the last one marked where something is left out; 0: all.
        whole_words: let a longer word stand over: a URL in two pieces cannot be copied.
    """
    wrap = textwrap.TextWrapper(max(8, width), break_on_hyphens=False, break_long_words=not whole_words)
    lines = [_plain(line) for line in wrap.wrap(_shown(text))] or [""]
    if most and len(lines) > most:
        kept = lines[most - 1][: max(1, max(8, width) - 3)].rstrip()
        return [*lines[: most - 1], f"{kept}..."]
    return lines


def facts(rows: Sequence[tuple[str, str]], width: int | None) -> list[str]:
    """
    Write names and what they are in two columns, folded under the second; one under the other where it is narrow.

    Args:
        rows: name and text of each.
        width: of the terminal; None: there is none, and nothing is folded.
    """
    column = max(len(name) for name, _ in rows) + 4
    if width is None:
        return [f"  {name:<{column - 2}}{_plain(text)}" for name, text in rows]
    narrow = width < column + 30
    lines = []
    for name, text in rows:
        indent = 4 if narrow else column
        first, *rest = folded(text, width - indent, whole_words=True)
        lines += [f"  {name}", f"    {first}"] if narrow else [f"  {name:<{column - 2}}{first}"]
        lines += [" " * indent + one for one in rest]
    return lines


def _plain(text: str) -> str:
    """Put blanks in place of those at which a line was not to be broken."""
    return text.replace(HARD_BLANK, " ")


def _shown(text: str) -> str:
    return HARD_BLANK.join(legible(part, None) for part in text.split(HARD_BLANK))
