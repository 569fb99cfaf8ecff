"""
The command line: flags, one library call, an exit status.

Results go to standard output, all else to standard error. Each verb imports what it needs when it runs.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line, and exit."""
    sys.exit(run(sys.argv[1:]))


def run(words: list[str]) -> int:
    """Run one command, and give the exit status: 0, 1, 2, 130 or 143."""
    from cloudship.cli import words as words_of
    from cloudship.cli.interrupts import Interrupts

    words = words_of.flags_first(words)

    def report() -> None:
        from cloudship.cli.leftovers import LEFTOVERS

        LEFTOVERS.report(words, interrupts.began)

    interrupts = Interrupts(report, tidies=words_of.tidies(words))
    interrupts.install()
    from cloudship.cli import failure
    from cloudship.cli.app import app

    return failure.guarded(lambda: app(args=words, prog_name="cloudship", standalone_mode=False), words, interrupts)
