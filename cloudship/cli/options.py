"""Flags that several verbs share; a default of None means: not given, the configuration decides."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cloudship.enums import Cloud

CloudOption = Annotated[Cloud | None, typer.Option(help="Where: local or digitalocean.", show_default=False)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
NameArgument = Annotated[str, typer.Argument(help="The ship's name.", show_default=False)]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="A configuration from outside the app.", show_default=False)
]
TtlOption = Annotated[
    str | None,
    typer.Option(help="How long it may live, as in 2h: until the first reap after that.", show_default=False),
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


class State:
    """The global flags, as the verbs see them."""

    verbose = False
    debug = False
