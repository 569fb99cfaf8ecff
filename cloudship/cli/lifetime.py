"""How long ships live: `reap` and `extend`."""

from __future__ import annotations

import json
import shlex
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cloudship.cli.finding import folder, say_where, the_ship, trace
from cloudship.cli.options import CloudOption, JsonOption, NameArgument, State
from cloudship.legible import typed

if TYPE_CHECKING:
    from cloudship.models import Reaped


def reap(
    older_than: Annotated[
        str | None, typer.Option(help="Spare what is younger, as in 6h; it never takes more.", show_default=False)
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go, and why.")] = False,  # noqa: FBT002
    owner: Annotated[
        str | None, typer.Option(help="Whose; default: as configured, else login and host.", show_default=False)
    ] = None,
    cloud: CloudOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> int:
    """
    Take down what has outlived its time: expired ships and dead launches of this owner.

    A ship lives at most its ttl and the time between two sweeps. An account's key says whose launch it was for, but not
    whose that was: one that no droplet followed within an hour goes whoever made it.
    """
    from cloudship import config, fleet
    from cloudship.cli.leftovers import LEFTOVERS
    from cloudship.display import on_stream

    least = config.seconds_of(older_than) if older_than is not None else 0
    whose = fleet.configured_owner(folder()) if owner is None else owner
    given = {"--older-than": older_than, "--owner": owner, "--cloud": cloud.value if cloud else None}
    more = [word for flag, value in given.items() if value is not None for word in (flag, value)]
    again = shlex.join(["cloudship", "reap", *more])
    if not dry_run:
        LEFTOVERS.mended_by(again, several=True)
    say_where(cloud, more=f"; ships of {typed(whose)}")
    with on_stream(verbose=State.verbose) as display:
        found = fleet.reap(
            owner=whose,
            older_than=least,
            dry_run=dry_run,
            cloud=cloud,
            notify=LEFTOVERS.hearing(display.notify),
            told=lambda one: print(_line(one, dry_run=dry_run), file=sys.stderr),
        )
    if not found:
        print("nothing of cloudship is there", file=sys.stderr)
    if as_json:
        print(json.dumps([_described(one, dry_run=dry_run) for one in found], indent=2))
    left = [one for one in found if one.left]
    for step in dict.fromkeys(_next(one, again) for one in left):
        print(f"next: {step}", file=sys.stderr)
    return 1 if left else 0


def extend(
    name: NameArgument,
    more: Annotated[str, typer.Argument(help="How much more time, as in 2h.", show_default=False)],
    cloud: CloudOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """
    Give a ship more time: added to what it has left, from now on where nothing is left or it had no end.

    It goes at the first reap after that.
    """
    from cloudship import config, fleet

    seconds = config.seconds_of(more)
    ship = fleet.extend(name, seconds, cloud=the_ship(name, cloud).cloud, notify=trace())
    if as_json:
        print(json.dumps({"name": ship.name, "expires_at": ship.expires_at}, indent=2))
    else:
        print(ship.expires_at)
    print(f"{ship.name} goes at the first `cloudship reap` after that", file=sys.stderr)


def _next(one: Reaped, again: str) -> str:
    """Say what takes away the rest of a launch, and nothing else of its name."""
    from cloudship import teardown

    return teardown.command(one.name, one.launch, one.cloud) if one.launch else again


def _line(one: Reaped, *, dry_run: bool) -> str:
    word = "stays" if not one.taken else "would go" if dry_run else "LEFT BEHIND" if one.left else "gone"
    what = ", ".join(str(left) for left in one.left) or one.what
    price = f", ${one.price_hourly:.5f} an hour" if one.price_hourly and not one.launch else ""  # no reap will take it
    return f"{word}: {one.name} ({what}{price}): {one.reason}"


def _described(one: Reaped, *, dry_run: bool) -> dict[str, Any]:
    return {
        "name": one.name,
        "launch": one.launch,
        "cloud": one.cloud.value,
        "objects": one.what,
        "taken": one.taken and not dry_run,
        "would_be_taken": one.taken,
        "reason": one.reason,
        "destroyed": [{"kind": gone.kind.value, "id": gone.id} for gone in one.destroyed],
        "left": [{"kind": left.kind.value, "id": left.id, "price_hourly": left.price_hourly} for left in one.left],
    }
