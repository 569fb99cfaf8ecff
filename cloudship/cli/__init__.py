"""
The command line: flags, one library call, an exit status.

Results go to standard output, all else to standard error. Each verb imports what it needs when it runs.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line, and exit."""
    try:
        from cloudship.cli.streams import lead_nowhere

        status = run(sys.argv[1:])
    except KeyboardInterrupt:  # it came before anybody listened
        sys.exit(130)
    try:
        if sys.stdout is not None:  # it is none where it was closed before we began
            sys.stdout.flush()
    except (OSError, ValueError):  # nobody takes the result
        lead_nowhere(sys.stdout)
        status = status or 1
    sys.exit(status)


def run(words: list[str]) -> int:
    """Run one command, and give the exit status: 0, 1, 2, 130 or 143."""
    from cloudship.cli import words as words_of
    from cloudship.cli.interrupts import Interrupts
    from cloudship.cli.streams import spoken

    words = words_of.flags_first(words)

    def report() -> None:
        from cloudship.cli.leftovers import LEFTOVERS

        LEFTOVERS.report(interrupts.began)

    interrupts = Interrupts(report, tidies=words_of.tidies(words))
    interrupts.install()  # before all that takes long to import
    from cloudship.cli import failure
    from cloudship.cli.app import app
    from cloudship.errors import Abandoned, Terminated

    def command() -> object:
        interrupts.under_way = True
        found = app(args=words, prog_name="cloudship", standalone_mode=False)
        sys.stdout.flush()  # a result that nobody takes is an error of the command's
        return found

    try:
        with spoken():
            status = failure.guarded(command, words, interrupts)
            interrupts.ended()
            return status
    except (KeyboardInterrupt, Terminated):  # it came while the command's end was told
        return interrupts.status
    except Abandoned:
        interrupts.report_once()
        return interrupts.status
