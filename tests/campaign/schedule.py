"""
Commands at once, of which one moves at a time: each stops where it changes something, until it is its turn.

Time is one for all of them and for the cloud: whoever sleeps is woken when nobody else can move, or at once where the
schedule says that the others are slow. So a schedule gives the same interleaving every time.
"""

from __future__ import annotations

import mmap
import os
import random
import select
import signal
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from campaign import case
from campaign.case import Ended
from campaign.machine import FakeShell, stand_in
from campaign.points import Point, Watch, hurry_the_wire
from campaign.started import Started
from cloudship import locking, waiting
from cloudship.local.handle import LocalCloud

LIMIT = 20.0  # seconds of the machine's own time until somebody who moves must stop, or end
MOST_TURNS = 5000
_CHANGING = ("api POST", "api DELETE", "api PUT", "journal ", "lock ", "files ")


@dataclass(frozen=True)
class Command:
    """One of the commands, and on which machine."""

    words: tuple[str, ...]
    environ: dict[str, str]


class Order(Protocol):
    """Says whose turn it is."""

    def turn(self, able: Sequence[int], awake: Sequence[int]) -> int:
        """Choose one of those that have not ended; `awake` are those of them that do not sleep."""


@dataclass
class Preempted:
    """One command runs until it ends, but for so many pre-emptions."""

    current: int
    runs: list[int]  # after how many steps the one that runs is pre-empted, each time
    yielding: bool  # whether one that sleeps lets the others run, or they are slower than its sleep

    def turn(self, able: Sequence[int], awake: Sequence[int]) -> int:
        """Go on with the same one, unless it ended, sleeps, or has had its steps."""
        if self.current in able and self.runs:
            if self.runs[0] > 0:
                self.runs[0] -= 1
            else:
                self.runs.pop(0)
                self.current = _after(self.current, able)
        others = awake if self.yielding and awake else able
        if self.current not in others:
            self.current = _after(self.current, others)
        return self.current


@dataclass
class Shuffled:
    """Any of them at any step."""

    seed: int
    _dice: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)  # noqa: S311  the same order every time

    def turn(self, able: Sequence[int], awake: Sequence[int]) -> int:
        """Choose one, mostly of those awake."""
        return self._dice.choice(awake if awake and self._dice.random() < 0.9 else able)


def _after(number: int, others: Sequence[int]) -> int:
    return next((one for one in others if one > number), others[0])


def together(
    knobs: LocalCloud,
    commands: Sequence[Command],
    order: Order,
    *,
    ahead: float = 0.0,
    mutate: Callable[[], None] = lambda: None,
    reads: bool = False,
) -> list[Ended]:
    """
    Run commands at once, in an order.

    Args:
        knobs: the local cloud.
        commands: the commands.
        order: whose turn it is.
        ahead: seconds by which the clocks of all machines are ahead; the cloud's is by now.
        mutate: breaks something in the forks first, to see whether a campaign notices.
        reads: whether a command stops before it reads from the API, too.
    """
    clock = _Clock(knobs, ahead)
    forks = [_Fork(one, clock, mutate, reads=reads) for one in commands]
    try:
        for _ in range(MOST_TURNS):
            able = [number for number, one in enumerate(forks) if not one.ended]
            if not able:
                break
            awake = [number for number in able if forks[number].wakes <= clock.now()]
            chosen = forks[order.turn(able, awake)]
            if chosen.wakes > clock.now():
                clock.move_to(chosen.wakes)
            chosen.step()
    finally:
        found = [one.finish() for one in forks]
    return found


class _Clock:
    """The time of everybody: the machine's own, and what has been slept through."""

    def __init__(self, knobs: LocalCloud, ahead: float) -> None:
        self._knobs = knobs
        self._shared = mmap.mmap(-1, 8)
        self._untold = 0.0  # seconds that the cloud has not been told of yet
        self._set(ahead)

    def offset(self) -> float:
        """Say how much the clocks are ahead of the machine's."""
        (found,) = struct.unpack("d", self._shared[:8])
        return float(found)

    def now(self) -> float:
        """Say what time it is, as a monotonic clock does."""
        return time.monotonic() + self.offset()

    def move_to(self, moment: float) -> None:
        """Let time pass until a moment."""
        seconds = max(0.0, moment - self.now()) + 0.001
        self._set(self.offset() + seconds)
        self._untold += seconds
        if self._untold >= 0.25:
            self._knobs.advance(self._untold)
            self._untold = 0.0

    def _set(self, offset: float) -> None:
        self._shared[:8] = struct.pack("d", offset)


class _Fork:
    """One command in its fork, stopped unless it is its turn."""

    def __init__(self, command: Command, clock: _Clock, mutate: Callable[[], None], *, reads: bool) -> None:
        self.ended, self.wakes = False, 0.0
        self._clock, self._began, self._said = clock, time.monotonic(), b""
        self._output = os.memfd_create("output")
        self._told, telling = os.pipe()
        released, self._releasing = os.pipe()
        self._started = Started()
        self._pid = os.fork()
        if self._pid == 0:
            seat = _Seat(telling, released, clock, reads=reads)
            case.child(lambda: _work(command, seat, mutate), command.environ, self._attach, self._started)
        os.close(telling)
        os.close(released)

    def step(self) -> None:
        """Let it go on until it stops, sleeps or ends."""
        self.wakes = 0.0
        try:
            os.write(self._releasing, b"!")
        except BrokenPipeError:
            self.ended = True
            return
        until = time.monotonic() + LIMIT
        while b"\n" not in self._said:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self._told], [], [], left)[0]:
                os.kill(self._pid, signal.SIGKILL)
                os.write(self._output, b"\n[killed by the campaign: it neither stopped nor ended]\n")
                self.ended = True
                return
            chunk = os.read(self._told, 4096)
            if not chunk:
                self.ended = True
                return
            self._said += chunk
        line, _, self._said = self._said.partition(b"\n")
        if line:
            self.wakes = self._clock.now() + float(line)

    def finish(self) -> Ended:
        """Wait for its end, and collect what it said."""
        if not self.ended:
            os.kill(self._pid, signal.SIGKILL)
        status = case.waited(self._pid)
        os.lseek(self._output, 0, os.SEEK_SET)
        with os.fdopen(self._output, "rb") as file:
            output = file.read().decode("utf-8", "replace")
        os.close(self._told)
        os.close(self._releasing)
        return Ended(status, output, time.monotonic() - self._began, self._started.words())

    def _attach(self) -> None:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for stream in (1, 2):
            os.dup2(self._output, stream)


class _Seat:
    """Where a fork waits for its turn."""

    def __init__(self, telling: int, released: int, clock: _Clock, *, reads: bool) -> None:
        self._telling, self._released, self._clock = telling, released, clock
        self._stops = (*_CHANGING, "api GET") if reads else _CHANGING

    def wait(self, said: str = "") -> None:
        """Stop until it is our turn."""
        os.write(self._telling, f"{said}\n".encode())
        self.begin()

    def begin(self) -> None:
        """Wait for the first turn; whoever is let go by nobody any more ends."""
        if not os.read(self._released, 1):
            os._exit(71)

    def act(self, point: Point) -> None:
        """
        Stop where something is changed; a read is over when it is answered.

        Not between taking the lock and saying who has it: whoever comes second waits for longer than that takes.
        """
        once = point.boundary.startswith(("api GET", "lock "))
        if point.boundary.startswith(self._stops) and not (point.moment == "after" and once):
            self.wait()

    def install_clock(self) -> None:
        """Let this process live by the time of everybody."""
        real_monotonic, real_wall = waiting.REAL.monotonic, waiting.REAL.wall
        steps = {
            "monotonic": lambda: real_monotonic() + self._clock.offset(),
            "wall": lambda: real_wall() + self._clock.offset(),
            "sleep": lambda seconds: self.wait(f"{seconds:.6f}"),
        }
        for name, step in steps.items():
            object.__setattr__(waiting.REAL, name, step)


def _work(command: Command, seat: _Seat, mutate: Callable[[], None]) -> int:
    from cloudship import cli

    stand_in()
    seat.install_clock()
    locking._GLANCE = 0.0  # who holds it does not move meanwhile
    hurry_the_wire(10.0)
    mutate()
    Watch(seat.act).install(FakeShell)
    seat.begin()
    return cli.run(list(command.words))
