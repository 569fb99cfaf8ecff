"""Bodies of answers with one thing in them changed, put in their places inside the command that reads them."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from itertools import count
from typing import Any

from cloudship import wire


def mutated(told: Any, luck: random.Random) -> Any:
    """Change one thing in a body: drop it, empty it, give it another type, or put something beside it."""
    found = copy.deepcopy(told)
    places: list[tuple[Any, Any]] = []
    waiting = [found]
    while waiting:
        one = waiting.pop()
        pairs = list(one.items()) if isinstance(one, dict) else list(enumerate(one)) if isinstance(one, list) else []
        places += [(one, key) for key, _ in pairs]
        waiting += [value for _, value in pairs]
    if not places:
        return luck.choice([None, [], {}, "x", 1])
    parent, key = luck.choice(places)
    odd: list[Any] = [
        None,
        [],
        {},
        "",
        "x" * 5000,
        0,
        -1,
        1e400,
        True,
        10**30,
        [parent[key]],
        {"a": parent[key]},
        "\ud800\n\x1b",
    ]
    if luck.random() < 0.25:
        del parent[key]
    else:
        parent[key] = luck.choice(odd)
    return found


def changing_answers(at: int, times: int | None, luck: random.Random) -> Callable[[], None]:
    """Give what lets a command read changed bodies: from one of its answers on, counted from 0, so many of them."""

    def mutate() -> None:
        plain, numbers = wire.Wire.perform, count()

        def perform(self: wire.Wire, *asked: Any) -> wire.Answer:
            answer, number = plain(self, *asked), next(numbers)
            if answer.content and number >= at and (times is None or number < at + times):
                answer._content = json.dumps(mutated(answer.json(), luck)).encode()
            return answer

        wire.Wire.perform = perform  # type: ignore[method-assign]

    return mutate
