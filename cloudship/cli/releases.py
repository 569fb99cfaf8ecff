"""What happens after `up`, a hundred times: `deploy`, `rollback`, `releases`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from cloudship.cli.finding import the_ship
from cloudship.cli.options import CloudOption, ConfigOption, JsonOption, NameArgument, State
from cloudship.cli.showing import phases, seconds, table, width_of

_COLUMNS = ("RELEASE", "STATE", "MADE BY", "WHO", "WHEN", "WHAT", "SECONDS")


def deploy(
    name: NameArgument,
    source: Annotated[str, typer.Argument(help="A folder or a git URL, each with optional @ref.")] = ".",
    env: Annotated[list[str] | None, typer.Option(help="NAME=value for the app; repeatable.")] = None,
    env_file: Annotated[Path | None, typer.Option(help="A file of NAME=value lines.", show_default=False)] = None,
    config: ConfigOption = None,
    cloud: CloudOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Make a source the live release; the one before stays live until the new one answers. Prints the URL."""
    from cloudship.cli.upanddown import values
    from cloudship.display import on_stream
    from cloudship.display.words import facts

    given: dict[str, Any] = {"env": told} if (told := values(env, env_file)) else {}
    ship = the_ship(name, cloud)
    with on_stream(verbose=State.verbose) as display:
        done = ship.deploy(source, config_file=config, notify=display.notify, **given)
    if as_json:
        told = {"name": ship.name, "url": ship.url, "release": done.release, "commit": done.description}
        print(json.dumps({**told, "phases": phases(done.timeline)}, indent=2))
        return
    print(f"{ship.name}: release {done.release} is live", file=sys.stderr)
    rows = [
        ("url", ship.url),
        ("sent", done.description),
        ("go back", f"cloudship rollback {ship.name}"),
        ("seconds", seconds(done.timeline)),
    ]
    print("\n".join(facts(rows, width_of(sys.stderr))), file=sys.stderr, flush=True)
    print(ship.url)


def rollback(
    name: NameArgument,
    release: Annotated[
        int | None, typer.Argument(help="Which; default: the last good one before the live one.")
    ] = None,
    cloud: CloudOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Make an earlier release live again, its environment included."""
    from cloudship.display import on_stream

    ship = the_ship(name, cloud)
    with on_stream(verbose=State.verbose) as display:
        number = ship.rollback(release, notify=display.notify)
    if as_json:
        print(json.dumps({"name": ship.name, "url": ship.url, "release": number}, indent=2))
    else:
        print(f"{ship.name}: release {number} is live again", file=sys.stderr)
        print(ship.url)


def releases(
    name: NameArgument,
    release: Annotated[int | None, typer.Argument(help="Which one's log; default with --log: the newest.")] = None,
    log: Annotated[bool, typer.Option("--log", help="The log of a release instead of the list.")] = False,  # noqa: FBT002
    cloud: CloudOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """List the releases that are kept, newest first, or show the log of one."""
    ship = the_ship(name, cloud)
    if log or release is not None:
        _show_log(ship.release_log(release), as_json=as_json)
        return
    found = [one.model_dump(mode="json") for one in ship.releases()]
    if as_json:
        print(json.dumps(found, indent=2))
        return
    print(table(_COLUMNS, [_row(one) for one in found]))
    for one in found:
        if one["failure"]:
            print(f"release {one['number']} failed: {one['failure']}", file=sys.stderr)


def _row(told: dict[str, Any]) -> tuple[str, ...]:
    whole = f"{sum(told['seconds'].values()):.1f}" if told["seconds"] else "-"
    return (
        str(told["number"]),
        told["state"],
        told["action"] or "-",
        told["by"] or "-",
        told["at"] or "-",
        told["commit"] or "-",
        whole,
    )


def _show_log(events: Any, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(list(events), indent=2))
        return
    for event in events:
        taken = f"{event['seconds']:.2f} s" if event.get("seconds") else ""
        print(f"{event.get('stage', ''):<13} {event.get('state', ''):<8} {taken:>8}  {event.get('text', '')}".rstrip())
