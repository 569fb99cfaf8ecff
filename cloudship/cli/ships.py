"""`list` and `show`."""

from __future__ import annotations

import json
import sys
from datetime import datetime, timezone
from typing import Any

from cloudship.cli.finding import say_where, the_ship, trace
from cloudship.cli.options import CloudOption, JsonOption, NameArgument
from cloudship.cli.showing import table

_COLUMNS = ("NAME", "STATE", "URL", "CLOUD", "AGE", "EXPIRES", "$/H", "OWNER")


def list_ships(cloud: CloudOption = None, as_json: JsonOption = False) -> None:  # noqa: FBT002
    """List what runs, where, since when, until when, for how much."""
    from cloudship import clouds, fleet

    say_where(cloud)
    found = [described(ship) for ship in fleet.ships(cloud=cloud, notify=trace())]
    if as_json:
        print(json.dumps(found, indent=2))
    elif found:
        print(table(_COLUMNS, [_row(one) for one in found]))
        if any(one["expires_at"] for one in found):
            print("note: what expires goes at the first `cloudship reap` after that", file=sys.stderr)
    else:
        print("no ships", file=sys.stderr)
    if cloud is None and clouds.local_sleeps():
        print("note: the local cloud is stopped, and may hold ships: cloudship local start", file=sys.stderr)


def show(name: NameArgument, cloud: CloudOption = None, as_json: JsonOption = False) -> None:  # noqa: FBT002
    """Show one ship: where it is, which app and release runs in it, how it is."""
    from cloudship.card import ends
    from cloudship.errors import CloudshipError

    ship = the_ship(name, cloud)
    told = described(ship)
    try:
        told["droplet"] = ship.status()
    except CloudshipError as error:
        told["droplet"] = None
        print(f"warning: {error}", file=sys.stderr)
    if as_json:
        print(json.dumps(told, indent=2))
        return
    inside = told.pop("droplet") or {}
    told["expires_at"] = ends(told["expires_at"])
    for key, value in told.items():
        print(f"{key:<13} {value}")
    if inside:
        print(f"{'release':<13} {inside.get('release')}  of {[one['number'] for one in inside.get('releases', [])]}")
        print(f"{'app':<13} {inside.get('app', {}).get('why')}")
        print(f"{'process':<13} {inside.get('process')}")


def described(ship: Any) -> dict[str, Any]:
    """Write a ship for programs."""
    return {
        "name": ship.name,
        "state": ship.state,
        "url": ship.url,
        "ip_address": ship.ip_address,
        "droplet_id": ship.droplet_id,
        "cloud": ship.cloud.value,
        "image": ship.image,
        "owner": ship.owner,
        "created_at": ship.droplet.created_at.isoformat().replace("+00:00", "Z"),
        "expires_at": ship.expires_at,
        "price_hourly": ship.price_hourly,
    }


def _row(told: dict[str, Any]) -> tuple[str, ...]:
    born = datetime.fromisoformat(told["created_at"].replace("Z", "+00:00"))
    age = _age((datetime.now(timezone.utc) - born).total_seconds())
    price = f"{told['price_hourly']:.5f}" if told["price_hourly"] else "0"
    return (
        told["name"],
        told["state"],
        told["url"] or "-",
        told["cloud"],
        age,
        told["expires_at"] or "never",
        price,
        told["owner"],
    )


def _age(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f}{unit}"
    return f"{max(0.0, seconds):.0f}s"
