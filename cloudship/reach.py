"""Which clouds a verb about existing ships can ask; silence is no answer."""

from __future__ import annotations

from collections.abc import Sequence

from cloudship import clouds
from cloudship.choices import choice
from cloudship.client import Client
from cloudship.errors import CredentialsError, LocalCloudUnavailable
from cloudship.events import Notify, nobody
from cloudship.models import Cloud, Timeouts

_RUNS_NOT = {True: "is stopped", False: "was never started"}


def asked(
    cloud: Cloud | str | None,
    timeouts: Timeouts | None,
    start_local: clouds.Starter | None = None,
    notify: Notify = nobody,
) -> tuple[Client, ...]:
    """
    Give a client for every cloud that a search for existing ships can ask, or for the one that is named.

    Args:
        cloud: search only this one.
        timeouts: the limits of all waits.
        start_local: brings a local cloud that was stopped with ships on it back; None leaves it stopped.
        notify: hears of requests.

    Raises:
        LocalCloudUnavailable: the local cloud was named, and is stopped.
    """
    chosen = choice(Cloud, cloud, "cloud") if cloud is not None else None
    found = tuple(
        Client(endpoint, timeouts=timeouts, notify=notify)
        for endpoint in clouds.reachable(chosen, start_local=start_local)
    )
    if not found and chosen is Cloud.LOCAL and clouds.local_sleeps():
        raise LocalCloudUnavailable("The local cloud is stopped, and may hold ships", next_step="cloudship local start")
    return found


def check(found: Sequence[object], cloud: Cloud | str | None) -> None:
    """
    Refuse to take silence for an answer, as where a secret of CI's is empty.

    Args:
        found: the clouds, or the ships on them.
        cloud: the one that was named.

    Raises:
        CredentialsError: no cloud is within reach.
    """
    if found or cloud is not None or clouds.reachable(None):
        return
    asleep = clouds.local_sleeps()
    raise CredentialsError(
        f"No cloud is within reach: no token for DigitalOcean, and a local cloud that {_RUNS_NOT[asleep]}",
        next_step="cloudship local start" if asleep else None,
    )
