"""How a ship stands, by its tags: under way, dead, ended or alive; and what may be done with it then."""

from __future__ import annotations

from cloudship import inventory, records, tags
from cloudship.client import Client
from cloudship.errors import CloudshipError, ConfigError, KeyMissing, ShellUnreachable
from cloudship.keys import LaunchFiles
from cloudship.models import Droplet, rfc3339
from cloudship.tags import ShipTags
from cloudship.teardown import retire_tag
from cloudship.waiting import REAL, Clock


def has_ended(found: ShipTags, now: float) -> bool:
    """Whether a ship's time is over, unix time: its droplet shows visitors that, and waits to be reaped."""
    return found.expires is not None and found.expires < now


def is_dead(found: ShipTags, now: float) -> bool:
    """Whether a ship's launch came to no good end, unix time: it is reaped, or replaced."""
    return found.pending is not None and found.pending < now


def state(found: ShipTags, droplet: Droplet, now: float) -> str:
    """Say in a word how a ship stands at a time, unix time."""
    if found.pending is not None:
        return "failed" if is_dead(found, now) else "launching"
    return "ended" if has_ended(found, now) else droplet.status.value


def check_login(files: LaunchFiles, found: ShipTags, droplet: Droplet, *, early: bool = False) -> None:
    """
    Refuse to log in where that cannot be; `early` allows it to a host that has only the temporary key.

    Raises:
        KeyMissing: this machine has no key for the launch.
        ShellUnreachable: the host has no key of its own yet.
    """
    lacking = files.lacking()
    if lacking is not None:
        raise KeyMissing(
            f"This machine cannot log in to {found.name}, which {found.owner} launched: {lacking}",
            next_step=f"do it where it was launched, or with a key of your own: ssh root@{droplet.ip_address or ''}",
        )
    if not (early or files.is_settled):
        raise ShellUnreachable(
            f"{found.name}'s droplet has no host key of its own yet: its launch by {found.owner} since "
            f"{droplet.created_at:%Y-%m-%d %H:%M:%S} UTC is under way, or was broken off",
            next_step=f"wait for it; if it was broken off: cloudship down {found.name}, and launch again",
        )


def check_takes_releases(client: Client, found: ShipTags, droplet: Droplet, clock: Clock = REAL) -> None:
    """
    Refuse what would make a release of a ship that takes none; it is looked at again first: it may have got more time.

    Raises:
        ShipBusy: its launch is under way, makes the first one, and waits for that to answer.
        ConfigError: it has ended.
        CloudError: it cannot be looked at.
    """
    if _refusal(found, droplet, client.now(clock)) is None:
        return
    seen = client.droplet(droplet.id)
    refusal = _refusal(tags.of(seen) or found, seen, client.now(clock))
    if refusal is not None:
        raise refusal


def _refusal(found: ShipTags, droplet: Droplet, now: float) -> CloudshipError | None:
    if (found.pending or 0) > now:
        return inventory.launched_by(found.name, found.owner, droplet)
    return ended(found) if has_ended(found, now) else None


def ended(found: ShipTags) -> ConfigError:
    """Say that a ship's time is over, and what gives it more."""
    return ConfigError(
        f"{found.name} has ended: its time was over at {rfc3339(found.expires)}",
        next_step=f"cloudship extend {found.name} 1h gives it more time; cloudship down {found.name} takes it away",
    )


def check_may_live_on(client: Client, found: ShipTags, clock: Clock = REAL) -> None:
    """
    Refuse more time for what goes in any case.

    Raises:
        ConfigError: its launch died, so that a reap takes it however much time it has.
    """
    if is_dead(found, client.now(clock)):
        raise ConfigError(
            f"The launch of {found.name} died at {rfc3339(found.pending)}: more time keeps no reap from it",
            next_step=f"cloudship deploy {found.name} brings it to life; cloudship down {found.name} takes it away",
        )


def revive(client: Client, found: ShipTags, droplet: Droplet) -> Droplet:
    """Let a ship whose launch died, and which answers now, be one like any other; gives its droplet as it is then."""
    for tag in droplet.tags:
        if tag.startswith(tags.PENDING):
            retire_tag(client, tag, droplet.id)
    records.journal().ended(found.launch, client.mark)
    return client.droplet(droplet.id)
