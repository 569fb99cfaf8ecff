"""Active, reachable, booted, answering: one wait each, with its own limit, liveness and evidence."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

from cloudship.bootlog import ABSENT, BOOTSTRAP, MISSING, why
from cloudship.client import TRANSIENT, Client
from cloudship.errors import (
    BootFailed,
    HostKeyMismatch,
    NotFound,
    ShellError,
    ShellRefused,
    ShellUnreachable,
    Unreachable,
    WaitHopeless,
    WaitTimeout,
)
from cloudship.events import Noted, Notify, Output, nobody
from cloudship.inventory import is_gone
from cloudship.keys import LaunchFiles
from cloudship.models import Droplet, DropletStatus, Timeouts
from cloudship.probe import Answer, look
from cloudship.ssh import Shell
from cloudship.waiting import EAGER, ONCE_A_SECOND, REAL, Clock, Pace, Pending, Ready, until

_TRANSIENT = (NotFound, *TRANSIENT)  # a fresh id may be 404 for a while
_PROBE = Pace(first=0.03, factor=1.5, longest=1.0)
_EVIDENCE = 8  # lines
REFUSALS = 30.0  # seconds; the host key and the keys that log in come with the same user-data, before sshd starts
_NO_ENTRY = "its host key is the one from our user-data, yet it goes on refusing our key: its authorized_keys lacks it"
_NO_HOST_KEY = "or cloud-init did not take the user-data, and the droplet made a host key of its own"
_STAGES = {"git": "nginx and git to be installed", "bootstrap": "the first boot to end"}
_LOOK = "--on-failure keep, then: cloudship logs NAME --boot"
_SERVER_ERROR, _CLIENT_ERROR = 500, 400


def active(
    client: Client, droplet_id: int, *, timeouts: Timeouts, clock: Clock = REAL, notify: Notify = nobody
) -> Droplet:
    """
    Wait until a droplet is active and has a public IPv4 address: the one comes before the other.

    Raises:
        WaitTimeout: it did not get there.
        WaitHopeless: it was there, and is gone; or it never showed.
    """
    seen: list[Droplet] = []
    begun = clock.monotonic()

    def attempt(_limit: float) -> Ready[Droplet] | Pending:
        try:
            droplet = client.droplet(droplet_id)
        except NotFound as error:
            if is_gone(client, seen[0]) if seen else clock.monotonic() - begun > timeouts.listed:
                why = "its create failed, or it was taken down from elsewhere"
                raise WaitHopeless(f"Droplet {droplet_id} is gone: {why}") from error
            raise
        seen[:] = [droplet]
        if droplet.status is DropletStatus.ACTIVE and droplet.ip_address is not None:
            return Ready(droplet)
        address = droplet.ip_address or "no address yet"
        return Pending(f"status {droplet.status.value}, {address}")

    return until(
        f"droplet {droplet_id} to be active",
        attempt,
        limit=timeouts.active,
        attempt_limit=timeouts.request,
        on=_TRANSIENT,
        pace=ONCE_A_SECOND,
        clock=clock,
        notify=notify,
    )


def reachable(
    address: str,
    files: LaunchFiles,
    *,
    timeouts: Timeouts,
    alive: Callable[[], str | None] = lambda: None,
    clock: Clock = REAL,
    notify: Notify = nobody,
) -> Shell:
    """
    Wait until the droplet lets us in over SSH.

    Raises:
        WaitTimeout: it did not.
        HostKeyMismatch: somebody else answers.
        WaitHopeless: the droplet is gone.
    """
    refused: list[float] = []  # since when it is our droplet that answers, and refuses us

    def attempt(limit: float) -> Ready[Shell]:
        try:
            return Ready(Shell.connect(address, files=files, limit=limit))
        except ShellRefused:
            refused.append(clock.monotonic())
            raise
        except HostKeyMismatch as error:
            error.evidence = (_NO_HOST_KEY,)
            raise

    def hopeless() -> str | None:
        if refused and clock.monotonic() - refused[0] > REFUSALS:
            return _NO_ENTRY
        return alive()

    return until(
        f"SSH on {address}",
        attempt,
        limit=timeouts.ssh,
        attempt_limit=timeouts.attempt,
        on=(ShellUnreachable,),
        alive=hopeless,
        pace=EAGER,
        clock=clock,
        notify=notify,
        next_step="look at the droplet's console; --on-failure keep leaves it there",
    )


class Boot:
    """
    The first boot, followed on a connection of its own while other things are done.

    Args:
        shell: the pinned connection.
        notify: hears every line of it.
    """

    def __init__(self, shell: Shell, notify: Notify = nobody) -> None:
        self._shell, self._notify = shell, notify
        self._changed = threading.Condition()
        self._stages: dict[str, Mapping[str, Any]] = {}
        self._said: list[str] = []
        self._words: dict[str, str] = {}  # what each stage said last
        self._ended = False  # cloud-init came to its end without us
        self._over: str | None = None
        threading.Thread(target=self._follow, name="boot-log", daemon=True).start()

    def wait_for(self, stage: str, *, timeouts: Timeouts, clock: Clock = REAL, notify: Notify = nobody) -> None:
        """
        Wait until a stage is done.

        Raises:
            BootFailed: it failed, or the boot ended without it; with the guilty lines.
            WaitTimeout: it did not end within the limit.
        """

        def attempt(limit: float) -> Ready[None] | Pending:
            with self._changed:
                self._changed.wait_for(lambda: self._decided(stage), timeout=min(limit, 0.5))
                if self._stages.get(stage, {}).get("state") == "done":
                    return Ready(None)
                return Pending(self._under_way())

        try:
            until(
                _STAGES.get(stage, f"the first boot's {stage}"),
                attempt,
                limit=timeouts.boot,
                attempt_limit=timeouts.attempt,
                on=(),
                alive=self._failure,
                pace=Pace(first=0.0, factor=1.0, longest=0.0),
                clock=clock,
                notify=notify,
            )
        except WaitHopeless as error:
            raise BootFailed(self._failure() or error.message, evidence=self._guilty(), next_step=_LOOK) from error
        except WaitTimeout as error:
            error.evidence, error.next_step = tuple(self._guilty()), _LOOK
            raise

    def _under_way(self) -> str:
        """Say what runs, each with its last words; the one that said something last comes last."""
        running = [stage for stage, told in self._stages.items() if told["state"] == "running"]
        silent = [stage for stage in running if stage not in self._words]
        told = [f"{stage}: {text}" for stage, text in self._words.items() if stage in running]
        told = [f"{', '.join(silent)} under way", *told] if silent else told
        return "; ".join(told) or "the first boot has not said anything yet"

    def _guilty(self) -> list[str]:
        """Give the lines that prove it: of the failure itself, else what was said last, else how the droplet is."""
        failed = [line for told in self._stages.values() for line in told.get("lines", ()) if told["state"] == "failed"]
        said = failed or list(dict.fromkeys(self._said))
        return said[-_EVIDENCE:] if said and not self._ended else list(why(self._shell))

    def _decided(self, stage: str) -> bool:
        return (stage in self._stages and self._stages[stage]["state"] != "running") or self._over is not None

    def _failure(self) -> str | None:
        with self._changed:
            for stage, told in self._stages.items():
                if told["state"] == "failed":
                    return f"The first boot failed at {stage}: {told['text']}"
            done = self._stages.get("bootstrap", {}).get("state") == "done"
            return None if done or self._over is None else self._over

    def _follow(self) -> None:
        try:
            status = self._shell.stream(BOOTSTRAP, line=self._line)
            self._ended = status == ABSENT
            over = f"The first boot's log ended with status {status} and no result"
            over = f"The first boot never began: {MISSING}" if self._ended else over
        except ShellError as error:
            over = f"The connection that followed the first boot broke: {error}"
        with self._changed:
            self._over = over
            self._changed.notify_all()

    def _line(self, line: str) -> None:
        try:
            told = json.loads(line)
            stage, state, text = told["stage"], told["state"], told["text"]
        except (ValueError, KeyError, TypeError):
            return
        with self._changed:
            if state == "output":
                self._said.append(text)
                self._words.pop(stage, None)  # to the end
                self._words[stage] = text
                del self._said[:-200]
            else:
                self._stages[stage] = told
            self._changed.notify_all()
        self._notify(Output(origin="boot", line=f"{stage}: {text or state}"))


def switched(url: str, release: int, *, timeouts: Timeouts, clock: Clock = REAL, notify: Notify = nobody) -> Answer:
    """
    Wait until a release answers from outside, with whatever status: the droplet has looked at its health already.

    Raises:
        WaitTimeout: another release answers, or nobody.
    """

    def judge(answer: Answer) -> Ready[Answer] | Pending:
        return Ready(answer) if answer.release == release else Pending(f"{answer.status} by {_author(answer)}")

    return _looking(url, f"release {release} to answer at {url}", judge, timeouts, clock=clock, notify=notify)


def answering(
    url: str,
    *,
    release: int | None,
    path: str = "/",
    status: int | None = None,
    timeouts: Timeouts,
    alive: Callable[[], str | None] = lambda: None,
    clock: Clock = REAL,
    notify: Notify = nobody,
) -> Answer:
    """
    Wait until the app itself answers from outside, through nginx.

    Args:
        url: the ship's address.
        release: the release that must answer; None: any.
        path: what is asked for.
        status: the one that is wanted; None: any below 500.
        timeouts: `answer` is the limit.
        alive: says why waiting is hopeless.
        clock: the time.
        notify: hears of attempts, and of an answer in the 400s.

    Raises:
        WaitTimeout: it does not answer, or not so.
    """
    asked = url.rstrip("/") + path

    def judge(answer: Answer) -> Ready[Answer] | Pending:
        shown = f"{answer.status} {answer.reason}"
        if answer.release is None or (release is not None and answer.release != release):
            return Pending(f"{shown} by {_author(answer)}")
        good = answer.status == status if status is not None else answer.status < _SERVER_ERROR
        return Ready(answer) if good else Pending(shown)

    try:
        answer = _looking(asked, f"{asked} to answer", judge, timeouts, alive=alive, clock=clock, notify=notify)
    except WaitTimeout as error:
        error.next_step = error.next_step or "cloudship logs NAME"
        raise
    if status is None and answer.status >= _CLIENT_ERROR:
        line = '[health]\npath = "/..."'.replace("\n", " ")
        notify(
            Noted(text=f"{asked} answers {answer.status}; name a better page in cloudship.toml: {line}", warning=True)
        )
    return answer


def _looking(
    url: str,
    name: str,
    judge: Callable[[Answer], Ready[Answer] | Pending],
    timeouts: Timeouts,
    *,
    alive: Callable[[], str | None] = lambda: None,
    clock: Clock,
    notify: Notify,
) -> Answer:
    """Look at a page until its answer is judged to be the one that is waited for."""
    return until(
        name,
        lambda limit: judge(look(url, limit=limit)),
        limit=timeouts.answer,
        attempt_limit=timeouts.attempt,
        on=(Unreachable,),
        alive=alive,
        pace=_PROBE,
        clock=clock,
        notify=notify,
    )


def _author(answer: Answer) -> str:
    return "nginx itself" if answer.release is None else f"release {answer.release}"
