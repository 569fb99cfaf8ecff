"""The app's values: read from flags and files, and checked: each is what a process can be given, byte for byte."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from cloudship.errors import ConfigError
from cloudship.legible import typed
from cloudship.models import Secret

MOST, MOST_OF_ALL = 128 * 1024 - 1, 1024 * 1024  # bytes of one with its name, as Linux has it, and of all
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
_BLANKS = " \t"


def checked(given: Mapping[str, str | Secret]) -> dict[str, Secret]:
    """
    Take values that a process can be given.

    Raises:
        ValueError: a name or a value cannot be; it names the value and does not show it.
    """
    found = {str(name): value if isinstance(value, Secret) else Secret(str(value)) for name, value in given.items()}
    whole = 0
    for name, secret in found.items():
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name for an environment variable")
        whole += _size(name, secret.reveal())
    if whole > MOST_OF_ALL:
        raise ValueError(f"they are {whole} bytes; all values of a process are at most {MOST_OF_ALL}")
    return found


def checked_names(given: Sequence[str]) -> tuple[str, ...]:
    """
    Take names that values can have.

    Raises:
        ValueError: one cannot be; what stands behind an = in it is not shown, as it may be the value.
    """
    for name in given:
        if not _NAME.fullmatch(name):
            before, equals, _ = name.partition("=")
            shown = typed(before) + ("=..." if equals else "")
            raise ValueError(f"{shown!r} is no name for an environment variable")
    return tuple(given)


def read_env_file(path: Path) -> dict[str, Secret]:
    """
    Read lines of `NAME=value`; blank lines and those that begin with # are passed over.

    A value in matching quotes loses them, one without loses the blanks around it; nothing else is interpreted, so that
    every byte arrives.

    Raises:
        ConfigError: the file cannot be read, or a line is none of these.
    """
    try:
        lines = path.read_bytes().decode("utf-8-sig").split("\n")  # `splitlines` would cut values at other letters too
    except (OSError, ValueError) as error:
        raise ConfigError(f"The env file {typed(str(path))} cannot be read: {_why(error)}") from None
    found = {}
    for number, line in enumerate(lines, start=1):
        text = line.removesuffix("\r").strip(_BLANKS).removeprefix("export ").lstrip(_BLANKS)
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.partition("=")
        if not equals or not _NAME.fullmatch(name.rstrip(_BLANKS)):
            raise ConfigError(f"{path}, line {number}: this is not NAME=value")
        found[name.rstrip(_BLANKS)] = Secret(_unquoted(value.lstrip(_BLANKS)))
    return _of_flags(found)


def parse_env(items: tuple[str, ...]) -> dict[str, Secret]:
    """
    Read `NAME=value` items as they stand on a command line.

    Raises:
        ConfigError: an item is none, which is not shown whole: it may be a value.
    """
    found = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not equals or not _NAME.fullmatch(name):
            shown = name if equals or _NAME.fullmatch(name) else "..."
            raise ConfigError(f"--env {shown}: write it as NAME=value")
        found[name] = Secret(value)
    return _of_flags(found)


def _of_flags(found: dict[str, Secret]) -> dict[str, Secret]:
    try:
        return checked(found)
    except ValueError as error:
        raise ConfigError(f"env: {error}") from None


def _size(name: str, value: str) -> int:
    if "\0" in value:
        raise ValueError(f"{name}: a value is text without a zero byte")
    try:
        raw = value.encode("utf-8", "surrogateescape")  # bytes that are no text stay what they are
    except UnicodeEncodeError:
        raise ValueError(f"{name}: half a character cannot be a value") from None
    size = len(name) + 1 + len(raw)
    if size > MOST:
        raise ValueError(f"{name}: it is {size} bytes with its name; a process takes at most {MOST}")
    return size


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value


def _why(error: Exception) -> str:
    """Say why a file cannot be read, without what is in it."""
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return "it is no UTF-8 text" if isinstance(error, UnicodeDecodeError) else "there is no such name"
