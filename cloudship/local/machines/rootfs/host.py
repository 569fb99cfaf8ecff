"""
What a droplet must know of this host's way to the world: proxies, certificates, package index, resolver.

A company's proxy with its own certificate authority is met by every download that a droplet makes.
"""

from __future__ import annotations

import configparser
import ipaddress
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

EXTRA_CERTIFICATES = Path("/usr/local/share/ca-certificates")
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
_INDEX_VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")
VARIABLES = (*_PROXIES, *_INDEX_VARIABLES)  # all that is read of the environment
_RESOLVERS = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))


@dataclass(frozen=True)
class HostSettings:
    """What was found on the host, ready to be written into a root file system."""

    certificates: tuple[tuple[str, str], ...]  # file name, PEM
    proxies: tuple[tuple[str, str], ...]
    apt: tuple[str, ...]  # lines of apt's configuration
    index_url: str | None
    resolvers: tuple[str, ...]
    not_copied: tuple[str, ...]  # what a droplet could not use, for a report


def host_settings() -> HostSettings:
    """Read the host's settings; what points at the host itself is reported, not copied."""
    index, refused = _index()
    proxies = tuple((name, os.environ[name]) for name in _PROXIES if os.environ.get(name))
    usable = tuple(pair for pair in proxies if "no_" in pair[0].lower() or not _is_own(pair[1]))
    lost = tuple(
        f"proxy {value}: it points at this host itself" for name, value in proxies if (name, value) not in usable
    )
    return HostSettings(_certificates(), usable, _apt(), index, resolvers(), (*refused, *lost))


def resolvers() -> tuple[str, ...]:
    """Name the resolvers that a droplet can reach: those that are not on the host's own loopback."""
    for place in _RESOLVERS:
        found = _nameservers(place)
        if found:
            return found
    return ()


def _nameservers(place: Path) -> tuple[str, ...]:
    try:
        lines = place.read_text(encoding="utf-8").splitlines()
    except OSError:
        return ()
    words = [line.split() for line in lines]
    named = [pair[1] for pair in words if len(pair) > 1 and pair[0] == "nameserver"]
    return tuple(address for address in named if not _is_loopback(address))


def _certificates() -> tuple[tuple[str, str], ...]:
    if not EXTRA_CERTIFICATES.is_dir():
        return ()
    files = sorted(EXTRA_CERTIFICATES.rglob("*.crt"))
    return tuple((path.name, path.read_text(encoding="utf-8")) for path in files)


def _apt() -> tuple[str, ...]:
    """Copy how apt fetches: proxies and checks that this host had to adjust."""
    done = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=False)
    wanted = ("Acquire::http::Proxy", "Acquire::https::Proxy", "Acquire::Check-", "Acquire::ForceIPv4")
    lines = [line for line in done.stdout.splitlines() if line.startswith(wanted)]
    return tuple(line for line in lines if line.rstrip(";").split()[-1] != '""')


def _index() -> tuple[str | None, tuple[str, ...]]:
    """Find the package index: environment first, then pip's own files; one on this host is refused."""
    found = [os.environ[name] for name in _INDEX_VARIABLES if os.environ.get(name)]
    for path in (
        Path("/etc/pip.conf"),
        Path("~/.config/pip/pip.conf").expanduser(),
        Path("~/.pip/pip.conf").expanduser(),
    ):
        parser = configparser.ConfigParser(interpolation=None)
        parser.read(path, encoding="utf-8")
        found += (
            [value for key, value in parser.items("global") if key == "index-url"]
            if parser.has_section("global")
            else []
        )
    usable = [url for url in found if not _is_own(url)]
    refused = tuple(f"package index {url}: a droplet cannot reach it" for url in found if url not in usable)
    return (usable[0] if usable else None), refused


def _is_own(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "file" or _is_loopback(parts.hostname or "")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
