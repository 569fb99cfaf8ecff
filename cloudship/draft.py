"""Everything that a launch needs to know before it creates anything: read here, decided in `plan.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from cloudship import index, keys, plan, tags
from cloudship.client import Client
from cloudship.config import Config
from cloudship.errors import ConfigError, NotFound, Unauthorized
from cloudship.keys import KeyPair
from cloudship.models import Cloud, Image, Secret, Timeouts
from cloudship.plan import Catalogue, Plan
from cloudship.render import HostKey
from cloudship.request import Request
from cloudship.waiting import Clock


@dataclass(frozen=True)
class Draft:
    """A plan, and what carrying it out needs besides: secrets, files, the account."""

    plan: Plan
    request: Request
    launch_key: KeyPair
    host_key: KeyPair
    client: Client

    def begun(self, timeouts: Timeouts, clock: Clock) -> Draft:
        """Give this draft as it is when the launch begins: others judge by its key's age, and by its deadline."""
        return replace(self, plan=self.plan.begun(*_moments(self.client, timeouts, clock)))

    @property
    def env(self) -> Mapping[str, Secret]:
        """The app's values."""
        return self.request.config.env


def draw(asked: Request, client: Client, timeouts: Timeouts, clock: Clock) -> Draft:
    """
    Ask the cloud what it offers, make fresh keys, and decide.

    Args:
        asked: what the user wants.
        client: where.
        timeouts: the limits of all waits, by which a launch is taken for dead one day.
        clock: the time.

    Raises:
        UsageError: what is asked for cannot be had; nothing was created.
    """
    launch, offered = tags.new_launch(), catalogue(client, asked.config.image)
    now, deadline = _moments(client, timeouts, clock)
    launch_key, host_key = keys.mint(f"cloudship:{asked.name}:{launch}"), keys.mint("temporary")
    drawn = plan.draw(
        asked.config,
        name=asked.name,
        cloud=client.cloud,
        catalogue=offered,
        app=plan.AppSummary(kind=asked.app.kind, why=asked.app.why, warnings=asked.app.warnings),
        sent=plan.Sent(
            description=asked.tree.description,
            commit=asked.tree.commit,
            files=asked.tree.files,
            size=asked.tree.size,
        ),
        settings=asked.loaded.outside,
        apt=asked.app.apt,
        authorized=keys.own_public_keys(asked.config.ssh_keys),
        launch_key=launch_key.public,
        host_key=HostKey(private=host_key.private, public=host_key.public),
        extra=_extra(asked.config),
        packages=index.packages(asked.config.python_mirror),
        moment=plan.Moment(launch=launch, now=now, deadline=deadline),
        notes=asked.notes,
    )
    return Draft(drawn, asked, launch_key, host_key, client)


def _moments(client: Client, timeouts: Timeouts, clock: Clock) -> tuple[int, int]:
    """Say, by the cloud's clock, which its first answer tells, what time it is and when the launch is dead."""
    now = client.now(clock)
    return int(now), int(min(now + timeouts.launch, tags.LAST))


def catalogue(client: Client, image: str | None) -> Catalogue:
    """
    Read what a cloud offers, as far as a plan needs it.

    The image is asked for by its own slug first: the one request that tells whether it still exists.

    Raises:
        Unauthorized: the token is refused; said as what it is.
    """
    try:
        images = _images(client, image or plan.IMAGES[0])
    except Unauthorized as error:
        raise Unauthorized(
            f"The cloud refuses the token: {error}",
            status=error.status,
            identifier=error.identifier,
            next_step="check DIGITALOCEAN_ACCESS_TOKEN"
            if client.cloud is Cloud.DIGITALOCEAN
            else "cloudship local env",
        ) from error
    return Catalogue(images=images, sizes=client.sizes(), regions=client.regions())


def _images(client: Client, wanted: str) -> tuple[Image, ...]:
    try:
        return (client.image(wanted),)
    except NotFound:
        return client.images()


def _extra(config: Config) -> str | None:
    if config.user_data is None:
        return None
    try:
        return config.user_data.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConfigError(f"user_data: {config.user_data} cannot be read: {error}") from error
