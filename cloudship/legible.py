"""Foreign text, made fit to be shown in a line: it moves no cursor, turns no direction and hides nothing."""

from __future__ import annotations

import re

MOST = 400  # letters of one line
_ASSIGNED = re.compile(r"([A-Za-z_][A-Za-z0-9_.-]*)=.", re.DOTALL)
_LOGIN = re.compile(r"(?<!\S)[^\s:]*:\S*@")  # up to the last @, as a password may hold others; a look per word
_KEY = "PRIVATE KEY-----"
_COLOURS = re.compile(r"\x1b\[[0-9;:]*m")


def legible(text: str, most: int | None = MOST) -> str:
    """
    Write a text in one line: line ends and tabs as blanks, colours left out, what else does not print as its escape.

    Args:
        text: from anybody: a user's name for something, an answer of the API, a line of an app's log.
        most: letters that are shown, of its beginning and of its end; None: all.
    """
    text = _COLOURS.sub("", text)
    if most is not None and len(text) > most:
        text = f"{text[: most // 2]} ... ({len(text)} letters) ... {text[-most // 2 :]}"
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else " " if one in "\n\r\t" else _escaped(one) for one in text)


def typed(text: str) -> str:
    """
    Write what somebody typed where it does not belong, without what may be secret in it.

    Of `NAME=value` the name is left, of a URL all but who logs in there, of a private key nothing.
    """
    if _KEY in text:
        return "a private key"
    assigned = _ASSIGNED.match(text)
    return f"{assigned[1]}=..." if assigned else _LOGIN.sub("***@", text)


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")
