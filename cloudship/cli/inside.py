"""What is done inside a ship: `ssh`, `run`, `logs`."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from cloudship.cli.finding import the_ship
from cloudship.cli.options import CloudOption, NameArgument

if TYPE_CHECKING:
    from cloudship.events import Event


def ssh(
    name: NameArgument,
    command: Annotated[
        list[str] | None, typer.Argument(help="-- and what to do there instead, as ssh takes it.", show_default=False)
    ] = None,
    cloud: CloudOption = None,
) -> None:
    """Log in as root, with the ship's own key and its pinned host key."""
    asked = command or []
    _demand_no_flag("ssh", name, asked)
    _become((*the_ship(name, cloud).openssh(), *asked))


def run(
    name: NameArgument,
    command: Annotated[list[str], typer.Argument(help="-- and the command.", show_default=False)],
    root: Annotated[bool, typer.Option("--root", help="As root, not as the app's user.")] = False,  # noqa: FBT002
    cloud: CloudOption = None,
) -> None:
    """
    Run a command in the live release, on a terminal where this is one.

    Ends with the command's own status, 255 when cloudship failed.
    """
    from cloudship.models import CONTROL

    _demand_no_flag("run", name, command)
    words = shlex.join((CONTROL, "run", *(("--root",) if root else ()), "--", *command))
    login = the_ship(name, cloud).openssh()
    terminal = "-t" if sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty() else "-T"
    # The shell turns an end by a signal into a status; sshd alone would say 255, as if we had failed.
    _become((*login[:-1], terminal, login[-1], f"{words}; exit $?"))


def _demand_no_flag(verb: str, name: str, command: Sequence[str]) -> None:
    """Refuse what was meant for us, or would be taken by ssh for its own."""
    from cloudship.errors import ConfigError
    from cloudship.legible import typed

    if command and command[0].startswith("-"):
        shown = typed(command[0].partition("=")[0])  # what stands behind may be secret
        raise ConfigError(f"{verb} has no flag {shown}", next_step=f"cloudship {verb} {name} -- COMMAND...")


def _become(words: Sequence[str]) -> None:
    """Go on as another program: its terminal, its streams and its status are the user's own."""
    from cloudship.errors import ProgramMissing

    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execvp(words[0], list(words))
    except FileNotFoundError as error:
        raise ProgramMissing(f"{words[0]} is not installed", next_step="apt-get install openssh-client") from error


def logs(
    name: NameArgument,
    process: Annotated[str, typer.Argument(help="Of the Procfile, of a schedule, or all.")] = "web",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines come.")] = False,  # noqa: FBT002
    boot: Annotated[bool, typer.Option("--boot", help="The first boot instead of the app.")] = False,  # noqa: FBT002
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many to begin with.")] = 100,
    since: Annotated[str | None, typer.Option(help="From when on, as in '1h ago'.", show_default=False)] = None,
    cloud: CloudOption = None,
) -> int:
    """Show what the app said, or with --boot the first boot, live from the first second that sshd answers."""
    ship = the_ship(name, cloud)
    if boot:
        return ship.follow_boot(_print, notify=_Patience().notify)
    if follow:
        return ship.follow_logs(_print, lines=lines, process=process, since=since)
    sys.stdout.write(ship.logs(lines=lines, process=process, since=since))
    return 0


class _Patience:
    """Says what is waited for, each thing once."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def notify(self, event: Event) -> None:
        """Hear an attempt."""
        from cloudship.events import Attempted

        if isinstance(event, Attempted) and event.waiting_for not in self._said:
            self._said.add(event.waiting_for)
            print(f"waiting for {event.waiting_for}: {event.last}", file=sys.stderr, flush=True)


def _print(line: str) -> None:
    print(line, flush=True)
