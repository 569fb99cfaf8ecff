"""The pre-receive hook: what may be pushed, and that a push whose release fails is rejected."""

from __future__ import annotations

from typing import Iterable, Optional, Tuple

BRANCH = "refs/heads/main"
DEPLOYED = "refs/cloudship/deployed"  # where a client puts what has no history to go on from
_NOTHING = "0" * 40


class RefusedError(Exception):
    """A push that is not for us; the message says what to do instead."""


def commit(lines: Iterable[str]) -> str:
    """
    Find the commit to release among what is pushed: `old new ref` a line.

    Raises:
        RefusedError: another branch, a tag, a deletion, or more than one.
    """
    updates = [tuple(line.split()) for line in lines if line.strip()]
    if len(updates) != 1:
        raise RefusedError("push one branch: git push ship main")
    reason = _refusal(updates[0])
    if reason:
        raise RefusedError(reason)
    return updates[0][1]


def _refusal(update: Tuple[str, ...]) -> Optional[str]:
    _, new, ref = update
    if ref == DEPLOYED and set(new) != set(_NOTHING):
        return None
    if ref != BRANCH:
        return f"{ref} is not released here; push main: git push ship {ref.rsplit('/', 1)[-1]}:main"
    if set(new) == set(_NOTHING):
        return "main is live and cannot be deleted; take the ship down instead: cloudship down"
    return None
