"""What an interrupt leaves: read from the journal, from what a teardown had begun, and from a launch's answer."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from cloudship.events import Chosen, Destroying, Event, Gone, Notify, Phase, PhaseEnded

_MOST = 6  # lines


class Leftovers:
    """Hears what happens, to be able to say at any moment what may still be there."""

    def __init__(self) -> None:
        self._begun: dict[tuple[str, str], None] = {}
        self._chosen: Chosen | None = None  # what is being launched
        self._url: str | None = None  # where it answered; None again once its droplet is gone
        self._again: tuple[str, ...] = ()
        self._gone = False  # whether anything was proved gone
        self._several = False  # whether more may follow what is gone

    def mended_by(self, *commands: str, several: bool = False) -> None:
        """
        Name what finishes a teardown that is broken off anywhere from now on, were it at its first look.

        Args:
            commands: any of them does.
            several: it is of more ships than one, of which the first signal ends no more than the one that is going.
        """
        self._again, self._several = commands, several

    def hearing(self, notify: Notify) -> Notify:
        """Listen to what a display listens to, from a command's beginning on."""
        self._begun, self._chosen, self._url, self._gone = {}, None, None, False

        def both(event: Event) -> None:
            self._hear(event)
            notify(event)

        return both

    def report(self, began: float) -> None:
        """Say that nobody waits any more, and what may be left; see `lines`."""
        told = ["stopped waiting", *self.lines(began), *_next(self._again)]
        print("\n".join(told), file=sys.stderr, flush=True)

    def unbegun(self) -> list[str]:
        """Name what is to be typed again after the first signal, unless the one teardown had begun: it was finished."""
        return [] if self._gone and not self._several else _next(self._again)

    def lines(self, began: float) -> list[str]:
        """
        Name what is there or may be, and the command that takes it away; nothing where all is proved gone.

        Args:
            began: unix time; launches from before it are not ours.
        """
        left = {f"{kind} {number}": "" for kind, number in self._begun}
        left |= self._made(self._chosen, began) if self._chosen is not None else {}
        told = [f"may be left: {one}{price}" for one, price in left.items()][:_MOST]
        if self._chosen is not None and self._url is not None:
            told.insert(0, f"{self._chosen.ship} is up: {self._url}{_price(self._chosen)}")
        if self._chosen is not None and told:
            told += _next([f"cloudship down {self._chosen.ship} --cloud {self._chosen.cloud}"])
        return told

    @staticmethod
    def _made(chosen: Chosen, began: float) -> dict[str, str]:
        """Name what a launch asked for, with its price; other ships may be launched on this machine meanwhile."""
        from cloudship import records
        from cloudship.inventory import unfinished
        from cloudship.models import Kind

        asked = [one for one in unfinished(records.journal(), chosen.cloud, chosen.ship) if one.at >= began]
        prices = {Kind.DROPLET: _price(chosen)}
        return {f"{one.kind.value} {one.id or one.label}": prices.get(one.kind, "") for one in asked}

    def _hear(self, event: Event) -> None:
        match event:
            case Chosen():
                self._chosen = event
            case PhaseEnded(phase=Phase.ANSWER.value):
                self._url = event.outcome
            case Destroying():
                self._begun[event.kind, event.id] = None
            case Gone():
                self._gone = True
                self._begun.pop((event.kind, event.id), None)
                if event.kind == "droplet":
                    self._url = None


def _next(commands: Sequence[str]) -> list[str]:
    return [f"next: {command}" for command in commands]


def _price(chosen: Chosen) -> str:
    return f", ${chosen.price_hourly:.5f} an hour" if chosen.price_hourly else ""


LEFTOVERS = Leftovers()
