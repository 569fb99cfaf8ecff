"""`local`: the local cloud's own verbs. The only part of the command line that knows it from inside."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cloudship.cli import asroot
from cloudship.cli.asking import agreed
from cloudship.cli.options import JsonOption, YesOption
from cloudship.errors import LocalCloudUnavailable

if TYPE_CHECKING:
    from cloudship.display import Display

app = typer.Typer(help="The local cloud: DigitalOcean's API on this machine.", no_args_is_help=True)

DriverOption = Annotated[str | None, typer.Option(help="What gives droplets a body: nspawn or none.")]
QuietOption = Annotated[bool, typer.Option(hidden=True)]
FOLDER = "export CLOUDSHIP_LOCAL_DIR=..., a folder that you may write to"
_HANDED_OVER = ("endpoint.json", "start.lock", "server.log")


def starter(display: Display) -> Callable[[], None]:
    """Make what brings the local cloud up for a verb, setting this machine up first where something is missing."""

    def start_local() -> None:
        from cloudship.events import Output
        from cloudship.local import setup as machine

        missing = machine.missing(_driver(None))
        display.notify(Output(origin="local cloud", line="starting it"))
        if not missing and (not asroot.needed() or _driver(None) != "nspawn"):
            start(as_json=False, quiet=True)
            return
        with display.paused():  # setup asks before it installs, and sudo for a password
            if missing:
                print("cloud: local; this machine is made ready for it first", file=sys.stderr)
                setup()
            start(as_json=False, quiet=True)

    return start_local


@app.command()
def setup(yes: YesOption = False, as_json: JsonOption = False, quiet: QuietOption = False) -> None:  # noqa: FBT002
    """Install what booting droplets needs, and build their root file system."""
    from cloudship.local import setup as machine

    steps = machine.missing()
    if not steps and not quiet:
        print("nothing is missing", file=sys.stderr)
    for step in steps if not quiet else ():
        print(f"{step.title}\n    {step.command}", file=sys.stderr)
    if steps and sys.stdin.isatty() and not yes and not typer.confirm("Do it?", default=True, err=True):
        raise LocalCloudUnavailable(
            "Nothing was installed, and droplets cannot boot here without it",
            next_step="type the commands above yourself, or: cloudship local setup",
        )
    if steps and asroot.needed():
        asroot.again(["setup", "--yes"], "--quiet")
    elif steps:
        _guarded(lambda: machine.install(lambda line: print(f"  {line}", file=sys.stderr, flush=True)))
    if as_json:
        print(json.dumps({"done": [step.title for step in steps]}, indent=2))


@app.command()
def start(
    driver: DriverOption = None,
    port: Annotated[int | None, typer.Option(help="Default: a free one.", show_default=False, min=1, max=65535)] = None,
    transitions: Annotated[
        str | None, typer.Option(help="How long things take: immediate, realistic, or seconds.", show_default=False)
    ] = None,
    as_json: JsonOption = False,  # noqa: FBT002
    quiet: QuietOption = False,  # noqa: FBT002
) -> None:
    """Start it, or find it running; boots what was active."""
    from cloudship.local import control, endpoint

    chosen = _driver(driver)
    place = endpoint.directory_of()
    _check_transitions(transitions)
    if endpoint.read(place) is None and chosen == "nspawn" and asroot.needed():
        words = ["start", "--driver", chosen, *(["--port", str(port)] if port else [])]
        words += ["--transitions", transitions] if transitions is not None else []
        asroot.again(words, "--quiet")
    found = _guarded(lambda: control.start(driver=chosen, port=port, transitions=transitions))
    asroot.hand_over(place, _HANDED_OVER)
    if as_json:
        print(
            json.dumps({"url": found.url, "pid": found.pid, "driver": found.driver, "directory": str(place)}, indent=2)
        )
    elif not quiet:
        print(found.url)


@app.command()
def stop(as_json: JsonOption = False) -> None:  # noqa: FBT002
    """Power all droplets off and stop; state and disks are kept."""
    from cloudship.local import control, endpoint

    place = endpoint.directory_of()
    if _needs_root(place):
        ran = endpoint.read(place) is not None
        asroot.again(["stop"])
    else:
        ran = _guarded(control.stop)
        print("stopped" if ran else "it did not run", file=sys.stderr)
    if as_json:
        print(json.dumps({"stopped": ran}, indent=2))


@app.command()
def status(as_json: JsonOption = False) -> None:  # noqa: FBT002
    """Say whether it runs, where, and with how many droplets."""
    from cloudship.local import control

    found = _guarded(control.status)
    told = {
        "running": found.endpoint is not None,
        "url": found.endpoint.url if found.endpoint else None,
        "driver": found.endpoint.driver if found.endpoint else None,
        "pid": found.endpoint.pid if found.endpoint else None,
        "droplets": found.droplets,
        "directory": str(found.directory),
    }
    print(json.dumps(told, indent=2) if as_json else "\n".join(f"{key:<10} {value}" for key, value in told.items()))


@app.command()
def reset(yes: YesOption = False, as_json: JsonOption = False) -> None:  # noqa: FBT002
    """Stop it and destroy everything it ever made."""
    from cloudship.local import control, endpoint

    if sys.stdin.isatty() and not yes:
        agreed("Destroy all droplets and all state of the local cloud?", otherwise="nothing was destroyed")
    if _needs_root(endpoint.directory_of()):
        asroot.again(["reset", "--yes"])
    else:
        _guarded(control.reset)
        print("reset", file=sys.stderr)
    if as_json:
        print(json.dumps({"reset": True}, indent=2))


@app.command()
def env(as_json: JsonOption = False) -> None:  # noqa: FBT002
    """Print the variables that point any client of DigitalOcean's API at it."""
    from cloudship.local import endpoint

    found = endpoint.read(endpoint.directory_of())
    if found is None:
        raise LocalCloudUnavailable("The local cloud does not run", next_step="cloudship local start")
    if as_json:
        print(json.dumps(found.environment(), indent=2))
        return
    for name, value in found.environment().items():
        print(f"export {name}={shlex.quote(value)}")


@app.command()
def images(as_json: JsonOption = False) -> None:  # noqa: FBT002
    """List the images, what really boots for each, and whether it is built."""
    from cloudship.local.machines.base import DriverError
    from cloudship.local.machines.rootfs import built, recipe
    from cloudship.local.machines.rootfs.recipe import IMAGES

    rows = []
    for slug in IMAGES:
        try:
            found = recipe(slug)
        except DriverError as error:
            raise LocalCloudUnavailable(str(error)) from error
        rows.append({"slug": slug, "boots": found.note or "the real thing", "built": built(found) is not None})
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        print(f"{row['slug']:<20} {row['boots']:<22} {'built' if row['built'] else 'not built yet'}")


def _check_transitions(text: str | None) -> None:
    from cloudship.errors import ConfigError
    from cloudship.local.transitions import Transitions

    try:
        Transitions.parse(text or "immediate")
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _driver(chosen: str | None) -> str:
    return chosen or os.environ.get("CLOUDSHIP_LOCAL_DRIVER") or "nspawn"


def _needs_root(place: Path) -> bool:
    from cloudship.local import endpoint

    found = endpoint.read(place)
    boots = found.driver == "nspawn" if found else (place / "machines").is_dir()
    return boots and asroot.needed()


def _guarded(act: Any) -> Any:
    from cloudship.local.errors import LocalCloudError, NoAnswer
    from cloudship.local.machines.base import DriverError

    try:
        return act()
    except NoAnswer as error:
        raise LocalCloudUnavailable(str(error), next_step=error.mend) from error
    except (LocalCloudError, DriverError) as error:
        first, *rest = str(error).splitlines()
        raise LocalCloudUnavailable(first, evidence=rest, next_step="cloudship doctor") from error
    except OSError as error:
        raise LocalCloudUnavailable(
            f"The local cloud's folder cannot be used: {error}",
            next_step=FOLDER,
        ) from error
