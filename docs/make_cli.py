"""Write `docs/cli.md` from the command line itself; `--check` fails when the page is stale."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from typer.testing import CliRunner

PAGE = Path(__file__).parent / "cli.md"
VERBS = [
    *("up", "down", "list", "show", "reap", "extend", "deploy", "rollback", "releases", "env", "maintenance", "scale"),
    *("ssh", "run", "logs", "plan", "render", "doctor"),
]
LOCAL = ["setup", "start", "stop", "status", "reset", "env", "images"]
INTRODUCTION = """# Command line

Written by `docs/make_cli.py`. Results go to standard output, all else to standard error; the first line of standard
error names the cloud, and for DigitalOcean the price. Exit status: 0 done; 1 failed (nothing left behind, or what is
left is named); 2 wrong use or configuration (nothing was created); 130 interrupted; 143 terminated. `run` ends with the
command's own status, 255 when cloudship itself failed. The documents of `--json` have schemas in `docs/schemas/`.

An interrupt prints no document: standard output stays empty, and the status alone tells of it. Where the clean-up after
it leaves something behind, that is a failure like any other: the status is 1, and what is left is named, with `--json`
in the document. After a second interrupt nothing is waited for: standard error says what may be left, and the
status is the interrupt's.
"""


def page() -> str:
    """Write the whole page."""
    os.environ.update(COLUMNS="100", TERMINAL_WIDTH="100")
    parts = [INTRODUCTION, _help([])]
    parts += [_help([verb]) for verb in VERBS]
    parts += [_help(["local", verb]) for verb in LOCAL]
    return "\n".join(parts)


def _help(words: list[str]) -> str:
    from cloudship.cli.app import app

    shown = CliRunner().invoke(app, [*words, "--help"], prog_name="cloudship").output.rstrip()
    return f"## `{' '.join(['cloudship', *words])}`\n\n```text\n{shown}\n```\n"


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(PAGE.read_text(encoding="utf-8") != page())
    PAGE.write_text(page(), encoding="utf-8")
