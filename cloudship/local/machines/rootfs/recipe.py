"""What goes into the root file system of an image, decided from what the host's own mirrors carry."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from dataclasses import asdict, dataclass
from functools import cache

from cloudship.local.machines.base import DriverError
from cloudship.local.machines.rootfs.host import HostSettings, host_settings

PACKAGES = (
    "ca-certificates",
    "cloud-init",
    "curl",
    "dbus",
    "iproute2",
    "iputils-ping",
    "less",
    "netbase",
    "nftables",
    "openssh-server",
    "procps",
    "python3",
    "sudo",
    "systemd",
    "systemd-sysv",
    "systemd-timesyncd",
)
LAYOUT = 7  # raise it when `build` prepares a root file system differently: the cache key holds it

# Slug, then what the name promises: distribution, version, and the codename that a mirror knows it by.
IMAGES: dict[str, tuple[str, str, str]] = {
    "ubuntu-20-04-x64": ("Ubuntu", "20.04", "focal"),
    "ubuntu-22-04-x64": ("Ubuntu", "22.04", "jammy"),
    "ubuntu-24-04-x64": ("Ubuntu", "24.04", "noble"),
    "debian-12-x64": ("Debian", "12", "bookworm"),
    "debian-13-x64": ("Debian", "13", "trixie"),
}
VERSIONS = {codename: version for _, version, codename in IMAGES.values()} | {"bullseye": "11"}


@dataclass(frozen=True)
class Source:
    """One entry of apt's sources, as far as a root file system needs it."""

    origin: str  # "Debian" or "Ubuntu"
    uri: str
    suite: str
    component: str


@dataclass(frozen=True)
class Recipe:
    """All that decides about a root file system; equal recipes share one."""

    slug: str
    origin: str
    codename: str
    sources: tuple[Source, ...]
    packages: tuple[str, ...]
    host: HostSettings
    stand_in: bool
    layout: int = LAYOUT

    @property
    def key(self) -> str:
        """The content hash under which it is cached; slugs that boot the same system share it."""
        told = {key: value for key, value in asdict(self).items() if key not in {"slug", "stand_in"}}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def note(self) -> str | None:
        """What really boots, where that is not what the slug says."""
        if not self.stand_in:
            return None
        return f"{self.origin.lower()} {VERSIONS.get(self.codename, self.codename)} stand-in"


def recipe(slug: str) -> Recipe:
    """
    Decide what a slug boots: the real thing where the host's mirrors carry it, else the host's own release.

    Raises:
        DriverError: the slug is unknown, or apt knows no mirror of a distribution.
    """
    if slug not in IMAGES:
        raise DriverError(f"The local cloud has no image {slug!r}; it has {', '.join(IMAGES)}")
    wanted_origin, _, wanted = IMAGES[slug]
    sources = archive_sources()
    if any(entry.origin == wanted_origin and entry.suite == wanted for entry in sources):
        return _made(slug, wanted_origin, wanted, sources, stand_in=False)
    origin, codename = _of_this_host(sources)
    return _made(slug, origin, codename, sources, stand_in=True)


@cache  # apt takes a third of a second to answer, and a server asks for every image
def archive_sources() -> tuple[Source, ...]:
    """
    Read from apt which archives of a distribution this host uses; other people's lists are left out.

    Raises:
        DriverError: apt does not answer, as on a host that is no Debian or Ubuntu.
    """
    words = ["apt-get", "indextargets", "--format", "$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)"]
    try:
        done = subprocess.run([*words, "Created-By: Packages"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise DriverError("apt does not say which mirrors this host uses; it needs Debian or Ubuntu") from error
    rows = {tuple(line.split("|")) for line in done.stdout.splitlines() if line.count("|") == 3}  # noqa: PLR2004
    return tuple(Source(*row) for row in sorted(rows) if row[0] in {"Debian", "Ubuntu"})


def _of_this_host(sources: tuple[Source, ...]) -> tuple[str, str]:
    codename = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    for entry in sources:
        if entry.suite == codename:
            return entry.origin, codename
    raise DriverError(
        f"apt has no index of {codename or 'this host'}'s own archive; run: apt-get update",
    )


def _made(slug: str, origin: str, codename: str, sources: tuple[Source, ...], *, stand_in: bool) -> Recipe:
    pockets = {codename, f"{codename}-updates", f"{codename}-security"}
    used = tuple(entry for entry in sources if entry.origin == origin and entry.suite in pockets)
    return Recipe(slug, origin, codename, used, PACKAGES, host_settings(), stand_in)
