"""What is wrong with a configuration, in words: which key, where it was written, what belongs there."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

_WORDS = {  # pydantic's own name of a fault: what belongs there
    "string_type": "a text in quotes",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "dict_type": "a table",
    "model_type": "a table",
    "tuple_type": "a list",
}
_PATTERNS = {  # key: what its pattern says
    "health.path": "it begins with /; ASCII letters without blanks and #, others as %xx",
    "owner": "letters, digits, '_' and '-', at most 60",
    "python_mirror": "a URL that begins with http:// or https://",
}
_SLUG = "letters, digits, '.', '_' and '-', at most 100"
VARIABLES = "CLOUDSHIP_"  # where a key was set in the environment: so its name begins


def told(fault: Any, tables: Mapping[str, Collection[str]], layers: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """
    Say one fault.

    Args:
        fault: as pydantic tells it.
        tables: the keys that there are, of the whole under "" and of each table under its name.
        layers: what was read, each with its file's name, with VARIABLES, or with nothing for keywords and flags.
    """
    path = [str(part) for part in fault["loc"] if not str(part).startswith("function-")]
    key = ".".join(path)
    return f"{_place(path, key, layers)}: {_said(fault, path, key, tables)}"


def _place(path: list[str], key: str, layers: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """Name a key as it was written: what was read last won."""
    origin = next((name for name, told in reversed(layers) if _holds(told, path)), "")
    if origin == VARIABLES:
        return VARIABLES + key.upper().replace(".", "_")
    return f"{origin}: {key}" if origin else key


def _holds(layer: Mapping[str, Any], path: list[str]) -> bool:
    if not path or path[0] not in layer:
        return False
    table = layer[path[0]]
    return len(path) == 1 or not isinstance(table, Mapping) or path[1] in table


def _said(fault: Any, path: list[str], key: str, tables: Mapping[str, Collection[str]]) -> str:
    if fault["type"] == "extra_forbidden":
        known = tables.get(".".join(path[:-1]), tables[""])
        near = difflib.get_close_matches(path[-1], known, n=1, cutoff=0.5)
        return f"there is no such key{f'; did you mean {near[0]!r}?' if near else f'; known are {_listed(known)}'}"
    if fault["type"] == "string_pattern_mismatch":
        return _PATTERNS.get(key, _SLUG)
    if words := _WORDS.get(fault["type"]):
        return f"{words} belongs here"
    return str(fault["msg"]).removeprefix("Value error, ").replace("Input should be", "it is to be")


def _listed(known: Collection[str]) -> str:
    return ", ".join(sorted(known))
