"""DigitalOcean's own host, played: its name resolves to a relay, which speaks TLS and hands on to the local cloud."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from certificates import Authority

from campaign import case, oracle
from campaign.case import Ended
from campaign.cloudbox import SHIP, CloudBox
from campaign.points import Point
from campaign.relay import HOST, TOKEN, Plan, Relay

Row = tuple[Any, ...]
Lookup = Callable[[int], "list[Row] | None"]  # of the name, counted from 0; None: what is right


def row(address: str, port: int) -> Row:
    """Write an address as `getaddrinfo` gives it."""
    if ":" in address:
        return (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))
    return (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))


@dataclass
class Faraway:
    """The host, and how commands reach it."""

    box: CloudBox
    app: Path
    authority: Authority
    relay: Relay
    lookup: Lookup = field(default=lambda _number: None)
    environ: dict[str, str] = field(default_factory=dict)  # more of it

    def begin(self, plan: Plan | None = None, lookup: Lookup | None = None, **environ: str) -> None:
        """Begin a case, with what goes wrong in it."""
        self.relay.begin(plan)
        self.lookup, self.environ = lookup or (lambda _number: None), environ
        self.box.knobs.clear_requests()

    def up(self, place: Path, *more: str, act: Callable[[Point], None] = lambda _point: None) -> Ended:
        """Launch."""
        words = ["up", str(self.app), "--name", SHIP, "--env", f"SECRET={oracle.CANARY}", *more]
        return self.run(place, words, act)

    def down(self, place: Path) -> Ended:
        """Take down."""
        return self.run(place, ["down", SHIP])

    def run(self, place: Path, words: list[str], act: Callable[[Point], None] = lambda _point: None) -> Ended:
        """Run a command."""
        environ = case.environment(place) | {
            "DIGITALOCEAN_ACCESS_TOKEN": TOKEN,
            "REQUESTS_CA_BUNDLE": str(self.authority.bundle),
            **self.environ,
        }
        whole = [words[0], *words[1:], "--cloud", "digitalocean"]
        return case.run(whole, self.box.knobs, environ, act, self._resolve, wire=1.0)

    def judge(self, place: Path, ended: Ended) -> list[str]:
        """Say what is wrong after a case, as the oracle does, with the host in order again."""
        wrong = [] if ended.status in (0, 1, 2) else [f"it ended with {ended.status}: {ended.output[-500:]}"]
        wrong += [f"{self.relay.creates} creates were asked for"] if self.relay.creates > 1 else []
        wrong += self._shown(place, ended)
        wrong += [f"a token that is not ours: {one}" for one in self.relay.tokens if one not in (f"Bearer {TOKEN}", "")]
        self.box.knobs.clear_faults()
        self.begin()
        down = self.down(place)
        wrong += [] if down.status == 0 else [f"down ended with {down.status}: {down.output[-600:]}"]
        wrong += oracle.difference(self.box)
        wrong += [f"keys are left: {keys}"] if (keys := list((place / "state").rglob("id_ed25519"))) else []
        wrong += self._shown(place, down)
        if wrong:
            self.box.clean()
        return wrong

    def _shown(self, place: Path, ended: Ended) -> list[str]:
        """Look at what a command says, and for secrets in it and in the files that it leaves."""
        told = ended.output[ended.output.rfind("\nerror") + 1 :].splitlines() if "\nerror" in ended.output else []
        wrong = [f"{len(told)} lines"] if len(told) > 12 else []
        wrong += [f"a traceback was shown: {ended.output[-600:]}"] if "Traceback (most" in ended.output else []
        files = [path for path in (place / "state").rglob("*") if path.is_file() and path.name != "id_ed25519"]
        texts = {path.name: path.read_text("utf-8", "replace") for path in files} | {"the output": ended.output}
        for secret in (TOKEN, self.box.knobs.token, oracle.CANARY, "PRIVATE KEY"):
            wrong += [f"{secret[:12]}... is in {where}" for where, text in texts.items() if secret in text]
        return wrong

    def _resolve(self) -> None:
        """Let the name lead to the relay, in this process."""
        plain, count = socket.getaddrinfo, iter(range(1_000_000))

        def found(host: Any, port: Any, *rest: Any, **more: Any) -> Any:
            if host != HOST:
                return plain(host, port, *rest, **more)
            return self.lookup(next(count)) or [row("127.0.0.1", self.relay.port)]

        socket.getaddrinfo = found


@contextmanager
def played(box: CloudBox, app: Path, folder: Path, *families: socket.AddressFamily) -> Iterator[Faraway]:
    """Play it, for a cloud."""
    folder.mkdir(exist_ok=True)
    authority = Authority.make(folder)
    relay = Relay(box.knobs.url, box.knobs.token, authority.context(HOST))
    with relay.running(*families):
        yield Faraway(box, app, authority, relay)
