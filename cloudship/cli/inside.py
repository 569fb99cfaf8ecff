"""What is done inside a ship: `ssh`, `run`, `logs`."""

from __future__ import annotations

import json
import os
import sys
from typing import Annotated

import typer

from cloudship.cli.finding import the_ship
from cloudship.cli.options import CloudOption, NameArgument


def ssh(name: NameArgument, cloud: CloudOption = None) -> None:
    """Log in as root, with the ship's own key and its pinned host key."""
    ship = the_ship(name, cloud)
    words = ship.openssh()
    os.execvp(words[0], list(words))


def run(
    name: NameArgument,
    command: Annotated[list[str], typer.Argument(help="-- and the command.", show_default=False)],
    root: Annotated[bool, typer.Option("--root", help="As root, not as the app's user.")] = False,  # noqa: FBT002
    cloud: CloudOption = None,
) -> int:
    """Run a command in the live release; ends with the command's own status, 255 when cloudship failed."""
    from cloudship import fleet
    from cloudship.models import CONTROL

    ship = fleet.get(name, cloud=cloud)
    data = b"" if sys.stdin is None or sys.stdin.isatty() else sys.stdin.buffer.read()
    words = (CONTROL, "run", *(("--root",) if root else ()), "--", *command)
    done = ship.execute(words, stdin=data)
    sys.stdout.write(done.stdout)
    sys.stderr.write(done.stderr)
    return done.exit_status


def logs(
    name: NameArgument,
    process: Annotated[str, typer.Argument(help="Of the Procfile, of a schedule, or all.")] = "web",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines come.")] = False,  # noqa: FBT002
    boot: Annotated[bool, typer.Option("--boot", help="The first boot instead of the app.")] = False,  # noqa: FBT002
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many to begin with.")] = 100,
    since: Annotated[str | None, typer.Option(help="From when on, as in '1h ago'.", show_default=False)] = None,
    cloud: CloudOption = None,
) -> int:
    """Show what the app said, or with --boot the first boot, live from the first second that sshd answers."""
    ship = the_ship(name, cloud)
    if boot:
        return ship.follow_boot(_boot_line)
    if follow:
        return ship.follow_logs(_print, lines=lines, process=process, since=since)
    sys.stdout.write(ship.logs(lines=lines, process=process, since=since))
    return 0


def _boot_line(line: str) -> None:
    try:
        told = json.loads(line)
        _print(f"{told['stage']:<10} {told['state']:<8} {told['text']}".rstrip())
    except (ValueError, KeyError, TypeError):
        _print(line)


def _print(line: str) -> None:
    print(line, flush=True)
