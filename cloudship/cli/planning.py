"""What would happen: `plan`, `render`, `doctor`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from cloudship.cli.options import CloudOption, ConfigOption, JsonOption, State, TtlOption
from cloudship.cli.showing import cost
from cloudship.legible import legible

_NAMES = 40  # shown of the files; --json names all


def plan(
    source: Annotated[str, typer.Argument(help="A folder, or a git URL with optional @ref.")] = ".",
    name: Annotated[str | None, typer.Option(show_default=False)] = None,
    image: Annotated[str | None, typer.Option(show_default=False)] = None,
    size: Annotated[str | None, typer.Option(show_default=False)] = None,
    region: Annotated[str | None, typer.Option(show_default=False)] = None,
    ttl: TtlOption = None,
    app: Annotated[str | None, typer.Option(show_default=False)] = None,
    config: ConfigOption = None,
    cloud: CloudOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Show what `up` would do: the requests, what is sent, the price. Nothing is created."""
    from cloudship import clouds, draft, durable, request
    from cloudship.card import ends
    from cloudship.cli.localcloud import starter
    from cloudship.client import Client
    from cloudship.display import on_stream
    from cloudship.models import Timeouts
    from cloudship.waiting import REAL

    given = {"name": name, "image": image, "size": size, "region": region, "ttl": ttl, "app": app, "cloud": cloud}
    with on_stream(verbose=State.verbose) as display, durable.workspace() as workspace:
        asked = request.read(source, given, config, workspace)
        endpoint = clouds.choose(asked.config.cloud, start_local=starter(display))
        drawn = draft.draw(asked, Client(endpoint, notify=display.notify), Timeouts(), REAL)
        told = planned(drawn.plan, files_in(asked.tree.root), asked.tree.left_out)
    costs = f", {cost(told['price_hourly'])}" if told["price_hourly"] else ""
    print(f"cloud: {told['cloud']}{costs}", file=sys.stderr)
    for note in drawn.plan.notes:
        print(f"note: {note}", file=sys.stderr)
    if as_json:
        print(json.dumps(told, indent=2))
        return
    for key, value in told.items():
        match key:
            case "notes":
                pass  # said on standard error
            case "expires_at":
                print(f"{key:<13} {ends(value)}")
            case "files" | "left_out":
                _show_names(key.replace("_", " "), value)
            case "requests":
                for one in value:
                    print(f"{one['method']:<13} {one['path']}  {json.dumps(one['body'])}")
            case _:
                print(f"{key:<13} {value}")


def _show_names(title: str, names: list[str]) -> None:
    shown = [*names[:_NAMES], *([f"... and {len(names) - _NAMES} more"] if len(names) > _NAMES else [])]
    for name in shown:
        print(f"{title:<13} {legible(name)}")
        title = ""


def files_in(root: Path) -> list[str]:
    """Name the files of a tree, and its links."""
    paths = (path for path in root.rglob("*") if path.is_symlink() or not path.is_dir())
    return sorted(path.relative_to(root).as_posix() for path in paths)


def planned(drawn: Any, files: Sequence[str], left_out: Sequence[str]) -> dict[str, Any]:
    """Write a plan for programs; the one secret in it, the temporary host key, is left out."""
    from cloudship.models import rfc3339

    body = drawn.request(0).model_dump(mode="json") | {
        "ssh_keys": ["<id of the key>"],
        "user_data": f"<{len(drawn.user_data)} bytes; see: cloudship render>",
    }
    requests = [
        {
            "method": "POST",
            "path": "/v2/account/keys",
            "body": {"name": drawn.key_name, "public_key": drawn.public_key},
        },
        {"method": "POST", "path": "/v2/droplets", "body": body},
    ]
    return {
        "name": drawn.name,
        "cloud": drawn.cloud.value,
        "app": drawn.app.why,
        "image": f"{drawn.image_slug} ({drawn.image.distribution} {drawn.image.name})",
        "size": drawn.size.slug,
        "region": drawn.region,
        "price_hourly": drawn.price_hourly,
        "expires_at": rfc3339(drawn.expires),
        "sends": f"{drawn.sent.files} files, {drawn.sent.size} bytes, from {drawn.sent.description}",
        "files": list(files),
        "left_out": list(left_out),
        "user_data": f"{len(drawn.user_data)} bytes",
        "notes": list(drawn.notes),
        "requests": requests,
    }


def render(
    source: Annotated[str, typer.Argument(help="A folder, for its configuration.")] = ".",
    git: Annotated[str | None, typer.Option("--git", help="URL[@ref] that the droplet fetches.")] = None,
    name: Annotated[str | None, typer.Option(show_default=False)] = None,
    config: ConfigOption = None,
) -> None:
    """Print user-data that brings an app up by itself: for DigitalOcean's panel, or an autoscale pool."""
    from cloudship.drawing import rendered

    sys.stdout.write(rendered(source, git=git, name=name, config_file=config))


def doctor(cloud: CloudOption = None, as_json: JsonOption = False) -> int:  # noqa: FBT002
    """Check what `up` needs: token, quota, image, engine, keys; each with the command that mends it."""
    from cloudship.cli.checks import checks

    print(f"cloud: {cloud.value if cloud else 'local, digitalocean'}", file=sys.stderr)
    found = checks(cloud)
    if as_json:
        print(json.dumps([one._asdict() for one in found], indent=2))
    else:
        for one in found:
            print(f"{'ok  ' if one.ok else 'FAIL'} {one.name:<15} {one.found}")
            if not one.ok:
                print(f"     mend it:        {one.mend}")
    return 0 if all(one.ok for one in found) else 1
