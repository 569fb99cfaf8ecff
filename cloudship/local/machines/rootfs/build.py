"""Build a root file system once, and cache it under the hash of its recipe."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from cloudship.local import programs
from cloudship.local.machines.base import DriverError
from cloudship.local.machines.rootfs.host import BUNDLE
from cloudship.local.machines.rootfs.recipe import Recipe

Tell = Callable[[str], None]

# As on DigitalOcean's own images: the seed on the config drive comes first.
_DATASOURCES = "datasource_list: [ ConfigDrive, DigitalOcean, NoCloud, None ]\n"
_NO_NETWORK = "network: {config: disabled}\n"  # the address is there before init starts
_HOSTS_AFFAIR = (  # time and network
    "systemd-networkd-wait-online.service",
    "systemd-resolved.service",
    "systemd-timesyncd.service",
)
# A droplet asks its mirror what has changed, which takes a moment; to fetch and unpack all lists takes it seconds.
_KEPT = "--skip=cleanup/apt/lists"
_NO_SSHD_SOCKET = ("etc/systemd/system/sockets.target.wants/ssh.socket",)


def cache_folder() -> Path:
    """Say where built root file systems lie: `CLOUDSHIP_CACHE_DIR`, else the user's cache."""
    chosen = os.environ.get("CLOUDSHIP_CACHE_DIR")
    return (Path(chosen) if chosen else platformdirs.user_cache_path("cloudship")).absolute() / "rootfs"


def built(recipe: Recipe) -> Path | None:
    """Find the root file system of a recipe, if it has been built."""
    place = cache_folder() / recipe.key
    return place if place.is_dir() else None


def build(recipe: Recipe, tell: Tell = lambda _line: None) -> Path:
    """
    Build the root file system of a recipe, or find it built.

    Two builds at once: the second waits for the first and takes its result.

    Raises:
        DriverError: mmdebstrap is missing or failed; its last lines are in the message.
    """
    place = cache_folder() / recipe.key
    place.parent.mkdir(parents=True, exist_ok=True)
    with _locked(place.with_suffix(".lock")) as lock, _for_all_users():
        if place.is_dir():
            return place
        unfinished = place.with_suffix(".part")
        _remove(unfinished)
        tell(f"building {recipe.origin.lower()} {recipe.codename} for {recipe.slug}, once; about half a minute")
        for lost in recipe.host.not_copied:
            tell(f"not copied: {lost}")
        _bootstrap(recipe, unfinished, tell, lock)
        _prepare(recipe, unfinished)
        unfinished.rename(place)
    return place


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


@contextmanager
def _for_all_users() -> Iterator[None]:
    """Let a system's files be readable for its users, whatever the habit of who builds it."""
    before = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(before)


def _remove(tree: Path) -> None:
    if tree.exists():
        shutil.rmtree(tree)


def _bootstrap(recipe: Recipe, target: Path, tell: Tell, lock: int) -> None:
    words = ["mmdebstrap", "--variant=minbase", "--mode=root", "--format=directory", _KEPT]
    words += [f"--include={','.join(recipe.packages)}", *(f"--aptopt={line}" for line in recipe.host.apt)]
    words += [recipe.codename, str(target), "-"]
    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=programs.environment(),
            pass_fds=(lock,),  # where we are killed, the next build waits for its end
        )
    except FileNotFoundError as error:
        raise DriverError("mmdebstrap is not installed; run: cloudship local setup") from error
    assert process.stdin is not None  # noqa: S101  both are pipes
    assert process.stderr is not None  # noqa: S101
    process.stdin.write(_sources(recipe))
    process.stdin.close()
    said: list[str] = []
    for line in process.stderr:
        said.append(line.rstrip())
        if line.startswith("I: "):
            tell(line[3:].rstrip())
    if process.wait() != 0:
        _remove(target)
        raise DriverError("mmdebstrap failed:\n" + "\n".join(said[-6:]))


def _sources(recipe: Recipe) -> str:
    keyring = f"/usr/share/keyrings/{recipe.origin.lower()}-archive-keyring.gpg"
    signed = f"[signed-by={keyring}] " if Path(keyring).exists() else ""
    lines = (f"deb {signed}{entry.uri} {entry.suite} {entry.component}" for entry in recipe.sources)
    return "\n".join(lines) + "\n"


def _prepare(recipe: Recipe, root: Path) -> None:
    """Turn a plain system into what a droplet's image is: no identity of its own, the config drive first."""
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()  # a droplet without a seed would answer with keys that every other one shares
    for name in ("etc/machine-id", "var/lib/dbus/machine-id"):
        (root / name).unlink(missing_ok=True)
    (root / "etc/machine-id").touch()
    for relative in _NO_SSHD_SOCKET:
        (root / relative).unlink(missing_ok=True)
    _write(root / "etc/cloud/cloud.cfg.d/99-digitalocean.cfg", _DATASOURCES)
    _write(root / "etc/cloud/cloud.cfg.d/99-network.cfg", _NO_NETWORK)
    _write(root / "etc/cloud/cloud.cfg.d/99-locale.cfg", "locale: C.UTF-8\n")
    _write(root / "etc/apt/sources.list", _sources(recipe))
    (root / "etc/resolv.conf").unlink(missing_ok=True)
    _write(root / "etc/resolv.conf", "".join(f"nameserver {one}\n" for one in recipe.host.resolvers))
    for name in (
        "systemd-networkd-wait-online.service",
        "systemd-resolved.service",
        "systemd-timesyncd.service",
    ):
        _mask(root, name)  # the host keeps the time and the network
    _ways_to_the_world(recipe, root)
    subprocess.run(["chroot", str(root), "apt-cache", "-q", "gencaches"], check=True, capture_output=True)


def _ways_to_the_world(recipe: Recipe, root: Path) -> None:
    host = recipe.host
    if host.apt:
        _write(root / "etc/apt/apt.conf.d/90host", "\n".join(host.apt) + "\n")
    environment = dict(host.proxies)
    pip = []
    if host.certificates:
        for name, text in host.certificates:
            _write(root / "usr/local/share/ca-certificates" / name, text)
        subprocess.run(["chroot", str(root), "update-ca-certificates"], check=True, capture_output=True)
        environment["SSL_CERT_FILE"] = BUNDLE
        pip.append(f"cert = {BUNDLE}")
    if host.index_url:
        pip.append(f"index-url = {host.index_url}")
        _write(root / "etc/uv/uv.toml", f'[[index]]\nurl = "{host.index_url}"\ndefault = true\n')
    if pip:
        _write(root / "etc/pip.conf", "[global]\n" + "\n".join(pip) + "\n")
    if environment:
        _write(root / "etc/environment", "".join(f"{key}={value}\n" for key, value in environment.items()))
        quoted = " ".join(f'"{key}={value}"' for key, value in environment.items())
        _write(root / "etc/systemd/system.conf.d/host.conf", f"[Manager]\nDefaultEnvironment={quoted}\n")


def _mask(root: Path, unit: str) -> None:
    link = root / "etc/systemd/system" / unit
    link.unlink(missing_ok=True)
    link.symlink_to("/dev/null")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
