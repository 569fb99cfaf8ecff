"""
Releases of a running ship: deployed, rolled back, configured; each carried out by the program on the droplet.

`git push ship main` goes the same way without us: what is decided about a release is decided there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudship import about, answers, git, verdict
from cloudship.errors import BadAnswer, CommandFailed, ConfigError, ReleaseFailed, ShellError, Terminated
from cloudship.events import Noted, Notify, Output, Phase, nobody
from cloudship.keys import LaunchFiles
from cloudship.models import CONTROL, Release, Secret, Timeouts
from cloudship.source import SourceTree
from cloudship.values import checked, checked_names

if TYPE_CHECKING:
    from cloudship.ssh import Shell

_LIMIT = Timeouts().release  # seconds for whatever is asked: it may have to wait for a release that is under way
_LOOK = 20.0  # seconds for a small question
_WRONG_USE = 2  # how the program ends when it was asked for what it does not have


@dataclass(frozen=True)
class Place:
    """Where a ship's releases are made."""

    name: str
    address: str
    files: LaunchFiles
    timeouts: Timeouts

    @property
    def url(self) -> str:
        """Where pushes go."""
        return git.repository_url(self.address, self.name)


def deploy(place: Place, tree: SourceTree, *, by: str, action: str = "deploy", notify: Notify = nobody) -> int:
    """
    Push a tree and have it released; gives the release's number.

    Raises:
        ReleaseFailed: the droplet refused it; the release before stays live.
        GitError: the push broke off.
        WaitTimeout: it took longer than pushing and releasing may.
    """
    said: list[str] = []

    def hear(text: str) -> None:
        said.append(text)
        notify(Output(origin="release", line=text))

    with _going_on(place.name, notify):
        git.push(
            tree,
            url=place.url,
            ssh=place.files.options(),
            line=hear,
            limit=place.timeouts.push + place.timeouts.release,
            options=options(by, action, tree),
            next_step=_log_of_failed(place.name),
        )
    return _announced(said)


def trouble(shell: Shell, name: str) -> str:
    """Ask why the droplet takes no push: no room, a disk that cannot be written to; empty where that is not it."""
    place = f"/srv/{name}/repo.git/.room"
    try:
        done = shell.run(f"mkdir {place} && rmdir {place}", limit=_LOOK)
    except ShellError:
        return ""
    return done.stderr.strip().rpartition(": ")[2] if done.exit_status != 0 else ""


def options(by: str, action: str, tree: SourceTree) -> tuple[str, ...]:
    """Say what the droplet writes down of a push."""
    return (f"by={by}", f"action={action}", f"commit={tree.description}")


def rollback(shell: Shell, name: str, number: int | None, *, by: str, notify: Notify = nobody) -> int:
    """
    Make an earlier release live again, with its environment; gives its number.

    Args:
        shell: the connection.
        name: the ship.
        number: which; None: the last good one before the live one.
        by: who asks.
        notify: hears what the droplet says.

    Raises:
        ConfigError: there is no such release to go back to.
        ReleaseFailed: it does not come up any more; the live one stays.
    """
    wanted = () if number is None else (str(number),)
    return _released(shell, name, ("rollback", *wanted, "--by", by), None, notify)


def change_environment(
    shell: Shell,
    name: str,
    values: Mapping[str, Secret],
    unset: Sequence[str] = (),
    *,
    by: str,
    notify: Notify = nobody,
) -> int | None:
    """
    Change the app's values, which makes a release without a build; gives its number, None when nothing changed.

    Raises:
        ConfigError: a value or a name cannot be one.
        ReleaseFailed: the app does not come up with them; the live release and the values stay.
    """
    try:
        found, gone = checked(values), checked_names(unset)
    except ValueError as error:
        raise ConfigError(f"env: {error}") from None
    asked = {"set": {key: value.reveal() for key, value in found.items()}, "unset": list(gone)}
    return _carried(shell, name, ("env-edit", "--by", by), json.dumps(asked).encode(), notify)


def environment(shell: Shell) -> dict[str, Secret]:
    """Read the app's values."""
    return {str(key): Secret(str(value)) for key, value in _document(shell, "env-list").items()}


def store_environment(shell: Shell, values: Mapping[str, Secret]) -> None:
    """Replace the app's values, for the next release; by standard input, never in words."""
    told = {key: value.reveal() for key, value in values.items()}
    ask(shell, ("env-set",), json.dumps(told).encode())


def store_settings(shell: Shell, settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """
    Replace the app's keys that were given from outside its tree, for the next release.

    Returns:
        The ones before; None where the droplet was launched by a cloudship that did not say.
    """
    said = _document(shell, "settings-set", stdin=json.dumps(dict(settings)).encode(), silent=True)
    return dict(said) if said is not None else None


def status(shell: Shell) -> dict[str, Any]:
    """Ask the droplet how it is: bootstrap, releases, the app's process."""
    return dict(_document(shell, "status"))


def releases(shell: Shell) -> tuple[Release, ...]:
    """
    List the releases that are kept, newest first.

    Raises:
        BadAnswer: what the droplet said is not the document that is expected.
    """
    listed = _document(shell, "releases")
    return answers.read(lambda: tuple(_release(one) for one in listed))


def log(shell: Shell, number: int | None) -> tuple[dict[str, Any], ...]:
    """Read the log of a release, the newest one's without a number: stage, state, seconds, text each."""
    done = ask(shell, ("release-log", *(() if number is None else (str(number),))))
    return tuple(json.loads(line) for line in done.splitlines() if line.startswith("{"))


def maintenance(shell: Shell) -> bool:
    """Ask whether the site is closed to visitors."""
    return ask(shell, ("maintenance", "status")).strip().split(":")[0] == "on"


def close_site(shell: Shell, message: str = "") -> None:
    """Show visitors a page of maintenance, with a sentence of one's own if there is one; deploys go on as ever."""
    ask(shell, ("maintenance", "on"), message.encode())


def open_site(shell: Shell) -> None:
    """Let visitors reach the app again."""
    ask(shell, ("maintenance", "off"))


def scale(shell: Shell, counts: Mapping[str, int]) -> dict[str, int]:
    """
    Say how many of each process run; gives what is wanted now.

    Raises:
        ConfigError: there is no such process, or it cannot be scaled.
    """
    words = [f"{process}={count}" for process, count in counts.items()]
    return {str(key): int(value) for key, value in json.loads(ask(shell, ("scale", *words))).items()}


def logs_words(lines: int, process: str, since: str | None) -> tuple[str, ...]:
    """Give the words that ask the droplet's program for what a process said."""
    return ("logs", process, "-n", str(lines), *(() if since is None else ("--since", since)))


def _released(shell: Shell, name: str, words: Sequence[str], stdin: bytes | None, notify: Notify) -> int:
    number = _carried(shell, name, words, stdin, notify)
    if number is None:
        raise BadAnswer("The droplet announced no release")
    return number


def _carried(shell: Shell, name: str, words: Sequence[str], stdin: bytes | None, notify: Notify) -> int | None:
    with about.phase(Phase.RELEASE.value):
        return _decided(shell, name, words, stdin, notify)


def _decided(shell: Shell, name: str, words: Sequence[str], stdin: bytes | None, notify: Notify) -> int | None:
    said: list[str] = []

    def hear(text: str) -> None:
        said.append(text)
        notify(Output(origin="release", line=text))

    with _going_on(name, notify):
        status = shell.stream((CONTROL, *words), line=hear, stdin=stdin, limit=_LIMIT)
    if status == _WRONG_USE:
        raise ConfigError(_plain(said), next_step=f"cloudship releases {name}")
    if status != 0:
        raise verdict.failure(said, next_step=_log_of_failed(name))
    number = verdict.number(said)
    if number is None:
        notify(Noted(text=_plain(said)))
    return number


@contextmanager
def _going_on(name: str, notify: Notify) -> Iterator[None]:
    """Say of a release that an interrupt leaves alone that the droplet may carry it out all the same."""
    try:
        yield
    except (KeyboardInterrupt, Terminated):
        text = f"the droplet may finish this release by itself: cloudship releases {name}; cloudship rollback {name}"
        notify(Noted(text=text, warning=True))
        raise


def _announced(said: Sequence[str]) -> int:
    number = verdict.number(said)
    if number is None:
        raise ReleaseFailed("The push went through, yet no release was announced", evidence=said[-6:])
    return number


def _document(shell: Shell, *words: str, stdin: bytes | None = None, silent: bool = False) -> Any:
    """Ask for a document; `silent` is a droplet that may have none to give."""
    said = ask(shell, words, stdin)
    try:
        return None if silent and not said.strip() else json.loads(said)
    except ValueError as error:
        raise BadAnswer(f"What the droplet said about its {words[0]} is no JSON") from error


def ask(shell: Shell, words: Sequence[str], stdin: bytes | None = None) -> str:
    """
    Carry out a verb of the droplet's program, and give what it printed.

    Raises:
        ConfigError: it was asked for what it does not have.
        CommandFailed: it failed.
    """
    done = shell.run((CONTROL, *words), stdin=stdin, limit=_LIMIT)
    said = (done.stderr or done.stdout).strip().splitlines()
    if done.exit_status == _WRONG_USE:
        raise ConfigError(_plain(said))
    if done.exit_status != 0:
        raise CommandFailed(
            f"{CONTROL} {words[0]} ended with status {done.exit_status}",
            command=f"{CONTROL} {words[0]}",
            status=done.exit_status,
            evidence=said[-8:],
        )
    return done.stdout


def _release(told: Mapping[str, Any]) -> Release:
    seconds = {str(stage): float(value) for stage, value in (told.get("seconds") or {}).items()}
    texts = {key: str(told.get(key) or "") for key in ("state", "action", "by", "at", "commit")}
    return Release(number=int(told["number"]), seconds=seconds, failure=told.get("failure"), **texts)


def _plain(said: Sequence[str]) -> str:
    last = next((line for line in reversed(said) if line.strip()), "the droplet said nothing")
    return last.strip().removeprefix("cloudship: ")


def _log_of_failed(name: str) -> str:
    return f"the release before stays live; mend it and deploy again. Its whole log: cloudship releases {name} --log"
