"""What a test asks a cloud for where only the name and the tags of a droplet matter."""

from __future__ import annotations

from collections.abc import Iterable

from cloudship.models import DropletRequest


def order(name: str, carried: Iterable[str], ssh_keys: tuple[int, ...] = ()) -> DropletRequest:
    """Ask for the smallest ordinary droplet, with a name and tags."""
    return DropletRequest(
        name=name,
        region="nyc3",
        size="s-1vcpu-1gb",
        image="ubuntu-20-04-x64",
        ssh_keys=ssh_keys,
        tags=tuple(carried),
        user_data="#cloud-config\n",
    )
