"""`up` and `down`."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cloudship.cli.asking import agreed
from cloudship.cli.finding import folder, say_where, trace
from cloudship.cli.options import CloudOption, ConfigOption, JsonOption, State, TtlOption, YesOption
from cloudship.cli.showing import cost, phases, seconds, width_of
from cloudship.enums import Cloud, OnFailure

if TYPE_CHECKING:
    from cloudship.ship import Ship

SourceArgument = Annotated[str, typer.Argument(help="A folder, or a git URL with optional @ref.")]


def up(
    source: SourceArgument = ".",
    name: Annotated[str | None, typer.Option(help="The ship's name.", show_default=False)] = None,
    image: Annotated[str | None, typer.Option(help="Image slug.", show_default=False)] = None,
    size: Annotated[str | None, typer.Option(help="Size slug.", show_default=False)] = None,
    region: Annotated[str | None, typer.Option(help="Region slug.", show_default=False)] = None,
    ttl: TtlOption = None,
    app: Annotated[str | None, typer.Option(help="MODULE:CALLABLE.", show_default=False)] = None,
    env: Annotated[list[str] | None, typer.Option(help="NAME=value for the app; repeatable.")] = None,
    env_file: Annotated[Path | None, typer.Option(help="A file of NAME=value lines.", show_default=False)] = None,
    config: ConfigOption = None,
    on_failure: Annotated[OnFailure, typer.Option(help="What becomes of the droplet.")] = OnFailure.DESTROY,
    cloud: CloudOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Put an app online on a fresh droplet; prints its URL once it answers."""
    from cloudship import launch
    from cloudship.cli.leftovers import LEFTOVERS
    from cloudship.cli.localcloud import starter
    from cloudship.display import on_stream

    keys = {"image": image, "size": size, "region": region, "ttl": ttl, "app": app, "env": values(env, env_file)}
    given: dict[str, Any] = {key: value for key, value in keys.items() if value not in (None, {})}
    with on_stream(verbose=State.verbose) as display:
        ship = launch.up(
            source,
            name=name,
            cloud=cloud,
            config_file=config,
            on_failure=on_failure,
            notify=LEFTOVERS.hearing(display.notify),
            start_local=starter(display),
            **given,
        )
    _summarise(ship)
    print(json.dumps(launched(ship), indent=2) if as_json else ship.url, flush=True)


def down(
    name: Annotated[str | None, typer.Argument(help="The ship; default: what `up` would call it here.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every ship of yours.")] = False,  # noqa: FBT002
    launch: Annotated[
        str | None, typer.Option(help="Only what this launch of it made; others stay.", show_default=False)
    ] = None,
    yes: YesOption = False,  # noqa: FBT002
    cloud: CloudOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Destroy a ship and all that belongs to it, and prove it gone."""
    from cloudship import fleet
    from cloudship.cli.leftovers import LEFTOVERS
    from cloudship.cli.localcloud import starter
    from cloudship.display import on_stream
    from cloudship.errors import ConfigError

    if every and name is not None:
        raise ConfigError(f"--all takes every ship; {name} alone: cloudship down {name}")
    if every and launch is not None:
        raise ConfigError("--all takes every ship; one launch of one: cloudship down NAME --launch ID")
    asked = None if every else default_name() if name is None else name
    verbs = ("down --all", "reap") if asked is None else (f"down {shlex.quote(asked)}",)
    where = f" --launch {shlex.quote(launch)}" if launch is not None else ""
    where += f" --cloud {cloud.value}" if cloud is not None else ""
    LEFTOVERS.mended_by(*(f"cloudship {verb}{where}" for verb in verbs), several=asked is None)
    whose = f"; ships of {fleet.configured_owner(folder())}" if asked is None else ""
    with on_stream(verbose=State.verbose) as display:
        say_where(cloud, start_local=starter(display), more=whose)
    found = _agreed_on(cloud, yes=yes) if asked is None else []
    with on_stream(verbose=State.verbose) as display:
        notify = LEFTOVERS.hearing(display.notify)
        if asked is None:
            receipts = fleet.down_all(found, notify=notify, told=lambda one: print(receipt_line(one), file=sys.stderr))
        else:
            receipts = (fleet.down(asked, cloud=cloud, launch=launch, notify=notify),)
    if asked is not None:
        print(receipt_line(receipts[0]), file=sys.stderr)
        if not receipts[0].destroyed:
            _suggest(asked, launch, cloud)
    if as_json:
        told = [receipt.model_dump(mode="json") for receipt in receipts]
        print(json.dumps(told if every else told[0], indent=2))


def _suggest(name: str, launch: str | None, cloud: Cloud | None) -> None:
    """Say what may have been meant where nothing was there; a ship of somebody else's was not."""
    from cloudship import fleet
    from cloudship.errors import CloudshipError

    try:
        mine = fleet.likely(name, owner=fleet.configured_owner(folder()), cloud=cloud, notify=trace())
    except CloudshipError:  # that nothing was there is the answer, whatever a look in passing meets
        return
    if launch is None and mine and mine[0].name != name:
        print(f"did you mean {mine[0].name}? cloudship down {mine[0].name}", file=sys.stderr)
    elif launch is not None and (launches := [one.launch for one in mine if one.name == name]):
        print(f"launches of {name} that are there: {', '.join(launches)}", file=sys.stderr)


def values(items: list[str] | None, file: Path | None) -> dict[str, Any]:
    """Collect the app's values: the file's, then the flags'."""
    from cloudship import config

    found = config.read_env_file(file) if file is not None else {}
    return {**found, **config.parse_env(tuple(items or ()))}


def default_name() -> str:
    """Say what `up` would call the ship of this folder."""
    from cloudship import config, source

    here = Path.cwd()
    return config.load(here).config.name or source.default_name(source.parse(here))


def launched(ship: Any) -> dict[str, Any]:
    """Write a launched ship for programs; the keys are a contract."""
    return {
        "name": ship.name,
        "url": ship.url,
        "ip_address": ship.ip_address,
        "droplet_id": ship.droplet_id,
        "cloud": ship.cloud.value,
        "image": ship.image,
        "release": ship.release,
        "price_hourly": ship.price_hourly,
        "expires_at": ship.expires_at,
        "phases": phases(ship.timeline),
    }


def receipt_line(receipt: Any) -> str:
    """Say what a teardown did, in a line."""
    searched = ", ".join(cloud.value for cloud in receipt.searched) or "no cloud"
    if not receipt.destroyed:
        return f"{receipt.name}: nothing to take down (searched: {searched})"
    what = ", ".join(f"{one.kind.value} {one.id}" for one in receipt.destroyed if one.kind.value != "tag")
    if not what:
        last = "its last tag is" if len(receipt.destroyed) == 1 else f"its last {len(receipt.destroyed)} tags are"
        return f"{receipt.name}: {last} gone; nothing else of it was there"
    if receipt.seconds_lived is None:  # no droplet was there any more to say what it had cost
        return f"{receipt.name}: gone ({what})"
    return f"{receipt.name}: gone after {receipt.seconds_lived:.0f} s ({what}); it cost ${receipt.cost:.4f}"


def _summarise(ship: Any) -> None:
    """Say, on standard error, all that its owner wants to know now; the URL itself is the result."""
    from cloudship.card import ends
    from cloudship.display.words import facts

    rows = [
        ("url", ship.url),
        ("release", str(ship.release)),
        ("log in", f"cloudship ssh {ship.name}"),
        ("logs", f"cloudship logs {ship.name} -f"),
        ("take down", f"cloudship down {ship.name}"),
        ("costs", cost(ship.price_hourly)),
        ("expires", ends(ship.expires_at)),
        ("where", f"{ship.cloud.value}, droplet {ship.droplet_id}, {ship.image}"),
        ("seconds", seconds(ship.timeline)),
    ]
    told = ["", f"{ship.name} is up", *facts(rows, width_of(sys.stderr))]
    print("\n".join(told), file=sys.stderr, flush=True)


def _agreed_on(cloud: Any, *, yes: bool) -> list[Ship]:
    """Show the ships of this owner, and ask whether they are to go."""
    from cloudship import fleet, reach
    from cloudship.errors import ConfigError

    whose, every = fleet.configured_owner(folder()), fleet.ships(cloud=cloud)
    reach.check(every, cloud)
    found = [ship for ship in every if ship.owner == whose]
    if not found:
        print(f"no ships of {whose}", file=sys.stderr)
    for ship in found:
        print(f"{ship.name}  {ship.url}  {ship.cloud.value}  droplet {ship.droplet_id}", file=sys.stderr)
    if found and not yes:
        if not sys.stdin.isatty():
            raise ConfigError(
                f"--all would take down {len(found)} ship{'s' if len(found) > 1 else ''}",
                next_step="cloudship down --all --yes",
            )
        which = f"these {len(found)} ships" if len(found) > 1 else "this ship"
        agreed(f"Take down {which}?", otherwise="nothing was taken down")
    return found
