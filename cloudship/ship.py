"""The handle of a running ship."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from typing_extensions import Self

from cloudship import about, card, records, releasing, standing, tags, teardown
from cloudship.errors import CommandFailed, ShipNotFound
from cloudship.events import Notify, Phase, nobody, undisturbed
from cloudship.models import CONTROL, Cloud, Droplet, PhaseTime, Receipt, Release, Result, Secret, Timeouts, rfc3339
from cloudship.releasing import Place
from cloudship.waiting import REAL

if TYPE_CHECKING:
    from cloudship.client import Client
    from cloudship.deploy import Deployed
    from cloudship.keys import LaunchFiles
    from cloudship.ssh import Shell

SSH = Phase.SSH.value


class Ship:
    """
    A running ship: where it is, and what can be done with it.

    The account is the state: a `Ship` holds no truth of its own, it asks droplet and API when it is asked.
    As a context manager it takes itself down at the end, also after an exception or Ctrl-C.
    """

    def __init__(
        self,
        client: Client,
        droplet: Droplet,
        *,
        release: int | None = None,
        timeline: Sequence[PhaseTime] = (),
        timeouts: Timeouts | None = None,
    ) -> None:
        found = tags.of(droplet)
        if found is None:
            raise ShipNotFound(f"Droplet {droplet.id} is not one of cloudship's")
        self._client = client
        self._tags = found
        self._release = release
        self._timeouts = timeouts or Timeouts()
        self._is_gone = False
        self.droplet = droplet
        self.timeline = tuple(timeline)
        self.files = records.launch_files(client.cloud, found.name, found.launch)

    @property
    def name(self) -> str:
        """The ship's name."""
        return self._tags.name

    @property
    def launch(self) -> str:
        """The id of the launch that made this ship."""
        return self._tags.launch

    @property
    def owner(self) -> str:
        """Who launched it."""
        return self._tags.owner

    @property
    def cloud(self) -> Cloud:
        """Where it is."""
        return self._client.cloud

    @property
    def droplet_id(self) -> int:
        """The droplet's id."""
        return self.droplet.id

    @property
    def ip_address(self) -> str:
        """The public IPv4 address, or an empty text while there is none."""
        return str(self.droplet.ip_address or "")

    @property
    def url(self) -> str:
        """Where the app answers."""
        return f"http://{self.ip_address}/" if self.ip_address else ""

    @property
    def image(self) -> str:
        """The image, with what really boots where that is something else."""
        return self.droplet.image_name

    @property
    def price_hourly(self) -> float:
        """USD an hour; the local cloud costs nothing."""
        return self.cloud.billed(self.droplet.price_hourly)

    @property
    def expires_at(self) -> str | None:
        """When it may be reaped, RFC 3339 in UTC; None: never."""
        return rfc3339(self._tags.expires)

    @property
    def pending(self) -> int | None:
        """The deadline of a launch that has not answered yet, unix time; None once it has."""
        return self._tags.pending

    @property
    def state(self) -> str:
        """
        How it stands: `launching` until the app first answered, `failed` where it did not in time, `ended` when its
        time is over, else the droplet's own status; `gone` once this took it down.
        """
        return "gone" if self._is_gone else standing.state(self._tags, self.droplet, self._client.now(REAL))

    @property
    def release(self) -> int | None:
        """The number of the live release; asks the droplet when it is not known yet."""
        if self._release is None:
            self._release = self.status().get("release")
        return self._release

    def status(self) -> dict[str, Any]:
        """
        Ask the droplet how it is: bootstrap, releases, the app's process.

        Raises:
            ShellError: nobody answers there, or not as us.
            BadAnswer: what it said is not the document that is expected.
        """
        with self.shell() as shell:
            return releasing.status(shell)

    def run(
        self,
        command: str | Sequence[str],
        *,
        check: bool = False,
        timeout: float | None = None,
        input: str | bytes | None = None,  # noqa: A002  the name that `subprocess.run` taught everybody
        root: bool = False,
    ) -> Result:
        """
        Run a command as the app's user, in the live release, with the app's environment.

        Args:
            command: words, or one line for a shell.
            check: raise when it ends with another status than 0.
            timeout: seconds; None: no limit.
            input: what it reads.
            root: run as root instead.

        Raises:
            CommandFailed: only with `check`.
            ShellError: the droplet does not answer, or not as us.
        """
        words = ("sh", "-c", command) if isinstance(command, str) else tuple(command)
        as_root = ("--root",) if root else ()
        data = input.encode() if isinstance(input, str) else input
        return self.execute((CONTROL, "run", *as_root, "--", *words), check=check, limit=timeout, stdin=data)

    def logs(self, *, lines: int = 100, process: str = "web", since: str | None = None) -> str:
        """
        Give the last lines of what a process of the app said.

        Args:
            lines: how many at most.
            process: a name in the Procfile, of a schedule, or `all`.
            since: as journalctl reads it: `1h ago`, `2026-01-31 12:00`.

        Raises:
            ConfigError: there is no such process; with those that there are.
        """
        with self.shell() as shell:
            return releasing.ask(shell, releasing.logs_words(lines, process, since))

    def follow_logs(
        self, line: Callable[[str], None], *, lines: int = 100, process: str = "web", since: str | None = None
    ) -> int:
        """Hand every line that a process says to `line`, until the connection ends; 2 when there is none."""
        with self.shell() as shell:
            return shell.stream((CONTROL, *releasing.logs_words(lines, process, since), "-f"), line=line)

    @about.phase(SSH)
    def follow_boot(self, line: Callable[[str], None], *, notify: Notify = nobody) -> int:
        """
        Hand every line of the first boot, cloud-init's and the bootstrap's, to `line` until it ended.

        Args:
            line: hears them, from the first second that sshd answers.
            notify: hears of attempts while it does not answer yet.

        Returns:
            0 when the boot went well.
        """
        from cloudship import bootlog, readiness

        keys = self._keys(early=True)
        if self.droplet.ip_address is None:
            self.droplet = readiness.active(self._client, self.droplet_id, timeouts=self._timeouts, notify=notify)
        with bootlog.arrived(self.ip_address, keys, timeouts=self._timeouts, notify=notify) as shell:
            return bootlog.follow(shell, line)

    def deploy(
        self,
        source: str | Path = ".",
        *,
        config_file: Path | str | None = None,
        notify: Notify = nobody,
        **config: Any,
    ) -> Deployed:
        """
        Make a source the live release; the one before stays live until the new one answers.

        Args:
            source: a folder or a git URL, each with an optional `@ref`.
            config_file: a configuration from outside the app.
            notify: hears what happens.
            config: keys of the configuration; `env` among them wins over the values that the ship has.

        Raises:
            UsageError: nothing was sent.
            ReleaseFailed: the release before stays live.
        """
        from cloudship.deploy import deploy

        self._check_launched()
        file = Path(config_file) if config_file is not None else None
        place = Place(self.name, self.ip_address, self._keys(), self._timeouts)
        done = deploy(place, source, config, config_file=file, by=tags.owner(None), notify=notify)
        self._answers_with(done.release)
        return done

    def rollback(self, release: int | None = None, *, notify: Notify = nobody) -> int:
        """
        Make an earlier release live again, its values included; gives its number.

        Args:
            release: which; None: the last good one before the live one.
            notify: hears what the droplet says.

        Raises:
            ConfigError: there is none to go back to.
            ReleaseFailed: it does not come up any more; the live one stays.
        """
        self._check_launched()
        with self.shell() as shell:
            made = releasing.rollback(shell, self.name, release, by=tags.owner(None), notify=notify)
        self._answers_with(made)
        return made

    def releases(self) -> tuple[Release, ...]:
        """List the releases that are kept, newest first."""
        with self.shell() as shell:
            return releasing.releases(shell)

    def release_log(self, release: int | None = None) -> tuple[dict[str, Any], ...]:
        """Read the log of a release, the newest one's without a number: stage, state, seconds, text each."""
        with self.shell() as shell:
            return releasing.log(shell, release)

    def env(self) -> dict[str, Secret]:
        """Read the app's values."""
        with self.shell() as shell:
            return releasing.environment(shell)

    def set_env(
        self, values: Mapping[str, str | Secret], *, unset: Sequence[str] = (), notify: Notify = nobody
    ) -> int | None:
        """
        Change the app's values, which makes a release without a build; gives its number, None when nothing changed.

        Raises:
            ReleaseFailed: the app does not come up with them; the live release and its values stay.
        """
        self._check_launched()
        secrets = {name: value if isinstance(value, Secret) else Secret(value) for name, value in values.items()}
        with self.shell() as shell:
            made = releasing.change_environment(shell, self.name, secrets, unset, by=tags.owner(None), notify=notify)
        if made is not None:
            self._answers_with(made)
        return made

    def in_maintenance(self) -> bool:
        """Ask whether the site is closed to visitors."""
        with self.shell() as shell:
            return releasing.maintenance(shell)

    def close_site(self, message: str = "") -> None:
        """Show visitors a page of maintenance, until `open_site`; releases go on as ever."""
        with self.shell() as shell:
            releasing.close_site(shell, message)

    def open_site(self) -> None:
        """Let visitors reach the app again."""
        with self.shell() as shell:
            releasing.open_site(shell)

    def scale(self, **counts: int) -> dict[str, int]:
        """Say how many of each process run; gives what is wanted now, without arguments as it is."""
        with self.shell() as shell:
            return releasing.scale(shell, counts)

    @about.phase(about.INVENTORY)
    def _check_launched(self) -> None:
        if self._keys():
            standing.check_takes_releases(self._client, self._tags, self.droplet)

    def _answers_with(self, release: int) -> None:
        """Take note of a new live release; a launch that was kept for a look is alive by that."""
        self._release = release
        if self.pending is not None:
            self.droplet = standing.revive(self._client, self._tags, self.droplet)
            self._tags = tags.of(self.droplet) or self._tags

    def execute(
        self,
        command: Sequence[str],
        *,
        check: bool = False,
        limit: float | None = None,
        stdin: bytes | None = None,
    ) -> Result:
        """Run words on the droplet as root, over the pinned connection."""
        with self.shell() as shell:
            done = shell.run(command, limit=limit, stdin=stdin)
        if check and done.exit_status != 0:
            raise CommandFailed(
                f"{shlex.join(command)} ended with status {done.exit_status} on {self.name}",
                command=shlex.join(command),
                status=done.exit_status,
                evidence=(done.stderr or done.stdout).strip().splitlines()[-8:],
            )
        return done

    @contextmanager
    def shell(self) -> Iterator[Shell]:
        """
        Open the pinned connection to the droplet.

        Raises:
            KeyMissing: this machine has no key for the launch.
            ShellUnreachable: nobody answers there, or not as us; or the host has no key of its own yet.
        """
        from cloudship.ssh import Shell

        files, limit = self._keys(), self._timeouts.ssh
        with about.ship(self.name), about.phase(SSH), Shell.connect(self.ip_address, files=files, limit=limit) as shell:
            yield shell

    @about.phase(SSH)
    def _keys(self, *, early: bool = False) -> LaunchFiles:
        standing.check_login(self.files, self._tags, self.droplet, early=early)
        return self.files

    def openssh(self) -> tuple[str, ...]:
        """Give the words of the ssh command that logs in, with key and pinned host key."""
        return self._keys().openssh(self.ip_address)

    @undisturbed
    def down(self, *, notify: Notify = nobody) -> Receipt:
        """
        Take the ship down and prove it gone.

        Raises:
            LeftBehind: something could not be proved gone; it says what, and what it costs.
        """
        return self._taken_down(None, notify)

    def _taken_down(self, error: BaseException | None, notify: Notify) -> Receipt:
        def one() -> Receipt:
            alone, limits = teardown.take_down_alone, self._timeouts
            return alone(self._client, self.name, launch=self.launch, timeouts=limits, notify=notify)

        receipt = teardown.after(error, one, notify)
        self._is_gone = True
        return receipt

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._taken_down(error, nobody)

    def __repr__(self) -> str:
        return f"<Ship {self.name} {self.state} {self.url or 'without an address'}>"

    def _repr_html_(self) -> str:
        """Show the ship in a notebook: state, URL, times."""
        return card.table(self.name, [*card.facts(self), *card.times(self.timeline)], links=frozenset({"url"}))
