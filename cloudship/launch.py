"""`up`: the story of a launch, a straight line; on any failure the one way down."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from typing_extensions import Unpack

from cloudship import (
    about,
    appinfo,
    bootlog,
    checkouts,
    clouds,
    creation,
    draft,
    durable,
    git,
    hostkey,
    inventory,
    locking,
    readiness,
    releasing,
    request,
    rivals,
    tags,
    teardown,
    verdict,
)
from cloudship.background import Background
from cloudship.choices import choice
from cloudship.client import Client
from cloudship.config import ConfigKeys
from cloudship.draft import Draft
from cloudship.errors import Abandoned, BootFailed, CloudshipError, CommandFailed, LeftBehind, ShellError, ShipBusy
from cloudship.events import Chosen, Event, Noted, Notify, Output, Phase, nobody
from cloudship.models import CONTROL, Cloud, Droplet, DropletStatus, Kind, Left, OnFailure, Timeouts
from cloudship.records import files_root, journal, launch_files
from cloudship.ship import Ship
from cloudship.ssh import Shell
from cloudship.story import Story
from cloudship.waiting import REAL, Clock


def up(
    source: str | Path = ".",
    *,
    name: str | None = None,
    cloud: Cloud | str | None = None,
    config_file: Path | str | None = None,
    on_failure: OnFailure | str = OnFailure.DESTROY,
    notify: Notify | None = None,
    timeouts: Timeouts | None = None,
    clock: Clock = REAL,
    start_local: clouds.Starter = clouds.start_by_command,
    **config: Unpack[ConfigKeys],
) -> Ship:
    """
    Put an app online on a fresh droplet, and give its ship once the app answers from outside.

    Args:
        source: a folder, or a git URL with an optional `@ref`.
        name: the ship's name; default: made from the folder's or repository's name.
        cloud: `local` or `digitalocean`; default: see `clouds.choose`.
        config_file: a configuration from outside the app.
        on_failure: what becomes of the droplet when a phase fails.
        notify: hears what happens; None: nobody.
        timeouts: the limits of all waits.
        clock: the time.
        start_local: brings the local cloud up when it is needed.
        config: keys of the configuration; they win over environment and files.

    Raises:
        UsageError: nothing was created.
        CloudshipError: a phase failed; what was created is gone again, or named in `left`.
    """
    kept = choice(OnFailure, on_failure, "on_failure")
    given = {"name": name, "cloud": choice(Cloud, cloud, "cloud") if cloud is not None else None, **config}
    limits, story = timeouts or Timeouts(), Story(notify or nobody, clock)
    with about.phase(Phase.PLAN.value), durable.workspace() as workspace:
        with story.phase(Phase.PLAN) as outcome:
            file = Path(config_file) if config_file is not None else None
            asked = request.read(source, given, file, workspace)
            git.check_ssh()
            endpoint = clouds.choose(asked.config.cloud, start_local=start_local)
            client = Client(endpoint, timeouts=limits, clock=clock, notify=story.tell)
            drawn = draft.draw(asked, client, limits, clock)
            story.tell(_chosen(drawn))
            for note in drawn.plan.notes:
                story.tell(Noted(text=note))
            outcome.append(drawn.plan.app.why)
        folder = files_root(drawn.plan.cloud) / drawn.plan.name
        with about.ship(drawn.plan.name), locking.alone(folder, drawn.plan.name, now=clock.wall()):
            _make_room(drawn, limits, clock, story.tell)
            drawn = drawn.begun(limits, clock)
            with _undone_on_failure(drawn, kept, limits, clock, story):
                ship = _launched(drawn, limits, clock, story)
                _tie(asked.folder, ship, story)
            story.to_its_end()  # the ship's own calls are told to it as well
            return ship


def _chosen(drawn: Draft) -> Chosen:
    plan = drawn.plan
    image = f"{plan.image.distribution} {plan.image.name}"
    return Chosen(
        cloud=plan.cloud.value,
        ship=plan.name,
        launch=plan.launch,
        price_hourly=plan.price_hourly,
        size=plan.size.slug,
        image=image,
    )


def _launched(drawn: Draft, limits: Timeouts, clock: Clock, story: Story) -> Ship:
    plan, client, tell = drawn.plan, drawn.client, story.tell
    files = launch_files(plan.cloud, plan.name, plan.launch)
    book = journal()
    with story.phase(Phase.KEY) as outcome:
        files.save_identity(drawn.launch_key)
        files.pin((), drawn.host_key.public)
        key = creation.create_key(
            client,
            book,
            name=plan.key_name,
            launch=plan.launch,
            public_key=plan.public_key,
            timeouts=limits,
            clock=clock,
            notify=tell,
        )
        outcome.append(f"key {key.id}")
    with story.phase(Phase.CREATE) as outcome:
        droplet_id = creation.create_droplet(
            client,
            book,
            plan.request(key.id),
            launch=plan.launch,
            timeouts=limits,
            price=plan.price_hourly,
            clock=clock,
            notify=tell,
        )
        outcome.append(f"droplet {droplet_id}")
    with story.phase(Phase.ACTIVE) as outcome:
        droplet = readiness.active(client, droplet_id, timeouts=limits, clock=clock, notify=tell)
        rivals.give_way(client, plan, droplet)
        outcome.append(f"{droplet.ip_address}, {droplet.image_name}")
    with rivals.noticing_its_end(client, plan, droplet):
        settled, release = _brought_up(drawn, droplet, limits, clock, story)
    with about.phase(Phase.ANSWER.value):
        book.ended(plan.launch, client.mark)
    return Ship(client, settled, release=release, timeline=story.times, timeouts=limits)


def _brought_up(drawn: Draft, droplet: Droplet, limits: Timeouts, clock: Clock, story: Story) -> tuple[Droplet, int]:
    """Log in, rotate the host key, release, and wait for the answer; gives the droplet then, and the release."""
    plan, tell = drawn.plan, story.tell
    files, address = launch_files(plan.cloud, plan.name, plan.launch), str(droplet.ip_address)
    alive = _alive(drawn, droplet, clock)
    with story.phase(Phase.SSH):
        shell = readiness.reachable(address, files, timeouts=limits, alive=alive, clock=clock, notify=tell)
    with story.phase(Phase.HOST_KEY) as outcome:
        shell = hostkey.rotate(
            shell,
            temporary=drawn.host_key.public,
            files=files,
            connect=lambda limit: Shell.connect(address, files=files, limit=limit),
            timeouts=limits,
            clock=clock,
        )
        outcome.append("the droplet's own key is pinned")
    with shell:
        release = _delivered(drawn, shell, address, limits, clock, story)
    with story.phase(Phase.ANSWER) as outcome:
        settled = _answering(drawn, droplet, release, limits, clock, story)
        outcome.append(f"http://{address}/")
    return settled, release


def _tie(folder: Path | None, ship: Ship, story: Story) -> None:
    """Set up the remote in the checkout; whatever is wrong with that, the ship is up."""
    if folder is None:
        return
    try:
        told = checkouts.tie(folder, ship.files, name=ship.name, address=ship.ip_address)
    except (CloudshipError, OSError) as error:
        told = f"the remote for git push was not set up: {error}"
    if told is not None:
        story.tell(Noted(text=told))


def _delivered(drawn: Draft, shell: Shell, address: str, limits: Timeouts, clock: Clock, story: Story) -> int:
    """Push and release, the Python packages being installed beside Debian's; gives the release's number."""
    plan, tell = drawn.plan, story.tell
    files = launch_files(plan.cloud, plan.name, plan.launch)
    boot = readiness.Boot(shell, tell)
    with story.phase(Phase.BOOT) as outcome:
        _wait_for_program(shell, limits)
        _tell_environment(drawn, shell, limits)
        early = _prepared_early(drawn, shell, limits, tell)
        boot.wait_for("git", timeouts=limits, clock=clock, notify=tell)
        outcome.append("git is there")
    said: list[str] = []
    released = threading.Event()

    def line(text: str) -> None:
        said.append(text)
        if text.startswith("-> "):
            released.set()
        tell(Output(origin="release", line=text))

    push = Background(
        lambda: git.push(
            drawn.request.tree,
            url=git.repository_url(address, plan.name),
            ssh=files.options(),
            line=line,
            limit=limits.push + limits.release,
            options=releasing.options(plan.owner, "up", drawn.request.tree),
        )
    )
    with story.phase(Phase.PUSH) as outcome:
        push.wait_for(released)
        outcome.append(f"{plan.sent.files} files, {plan.sent.size / 1000:.0f} kB")
    with story.phase(Phase.RELEASE) as outcome:
        push.result()
        number = verdict.number(said)
        if number is None:
            raise BootFailed("The push went through, yet no release was announced", evidence=said[-6:])
        outcome.append(f"release {number}")
    with about.phase(Phase.BOOT.value):
        early.result()
        boot.wait_for("bootstrap", timeouts=limits, clock=clock, notify=tell)
    return number


def _answering(drawn: Draft, droplet: Droplet, release: int, limits: Timeouts, clock: Clock, story: Story) -> Droplet:
    """Wait for the answer from outside; from then on the launch is not pending any more."""
    app = drawn.request.app
    readiness.answering(
        f"http://{droplet.ip_address}/",
        release=release,
        path=app.health_path,
        status=app.health_status,
        timeouts=limits,
        alive=_alive(drawn, droplet, clock),
        clock=clock,
        notify=story.tell,
    )
    rivals.give_way_at_last(drawn.client, drawn.plan, droplet, limits, clock, story.tell)
    _settle(drawn, droplet.id)
    return rivals.whole_again(drawn.client, drawn.plan, droplet.id)


def _wait_for_program(shell: Shell, limits: Timeouts) -> None:
    """Wait for cloud-init to write our program: sshd may answer before its last files are there."""
    try:
        done = shell.run(bootlog.PROGRAM, limit=limits.boot)
    except ShellError as error:
        raise BootFailed(f"The droplet's program did not arrive: {error}", evidence=bootlog.why(shell)) from error
    if done.exit_status != 0:
        raise BootFailed(f"The first boot never began: {bootlog.MISSING}", evidence=bootlog.why(shell))


def _tell_environment(drawn: Draft, shell: Shell, limits: Timeouts) -> None:
    """Bring the app's values over the pinned connection: by standard input, never in words."""
    values = {name: secret.reveal() for name, secret in drawn.env.items()}
    done = shell.run((CONTROL, "env-set"), stdin=json.dumps(values).encode(), limit=limits.attempt * 3)
    if done.exit_status != 0:
        raise CommandFailed(
            "The app's environment could not be written", command=f"{CONTROL} env-set", status=done.exit_status
        )


def _prepared_early(drawn: Draft, shell: Shell, limits: Timeouts, tell: Notify) -> Background:
    """Have the Python packages installed while apt works; if that fails the release says so, with the reason."""
    archive = appinfo.dependency_archive(drawn.request.tree.root, drawn.request.app)

    def work() -> None:
        if archive is None:
            return
        try:
            shell.stream(
                (CONTROL, "prepare"), stdin=archive, line=lambda text: tell(_build_line(text)), limit=limits.release
            )
        except (ShellError, OSError) as error:
            tell(Noted(text=f"the early installation broke off: {error}", warning=True))

    return Background(work)


def _build_line(text: str) -> Event:
    try:
        told = json.loads(text)
        return Output(origin="build", line=told["text"] or f"{told['stage']} {told['state']}")
    except (ValueError, KeyError, TypeError):
        return Output(origin="build", line=text)


def _make_room(drawn: Draft, limits: Timeouts, clock: Clock, tell: Notify) -> None:
    def take_down(launch: str) -> None:
        teardown.finishing(lambda: _taken_down(drawn, launch, limits, clock, tell), tell)

    rivals.make_room(drawn, take_down, clock, tell)


@contextmanager
def _undone_on_failure(
    drawn: Draft, on_failure: OnFailure, limits: Timeouts, clock: Clock, story: Story
) -> Iterator[None]:
    """Take down what was made when anything goes wrong inside, Ctrl-C included; the error passes on."""
    kept: list[CloudshipError] = []
    try:
        try:
            yield
        except CloudshipError as error:
            if on_failure is OnFailure.KEEP and _kept(error, drawn, clock, story):
                kept.append(error)
            raise
    except BaseException as error:
        if error in kept or isinstance(error, Abandoned):
            raise
        story.to_its_end()
        try:
            teardown.after(error, lambda: _taken_down(drawn, drawn.plan.launch, limits, clock, story.tell), story.tell)
        except LeftBehind as remains:
            if not isinstance(error, CloudshipError):
                raise remains from error
            error.left = remains.left
            error.next_step = remains.next_step
        raise


def _taken_down(drawn: Draft, launch: str, limits: Timeouts, clock: Clock, tell: Notify) -> None:
    teardown.take_down(drawn.client, drawn.plan.name, launch=launch, timeouts=limits, clock=clock, notify=tell)


def _kept(error: CloudshipError, drawn: Draft, clock: Clock, story: Story) -> bool:
    """
    Name what stays for a look, and mark the launch dead, so that the next `up` replaces it.

    False where there is nothing to look at: no droplet came to be, or another launch of the ship came first.
    """
    if isinstance(error, ShipBusy):
        return False
    plan = drawn.plan
    known = inventory.known_here(journal(), drawn.client, files_root(plan.cloud), plan.name, plan.launch)
    numbers, keys = (
        [one.id or one.label for one in known.asked if one.kind is kind] for kind in (Kind.DROPLET, Kind.KEY)
    )
    try:
        found = inventory.inventory(drawn.client, plan.name, launch=plan.launch, known=known)
        numbers = [str(one.id) for one in found.droplets]
        for droplet in found.droplets:
            # Dead before it is no longer pending: without either it would be taken for a ship that answers.
            drawn.client.attach_tag(tags.pending_tag(int(drawn.client.now(clock))), droplet.id)
            _settle(drawn, droplet.id)
    except CloudshipError as fault:  # what the launch failed of matters more; the journal tells the next `up` too
        story.tell(Noted(text=f"what is kept could not be marked as a dead launch: {fault}", warning=True))
    if not numbers:
        return False
    step = error.next_step or error.usual_step
    down = teardown.command(plan.name, None, plan.cloud)
    error.next_step = f"{step}; when you have looked: {down}; a reap takes it too"
    left = [Left(kind=Kind.DROPLET, id=one, price_hourly=plan.price_hourly) for one in numbers]
    left += [Left(kind=Kind.KEY, id=one) for one in keys]
    error.left = (*error.left, *left)
    return True


def _settle(drawn: Draft, droplet_id: int) -> None:
    """Take the launch's own deadline off its droplet: it is not pending any more."""
    teardown.retire_tag(drawn.client, tags.pending_tag(drawn.plan.deadline), droplet_id)


def _alive(drawn: Draft, droplet: Droplet, clock: Clock) -> Callable[[], str | None]:
    """Make the question whether a droplet still lives; it asks the API at most once in five seconds."""
    client, expires, last = drawn.client.hasty(), drawn.plan.expires, [clock.monotonic()]

    def ask() -> str | None:
        if expires is not None and client.now(clock) >= expires:
            return "its time was over before it answered; give it a longer --ttl"
        if clock.monotonic() - last[0] < 5:  # noqa: PLR2004
            return None
        last[0] = clock.monotonic()
        try:
            status = client.droplet(droplet.id).status
        except CloudshipError:  # else the API is no witness right now; the wait's own limit holds
            return "the droplet is gone" if inventory.is_gone(client, droplet) else None
        return "the droplet is powered off" if status is DropletStatus.OFF else None

    return ask
