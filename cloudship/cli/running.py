"""What is changed on a ship that runs: `env`, `maintenance`, `scale`."""

from __future__ import annotations

import json
import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cloudship.cli.finding import the_ship
from cloudship.cli.options import CloudOption, JsonOption, NameArgument, State

if TYPE_CHECKING:
    from cloudship.models import Secret
    from cloudship.ship import Ship


class EnvAction(str, Enum):
    """What is done to the app's values."""

    LIST = "list"
    SET = "set"
    UNSET = "unset"
    IMPORT = "import"


class Switch(str, Enum):
    """Whether something is to be so."""

    ON = "on"
    OFF = "off"
    STATUS = "status"


def env(
    name: NameArgument,
    action: Annotated[EnvAction, typer.Argument(help="What to do.", show_default=False)] = EnvAction.LIST,
    items: Annotated[
        list[str] | None,
        typer.Argument(help="set: NAME=value, or NAME to read the value; unset: NAME; import: a file, - for input."),
    ] = None,
    reveal: Annotated[bool, typer.Option("--reveal", help="Show the values themselves.")] = False,  # noqa: FBT002
    cloud: CloudOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Show or change the app's values; a change makes a release without a build."""
    given = tuple(items or ())
    _check(action, given)
    told = _given(action, given)
    ship = the_ship(name, cloud)
    if action is EnvAction.LIST:
        _show_values(ship.env(), reveal=reveal, as_json=as_json)
        return
    made = _changed(ship, told, given if action is EnvAction.UNSET else ())
    if as_json:
        print(json.dumps({"name": ship.name, "release": made, "changed": made is not None}, indent=2))
    elif made is not None:
        print(f"{ship.name}: release {made} is live with them", file=sys.stderr)


def maintenance(
    name: NameArgument,
    switch: Annotated[Switch, typer.Argument(help="on, off or status.", show_default=False)] = Switch.STATUS,
    message: Annotated[str, typer.Option(help="A sentence for visitors.", show_default=False)] = "",
    cloud: CloudOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Show visitors a page of maintenance in place of the app, or say whether they see it."""
    ship = the_ship(name, cloud)
    if switch is Switch.ON:
        ship.close_site(message)
    elif switch is Switch.OFF:
        ship.open_site()
    closed = ship.in_maintenance() if switch is Switch.STATUS else switch is Switch.ON
    if as_json:
        print(json.dumps({"name": ship.name, "maintenance": closed}, indent=2))
    else:
        print("on" if closed else "off")


def scale(
    name: NameArgument,
    counts: Annotated[
        list[str] | None, typer.Argument(help="PROCESS=COUNT, as in worker=2; none: show.", show_default=False)
    ] = None,
    cloud: CloudOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Say how many of each process of the Procfile run."""
    wanted = _counts(counts or [])
    ship = the_ship(name, cloud)
    found = ship.scale(**wanted)
    if as_json:
        print(json.dumps(found, indent=2))
        return
    for process, count in sorted(found.items()):
        print(f"{process}={count}")
    if not found:
        print("the Procfile of the live release has no processes beside web", file=sys.stderr)


def _check(action: EnvAction, items: tuple[str, ...]) -> None:
    from cloudship.errors import ConfigError

    if action is EnvAction.LIST and items:
        raise ConfigError("list takes no names; all are listed")
    if action in (EnvAction.SET, EnvAction.UNSET) and not items:
        raise ConfigError(f"{action.value} what?", next_step=f"cloudship env NAME {action.value} KEY...")
    if action is EnvAction.IMPORT and len(items) != 1:
        raise ConfigError("import takes one file, or - for standard input")


def _given(action: EnvAction, items: tuple[str, ...]) -> dict[str, Secret]:
    """Read the values to set; one without a value is read from the input, so that it is in nobody's history."""
    from cloudship import config

    if action is EnvAction.IMPORT:
        return config.read_env_file(Path("/dev/stdin" if items[0] == "-" else items[0]))
    if action is EnvAction.SET:
        return config.parse_env(tuple(item if "=" in item else f"{item}={_read_value(item)}" for item in items))
    return {}


def _read_value(name: str) -> str:
    from cloudship.errors import ConfigError

    if sys.stdin.isatty():
        return str(typer.prompt(name, hide_input=True, err=True))
    line = sys.stdin.readline()
    if not line:
        raise ConfigError(f"{name}: the input ended before its value", next_step=f"for an empty value: {name}=")
    return line.rstrip("\n")


def _changed(ship: Ship, values: dict[str, Secret], unset: tuple[str, ...]) -> int | None:
    from cloudship.display import on_stream

    with on_stream(verbose=State.verbose) as display:
        return ship.set_env(values, unset=unset, notify=display.notify)


def _show_values(found: dict[str, Any], *, reveal: bool, as_json: bool) -> None:
    shown = {name: found[name].reveal() if reveal else "***" for name in sorted(found)}
    if as_json:
        print(json.dumps(shown, indent=2))
        return
    for name, value in shown.items():
        print(f"{name}={value}")


def _counts(items: list[str]) -> dict[str, int]:
    from cloudship.errors import ConfigError
    from cloudship.legible import typed

    found = {}
    for item in items:
        process, _, count = item.partition("=")
        if not process or not count.isdecimal():
            raise ConfigError(f"{typed(item)!r}: write it as PROCESS=COUNT, as in worker=2")
        found[process] = int(count)
    return found
