"""The last line of defence: every error becomes a message of at most a dozen lines and an exit status."""

from __future__ import annotations

import json
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import typer

from cloudship import durable
from cloudship.cli.interrupts import Interrupts
from cloudship.cli.words import own, verb
from cloudship.errors import Abandoned, CloudshipError, Terminated, UsageError
from cloudship.legible import legible, typed

USAGE, FAILED = 2, 1
OWN_FAILURE = 255  # of `run`, which keeps the small numbers for the command that it ran
# Phases before anything exists, in verbs that make something: there wrong use is told from misfortune.
_NOTHING_CREATED = {"up": (None, "inventory", "plan", "key"), "deploy": (None, "inventory", "plan", "ssh")}
MOST, LEFT = 12, 3  # lines of all, and of what is left
_FLAGS = 5  # letters that may stand before a value in a word such as -fn100
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# typer carries a click of its own since 0.20 or so; its public error leads to that one's base.
_WRONG_USE: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


def guarded(command: Callable[[], Any], words: list[str], interrupts: Interrupts) -> int:
    """Carry out a command, and turn however it ends into an exit status."""
    as_json, debug = "--json" in own(words), "--debug" in own(words)
    try:
        found = command()
    except _WRONG_USE as error:
        _show_usage(error, words, as_json=as_json)
        return OWN_FAILURE if verb(words) == "run" else USAGE
    except typer.Exit as error:
        return int(error.exit_code)
    except CloudshipError as error:
        return _told(error, as_json=as_json, debug=debug, status=_status(error, words))
    except Abandoned:
        interrupts.report_once()
        return interrupts.status
    except (KeyboardInterrupt, Terminated, typer.Abort):
        return _interrupted(words, interrupts)
    except BrokenPipeError:
        return FAILED
    except Exception as error:  # noqa: BLE001  nobody is shown a library's traceback; --debug shows it
        if (lacking := durable.exhausted(error)) is not None:
            return _told(lacking, as_json=as_json, debug=debug, status=_status(lacking, words))
        return _bug(error, as_json=as_json, debug=debug, status=_status(None, words))
    if interrupts.first is not None:  # typer makes an exit status of Ctrl-C
        return _interrupted(words, interrupts)
    return found if isinstance(found, int) else 0


def lines(error: CloudshipError) -> list[str]:
    """Write an error for people: what happened and where, the evidence, what is left, whether to wait, what to do."""
    where = f" (phase {error.phase})" if error.phase else ""
    end = [*_left(error), _prospect(error), f"next: {error.advice}"]
    room = MOST - 1 - len(end)
    told = [f"error{where}: {error.message}", *(f"  | {line}" for line in error.evidence[-room:]), *end]
    return [legible(line) for line in told]


def _left(error: CloudshipError) -> list[str]:
    """Name what is left; of many things the last line counts those that are not named."""
    named, more = error.left[:LEFT], error.left[LEFT:]
    told = [f"left behind: {one}" for one in named]
    price = sum(one.price_hourly for one in more)
    return [*told, f"left behind: {len(more)} more, ${price:.5f} an hour; cloudship list"] if more else told


def _prospect(error: CloudshipError) -> str:
    if error.retryable:
        return "waiting or trying again may help"
    nothing = isinstance(error, UsageError) and not error.left
    return f"{'nothing was created; ' if nothing else ''}trying the same again will not help"


def document(error: CloudshipError) -> dict[str, Any]:
    """Write an error for programs."""
    told = {
        "type": type(error).__name__,
        "message": error.message,
        "phase": error.phase,
        "retryable": error.retryable,
        "left": [{"kind": one.kind.value, "id": one.id, "price_hourly": one.price_hourly} for one in error.left],
        "next": error.advice,
    }
    return {"error": told}


def _told(error: CloudshipError, *, as_json: bool, debug: bool, status: int) -> int:
    if debug:
        traceback.print_exception(error, file=sys.stderr)
    if as_json:
        print(json.dumps(document(error), indent=2))
    print("\n".join(lines(error)), file=sys.stderr)
    return status


def _status(error: CloudshipError | None, words: list[str]) -> int:
    """Give the exit status."""
    if verb(words) == "run":
        return OWN_FAILURE
    if error is None or error.left or error.phase not in _NOTHING_CREATED.get(verb(words) or "", (error.phase,)):
        return FAILED
    return error.exit_status


def _show_usage(error: Any, words: list[str], *, as_json: bool) -> None:
    message = error.format_message().replace("Value error, ", "")  # the validator's own word, which says nothing
    message = _masked(message, words)
    if as_json:
        print(json.dumps(document(UsageError(message)), indent=2))
    if type(error).__name__ == "NoArgsIsHelpError":  # its message is the whole help
        print(message, file=sys.stderr)
        return
    print(f"error: {legible(message)}", file=sys.stderr)
    context = getattr(error, "ctx", None)
    if context is not None:
        print(f"next: {context.command_path} --help", file=sys.stderr)


def _masked(message: str, words: list[str]) -> str:
    """Take what may be secret out of a message that shows what was typed: a value may stand where it should not."""
    pieces = {piece for word in words for piece in _pieces(word) if typed(piece) != piece}
    for piece in sorted(pieces, key=len, reverse=True):  # one may be the beginning of another
        escaped = _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", piece)
        for form in (repr(piece)[1:-1], escaped, piece):  # in quotes, among words too many, or as it is
            message = message.replace(form, typed(piece))
    return message


def _pieces(word: str) -> Iterator[str]:
    """Give a word, and whatever the library may take for a flag's name or value in it."""
    yield word
    if word.startswith("-"):
        yield from word.partition("=")[::2]
        yield from (word[letters:] for letters in range(2, _FLAGS))


def _bug(error: Exception, *, as_json: bool, debug: bool, status: int) -> int:
    told = CloudshipError(
        f"Something went wrong that cloudship did not foresee: {type(error).__name__}: {error}",
        next_step="the same command with --debug shows where; cloudship list shows what runs",
    )
    if debug:
        traceback.print_exception(error, file=sys.stderr)
    return _told(told, as_json=as_json, debug=False, status=status)


def _interrupted(words: list[str], interrupts: Interrupts) -> int:
    from cloudship.cli.leftovers import LEFTOVERS

    if verb(words) == "up":
        left = LEFTOVERS.lines(interrupts.began)
        told = ["interrupted", *left] if left else ["interrupted; nothing is left behind"]
        print("\n".join(told), file=sys.stderr)
    elif interrupts.tidies:
        print("\n".join(["interrupted", *LEFTOVERS.unbegun()]), file=sys.stderr)
    return interrupts.status
