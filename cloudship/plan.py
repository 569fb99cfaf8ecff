"""
Everything that is decided before the first call that creates something; pure.

`draw` gets what was read (configuration, source, app, the cloud's catalogue, fresh keys, the time) and gives one
frozen `Plan`. `cloudship plan` prints it, `up` carries it out: nothing is decided twice.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from cloudship import render, tags
from cloudship.config import Config
from cloudship.errors import UnknownSlug
from cloudship.index import Packages
from cloudship.models import Cloud, DropletRequest, Image, Region, Size, Value

IMAGES = ("ubuntu-20-04-x64", "ubuntu-22-04-x64", "ubuntu-24-04-x64")  # the default and what follows it


class Catalogue(Value):
    """What a cloud offers, as it answered."""

    images: tuple[Image, ...]
    sizes: tuple[Size, ...]
    regions: tuple[Region, ...]


class AppSummary(Value):
    """What was found out about the app, for people."""

    kind: str
    why: str
    warnings: tuple[str, ...] = ()


class Sent(Value):
    """What will be pushed."""

    description: str
    commit: str
    files: int
    size: int  # bytes


class Moment(Value):
    """What is new in each launch: its id and the time."""

    launch: str
    now: int  # unix time
    deadline: int  # unix time; a launch that has not answered by then is dead


class Plan(Value):
    """One launch, fully decided, nothing created."""

    name: str
    launch: str
    owner: str
    cloud: Cloud
    image: Image
    size: Size
    region: str
    created: int  # unix time
    deadline: int  # unix time; a launch that has not answered by then is dead
    expires: int | None  # unix time
    public_key: str
    user_data: str
    app: AppSummary
    sent: Sent
    settings: Mapping[str, Any]  # the app's keys given from outside its tree
    notes: tuple[str, ...]  # fallbacks taken, keys ignored

    def begun(self, now: int, deadline: int) -> Plan:
        """
        Give this launch as it is at the moment when it is begun, both unix time: making room may have taken long.

        The end in its user-data stays what it was: the droplet looks at its tags before it ends.
        """
        expires = self.expires + now - self.created if self.expires is not None else None
        return self.model_copy(update={"created": now, "deadline": deadline, "expires": expires})

    @property
    def key_name(self) -> str:
        """How the launch's key is named in the account."""
        return tags.key_name(self.name, self.launch, self.created)

    @property
    def tags(self) -> tuple[str, ...]:
        """What the launch's droplet carries."""
        return tags.launch_tags(self.name, self.launch, self.owner, self.expires, self.deadline)

    @property
    def price_hourly(self) -> float:
        """USD an hour; the local cloud costs nothing."""
        return self.cloud.billed(self.size.price_hourly)

    @property
    def image_slug(self) -> str:
        """How the image is asked for."""
        return self.image.slug or str(self.image.id)

    def request(self, key_id: int) -> DropletRequest:
        """The body of the one POST that makes the droplet."""
        return DropletRequest(
            name=tags.droplet_name(self.name, self.launch),
            region=self.region,
            size=self.size.slug,
            image=self.image_slug,
            ssh_keys=(key_id,),
            tags=self.tags,
            user_data=self.user_data,
        )


def draw(
    config: Config,
    *,
    name: str,
    cloud: Cloud,
    catalogue: Catalogue,
    app: AppSummary,
    sent: Sent,
    settings: Mapping[str, Any],
    apt: Sequence[str],
    authorized: Sequence[str],
    launch_key: str,
    host_key: render.HostKey,
    extra: str | None,
    packages: Packages,
    moment: Moment,
    notes: Sequence[str] = (),
) -> Plan:
    """
    Decide one launch.

    Args:
        config: what the user asked for.
        name: the ship's name.
        cloud: where.
        catalogue: what that cloud offers.
        app: what the app is.
        sent: what will be pushed.
        settings: the app's keys that were given from outside its tree.
        apt: Debian packages that the app needs.
        authorized: the user's own public keys.
        launch_key: the public half of the key made for this launch.
        host_key: the temporary host key, both halves; see rule 4 of the design.
        extra: the user's own cloud-config.
        packages: where the droplet finds Python packages, and Pythons.
        moment: launch id and time.
        notes: what was already taken note of on the way here.

    Raises:
        UnknownSlug: an image, size or region that is not on offer, with the nearest that is.
        UserDataError: the user-data would be refused.
    """
    image, said = _image(config.image, catalogue)
    size = _size(config.size, catalogue)
    region = _region(config.region, catalogue)
    expires = moment.now + config.ttl if config.ttl is not None else None
    spec = render.BootSpec(
        name=name,
        authorized_keys=(launch_key, *authorized),
        host_key=host_key,
        apt=tuple(apt),
        settings=dict(settings),
        index_url=packages.index_url,
        python_mirror=packages.python_mirror,
        expires=expires,
        extra=extra,
    )
    return Plan(
        name=name,
        launch=moment.launch,
        owner=tags.owner(config.owner),
        cloud=cloud,
        image=image,
        size=size,
        region=region,
        created=moment.now,
        deadline=moment.deadline,
        expires=expires,
        public_key=launch_key,
        user_data=render.render(spec).text,
        app=app,
        sent=sent,
        settings=settings,
        notes=(*said, *notes, *packages.notes, *app.warnings),
    )


def _image(asked: str | None, catalogue: Catalogue) -> tuple[Image, tuple[str, ...]]:
    known = {image.slug: image for image in catalogue.images if image.slug}
    known |= {str(image.id): image for image in catalogue.images}
    if asked is not None:
        if asked in known:
            return known[asked], ()
        raise _unknown("image", asked, tuple(known))
    for slug in IMAGES:
        if slug in known:
            gone = IMAGES[: IMAGES.index(slug)]
            said = (f"{gone[0]} is no longer offered; using {slug}",) if gone else ()
            return known[slug], said
    raise _unknown("image", IMAGES[0], tuple(known))


def _size(asked: str, catalogue: Catalogue) -> Size:
    known = {size.slug: size for size in catalogue.sizes if size.available}
    if asked not in known:
        raise _unknown("size", asked, tuple(known))
    return known[asked]


def _region(asked: str, catalogue: Catalogue) -> str:
    known = tuple(region.slug for region in catalogue.regions if region.available)
    if asked not in known:
        raise _unknown("region", asked, known)
    return asked


def _unknown(what: str, asked: str, known: Sequence[str]) -> UnknownSlug:
    slugs = sorted(slug for slug in known if not slug.isdigit())
    near = difflib.get_close_matches(asked, slugs, n=3, cutoff=0.4) or slugs[:3]
    return UnknownSlug(
        f"There is no {what} {asked!r} here; nearest are {', '.join(near)}",
        next_step=f'{what} = "{near[0]}" in cloudship.toml, or --{what} {near[0]}' if near else None,
    )
