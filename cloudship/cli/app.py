"""The verbs, put together."""

from __future__ import annotations

from importlib import metadata
from typing import Annotated

import typer

from cloudship.cli import inside, lifetime, localcloud, planning, releases, running, ships, upanddown
from cloudship.cli.options import State

app = typer.Typer(
    help="A Python web app online on a fresh droplet in one call, and gone without a trace in another.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:  # noqa: FBT001  typer's callback
    if wanted:
        print(f"cloudship {metadata.version('cloudship')}")
        raise typer.Exit


@app.callback()
def _globals(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show every line and every attempt.")] = False,  # noqa: FBT002
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,  # noqa: FBT002
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which.")] = False,  # noqa: FBT002, ARG001
) -> None:
    State.verbose, State.debug = verbose, debug


app.command("up")(upanddown.up)
app.command("down")(upanddown.down)
app.command("list")(ships.list_ships)
app.command("show")(ships.show)
app.command("ssh")(inside.ssh)
app.command("run", context_settings={"ignore_unknown_options": True})(inside.run)
app.command("logs")(inside.logs)
app.command("reap")(lifetime.reap)
app.command("extend")(lifetime.extend)
app.command("deploy")(releases.deploy)
app.command("rollback")(releases.rollback)
app.command("releases")(releases.releases)
app.command("env")(running.env)
app.command("maintenance")(running.maintenance)
app.command("scale")(running.scale)
app.command("plan")(planning.plan)
app.command("render")(planning.render)
app.command("doctor")(planning.doctor)
app.add_typer(localcloud.app, name="local")
