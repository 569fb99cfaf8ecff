"""What the API answers, read into values; whatever is not as documented becomes one error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from ipaddress import IPv4Address
from typing import Any, TypeVar

from cloudship.errors import BadAnswer
from cloudship.models import Droplet, DropletStatus, Image, Key, Region, Size

T = TypeVar("T")


def read(make: Callable[[], T]) -> T:
    """
    Make a value of an answer.

    Raises:
        BadAnswer: the answer is not what the API documents.
    """
    try:
        return make()
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise BadAnswer(f"The cloud's API answered something else than it documents: {type(error).__name__}") from error


def droplet(told: Mapping[str, Any]) -> Droplet:
    """Read a droplet."""

    def make() -> Droplet:
        shot = told["image"] or {}
        public = [one for one in told["networks"]["v4"] if one["type"] == "public"]
        shown = f"{shot.get('distribution', '')} {shot.get('name', '')}".strip()
        return Droplet(
            id=told["id"],
            name=told["name"],
            status=DropletStatus(told["status"]),
            ip_address=IPv4Address(str(public[0]["ip_address"])) if public else None,
            image=shot.get("slug") or shown,
            image_name=shown,
            size=told["size_slug"],
            region=told["region"]["slug"],
            price_hourly=told["size"]["price_hourly"],
            tags=_texts(told["tags"]),
            created_at=_moment(told["created_at"]),
        )

    return read(make)


def _texts(told: Any) -> frozenset[str]:
    """Read a list of texts; a text alone would be taken for its letters."""
    if not isinstance(told, (list, type(None))):
        raise TypeError("no list")
    return frozenset(told or ())


def _moment(text: str) -> datetime:
    """Read a time; one that names no zone is in UTC, as all of the API's are."""
    found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return found if found.tzinfo is not None else found.replace(tzinfo=timezone.utc)


def key(told: Mapping[str, Any]) -> Key:
    """Read an SSH key."""
    return read(lambda: Key(**{name: told[name] for name in ("id", "name", "fingerprint", "public_key")}))


def image(told: Mapping[str, Any]) -> Image:
    """Read an image."""
    return read(
        lambda: Image(
            id=told["id"],
            slug=told["slug"],
            name=told["name"],
            distribution=told["distribution"],
            regions=_texts(told["regions"]),
        )
    )


def size(told: Mapping[str, Any]) -> Size:
    """Read a size."""
    return read(
        lambda: Size(
            slug=told["slug"],
            memory_mib=told["memory"],
            vcpus=told["vcpus"],
            disk_gib=told["disk"],
            price_hourly=told["price_hourly"],
            available=told["available"],
            regions=_texts(told["regions"]),
        )
    )


def region(told: Mapping[str, Any]) -> Region:
    """Read a region."""
    return read(
        lambda: Region(slug=told["slug"], name=told["name"], available=told["available"], sizes=_texts(told["sizes"]))
    )
