"""What may be left when nobody waits for the proof: read from the journal, and from what a teardown had begun."""

from __future__ import annotations

import sys

from cloudship.events import Chosen, Destroying, Event, Gone, Notify

_MOST = 6  # lines


class Leftovers:
    """Hears what happens, to be able to say at any moment what may still be there."""

    def __init__(self) -> None:
        self._begun: dict[tuple[str, str], None] = {}
        self._price = 0.0

    def hearing(self, notify: Notify) -> Notify:
        """Listen to what a display listens to."""

        def both(event: Event) -> None:
            self._hear(event)
            notify(event)

        return both

    def report(self, words: list[str], began: float) -> None:
        """
        Print it.

        Args:
            words: of the command line.
            began: unix time; launches from before it are not ours.
        """
        from cloudship import records, tags
        from cloudship.models import Cloud, Kind

        lines, commands = [f"may be left: {kind} {number}" for kind, number in self._begun], []
        for cloud in Cloud:
            for one in records.journal().asked(cloud.value):
                if one.at < began:
                    continue
                price = f", ${self._price:.5f} an hour" if one.kind is Kind.DROPLET and self._price else ""
                told = f"may be left: {one.kind.value} {one.id or one.label}{price}"
                lines += [] if told in lines else [told]
                named = tags.read_key_name(one.label) or tags.read_droplet_name(one.label)
                if named is not None:
                    commands.append(f"cloudship down {named.name} --cloud {cloud.value}")
        if not commands and self._begun:
            ships = [word for word in words[1:] if not word.startswith("-")]
            commands.append(f"cloudship down {ships[0]}" if ships else "cloudship down")
        print("stopped waiting", file=sys.stderr)
        for line in [*lines[:_MOST], *(f"next: {command}" for command in dict.fromkeys(commands))]:
            print(line, file=sys.stderr, flush=True)

    def _hear(self, event: Event) -> None:
        match event:
            case Chosen():
                self._price = event.price_hourly
            case Destroying():
                self._begun[event.kind, event.id] = None
            case Gone():
                self._begun.pop((event.kind, event.id), None)


LEFTOVERS = Leftovers()
