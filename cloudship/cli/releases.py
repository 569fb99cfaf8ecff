"""What happens after `up`, a hundred times: `deploy`, `rollback`, `releases`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from cloudship.cli.options import CloudOption, ConfigOption, JsonOption, NameArgument, State

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
    from cloudship import fleet
    from cloudship.cli.upanddown import values
    from cloudship.display import on_stream

    given: dict[str, Any] = {"env": told} if (told := values(env, env_file)) else {}
    ship = fleet.get(name, cloud=cloud)
    print(f"cloud: {ship.cloud.value}", file=sys.stderr)
    with on_stream(verbose=State.verbose) as notify:
        done = ship.deploy(source, config_file=config, notify=notify, **given)
    phases = [{"name": time.name, "seconds": time.seconds} for time in done.timeline]
    if as_json:
        told = {"name": ship.name, "url": ship.url, "release": done.release, "commit": done.description}
        print(json.dumps({**told, "phases": phases}, indent=2))
        return
    print(ship.url)
    whole = sum(time.seconds for time in done.timeline)
    shown = "  ".join(f"{time.name} {time.seconds:.1f}" for time in done.timeline)
    print(f"{ship.name}: release {done.release} ({done.description}) is live", file=sys.stderr)
    print(f"  go back: cloudship rollback {ship.name}", file=sys.stderr)
    print(f"  seconds: {whole:.1f} = {shown}", file=sys.stderr)


def rollback(
    name: NameArgument,
    release: Annotated[
        int | None, typer.Argument(help="Which; default: the last good one before the live one.")
    ] = None,
    cloud: CloudOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Make an earlier release live again, its environment included."""
    from cloudship import fleet
    from cloudship.display import on_stream

    ship = fleet.get(name, cloud=cloud)
    print(f"cloud: {ship.cloud.value}", file=sys.stderr)
    with on_stream(verbose=State.verbose) as notify:
        number = ship.rollback(release, notify=notify)
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
    from cloudship import fleet

    ship = fleet.get(name, cloud=cloud)
    print(f"cloud: {ship.cloud.value}", file=sys.stderr)
    if log or release is not None:
        _show_log(ship.release_log(release), as_json=as_json)
        return
    found = [one.model_dump(mode="json") for one in ship.releases()]
    if as_json:
        print(json.dumps(found, indent=2))
        return
    rows = [_COLUMNS, *(_row(one) for one in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
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
    for event in events:
        if as_json:
            print(json.dumps(event))
            continue
        seconds = f"{event['seconds']:.2f} s" if event.get("seconds") else ""
        print(
            f"{event.get('stage', ''):<13} {event.get('state', ''):<8} {seconds:>8}  {event.get('text', '')}".rstrip()
        )
