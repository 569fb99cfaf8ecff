"""
What DigitalOcean offers: images, sizes and regions.

Slugs, memory, disks and prices are DigitalOcean's public ones (docs.digitalocean.com, prices of 2026); the
local cloud quotes them so that costs can be rehearsed, and charges nothing.
"""

from __future__ import annotations

from typing import Any

REGIONS = {
    "ams3": "Amsterdam 3",
    "blr1": "Bangalore 1",
    "fra1": "Frankfurt 1",
    "lon1": "London 1",
    "nyc1": "New York 1",
    "nyc3": "New York 3",
    "sfo2": "San Francisco 2",
    "sfo3": "San Francisco 3",
    "sgp1": "Singapore 1",
    "syd1": "Sydney 1",
    "tor1": "Toronto 1",
}

# slug: memory MiB, vcpus, disk GiB, transfer TB, USD a month, USD an hour
_SIZES = {
    "s-1vcpu-512mb-10gb": (512, 1, 10, 0.5, 4.0, 0.00595),
    "s-1vcpu-1gb": (1024, 1, 25, 1.0, 6.0, 0.00893),
    "s-1vcpu-2gb": (2048, 1, 50, 2.0, 12.0, 0.01786),
    "s-2vcpu-2gb": (2048, 2, 60, 3.0, 18.0, 0.02679),
    "s-2vcpu-4gb": (4096, 2, 80, 4.0, 24.0, 0.03571),
    "s-4vcpu-8gb": (8192, 4, 160, 5.0, 48.0, 0.07143),
    "s-8vcpu-16gb": (16384, 8, 320, 6.0, 96.0, 0.14286),
}

# slug: id, distribution, name
_IMAGES = {
    "ubuntu-20-04-x64": (112929408, "Ubuntu", "20.04 (LTS) x64"),
    "ubuntu-22-04-x64": (112929454, "Ubuntu", "22.04 (LTS) x64"),
    "ubuntu-24-04-x64": (155133621, "Ubuntu", "24.04 (LTS) x64"),
    "debian-12-x64": (155133622, "Debian", "12 x64"),
}
_FEATURES = ["backups", "ipv6", "metadata", "install_agent", "storage", "image_transfer"]


def regions() -> list[dict[str, Any]]:
    """List all regions as the API shows them."""
    return [region(slug) for slug in REGIONS]


def region(slug: str) -> dict[str, Any]:
    """Show one region."""
    return {
        "name": REGIONS[slug],
        "slug": slug,
        "features": list(_FEATURES),
        "available": True,
        "sizes": list(_SIZES),
    }


def sizes() -> list[dict[str, Any]]:
    """List all sizes as the API shows them."""
    return [found for slug in _SIZES if (found := size(slug)) is not None]


def size(slug: str) -> dict[str, Any] | None:
    """Show one size; None when there is none of that slug."""
    if slug not in _SIZES:
        return None
    memory, vcpus, disk, transfer, monthly, hourly = _SIZES[slug]
    return {
        "slug": slug,
        "memory": memory,
        "vcpus": vcpus,
        "disk": disk,
        "transfer": transfer,
        "price_monthly": monthly,
        "price_hourly": hourly,
        "regions": list(REGIONS),
        "available": True,
        "description": "Basic",
    }


def images(notes: dict[str, str | None]) -> list[dict[str, Any]]:
    """
    List all images as the API shows them.

    Args:
        notes: what really boots for a slug, where that is something else; it shows in name and description.
    """
    return [_image(slug, notes.get(slug)) for slug in _IMAGES]


def _image(slug: str, note: str | None) -> dict[str, Any]:
    number, distribution, name = _IMAGES[slug]
    shown = f"{name} ({note})" if note else name
    return {
        "id": number,
        "name": shown,
        "type": "base",
        "distribution": distribution,
        "slug": slug,
        "public": True,
        "regions": list(REGIONS),
        "created_at": "2026-01-05T00:00:00Z",
        "min_disk_size": 7,
        "size_gigabytes": 0.4,
        "description": f"{distribution} {shown}",
        "tags": [],
        "status": "available",
        "error_message": "",
    }
