"""Key pairs, known hosts, and where they lie; the only importer of cryptography."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from glob import escape
from pathlib import Path
from urllib.parse import quote_from_bytes, unquote_to_bytes

import platformdirs
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from cloudship import durable
from cloudship.errors import ConfigError
from cloudship.legible import typed
from cloudship.models import Secret

_PUBLIC = re.compile(r"(?:ssh|ecdsa|sk)-[a-z0-9@.-]{1,80} [A-Za-z0-9+/]+={0,2}(?: .*)?")
_DOMAIN = ".cloudship"  # under which OpenSSH knows ships
_TEMPORARY = "temporary"  # stands in known_hosts where OpenSSH allows a comment


@dataclass(frozen=True)
class KeyPair:
    """An Ed25519 key pair in OpenSSH's formats."""

    private: Secret
    public: str  # one line


def mint(comment: str) -> KeyPair:
    """Make a fresh key pair."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    return KeyPair(Secret(private), f"{public} {comment}")


def state_folder() -> Path:
    """
    Say where this user's state lies: `CLOUDSHIP_STATE_DIR`, else the platform's place.

    It is absolute: what OpenSSH reads of it is used from other folders too, and there it would mean one in `~/.ssh`.
    """
    chosen = os.environ.get("CLOUDSHIP_STATE_DIR")
    return (Path(chosen) if chosen else platformdirs.user_state_path("cloudship")).absolute()


def own_public_keys(configured: Sequence[str]) -> tuple[str, ...]:
    """
    Read the user's own public keys: the files that are configured, else `~/.ssh/id_*.pub`.

    Raises:
        ConfigError: a configured file is not there or holds no public key.
    """
    if configured:
        return tuple(_public_key(name) for name in configured)
    return tuple(line for path in _default_files() if (line := _default_key(path)) is not None)


@dataclass(frozen=True)
class LaunchFiles:
    """
    The means to log in to one launch, on this machine.

    `ssh`, `git` and our own connections all use the same files. Hosts are known by the launch, not by their
    address: addresses are used again.
    """

    folder: Path
    launch: str

    @property
    def identity(self) -> Path:
        """The private key that the droplet lets in."""
        return self.folder / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """The host keys that are pinned."""
        return self.folder / "known_hosts"

    @property
    def config(self) -> Path:
        """OpenSSH's configuration for this launch's host, included by `ssh_config`."""
        return self.folder / "ssh_config"

    @property
    def checkout(self) -> Path:
        """Names the folder whose repository has a remote that leads to this launch; it need not exist."""
        return self.folder / "checkout"

    @property
    def host(self) -> str:
        """
        The host's name in OpenSSH's configuration: the ship, its launch, and ours.

        The launch is in it because a ship's name is used again, after a cloud was reset or in another local cloud, and
        OpenSSH takes the first file that knows a name.
        """
        return f"{self.folder.parent.name}.{self.launch}{_DOMAIN}"

    @property
    def alias(self) -> str:
        """The name under which the host is known."""
        return f"cloudship-{self.launch}"

    def save_identity(self, pair: KeyPair) -> None:
        """Write the private key; never readable by others, not even for a moment."""
        durable.folder(self.folder)
        durable.write_new(self.identity, pair.private.reveal())

    def pin(self, public_keys: Sequence[str], temporary: str | None = None) -> None:
        """
        Know the host by these keys and no others, from now on; whole or not at all.

        Args:
            public_keys: its own.
            temporary: the one that came in its user-data, until it has one of its own.
        """
        marked = [(key, "") for key in public_keys] + ([(temporary, f" {_TEMPORARY}")] if temporary else [])
        lines = [f"{self.alias} {' '.join(key.split()[:2])}{mark}\n" for key, mark in marked]
        durable.write(self.known_hosts, "".join(lines))

    def pinned(self) -> tuple[str, ...]:
        """Read the keys by which the host is known, each as type and blob."""
        return tuple(" ".join(words[:2]) for words in self._known())

    @property
    def is_settled(self) -> bool:
        """Whether the host is not known by the temporary key any more: others may have that one."""
        return all(_TEMPORARY not in words[2:] for words in self._known())

    def _known(self) -> list[list[str]]:
        try:
            lines = durable.read(self.known_hosts).splitlines()
        except OSError:
            return []
        return [line.split()[1:] for line in lines if line.startswith(f"{self.alias} ")]

    def lacking(self) -> str | None:
        """Say what of these files is missing for logging in; None: nothing."""
        try:
            durable.read(self.identity)
        except FileNotFoundError:
            return "it holds no key for it"
        except OSError as error:
            return f"{self.identity} cannot be read: {error.strerror}"
        return None if self.pinned() else f"{self.known_hosts} pins no host key"

    def save_config(self, address: str) -> None:
        """Let OpenSSH know the host by its name, for `git push` and whoever wants to `ssh`."""
        settings = {"HostName": _config_word(address), "User": "root", **self._settings()}
        lines = [f"Host {self.host}", *(f"  {name} {value}" for name, value in settings.items())]
        durable.write(self.config, "\n".join(lines) + "\n")

    def save_checkout(self, folder: Path) -> None:
        """Note which checkout is about to be tied to this launch, for whoever takes the launch down."""
        durable.write(self.checkout, quote_from_bytes(os.fsencode(folder)))  # a path need not be text

    def tied_checkout(self) -> Path | None:
        """Give the checkout that was noted so; None where there is none, or its note cannot be read."""
        try:
            noted = durable.read(self.checkout)
        except OSError:
            return None
        return Path(os.fsdecode(unquote_to_bytes(noted))) if noted else None

    def options(self) -> tuple[str, ...]:
        """Give OpenSSH's words for this key, this host and nothing of the user's own configuration."""
        return ("ssh", "-F", "/dev/null", *(f"-o{name}={value}" for name, value in self._settings().items()))

    def _settings(self) -> dict[str, str]:
        """Give what holds for every connection, as OpenSSH's configuration says it; an option says it the same way."""
        return {
            "IdentityFile": _config_word(str(self.identity)),  # `-i` reads % in two ways at once
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "UserKnownHostsFile": _config_word(str(self.known_hosts)),
            "GlobalKnownHostsFile": "/dev/null",
            "HostKeyAlias": self.alias,
            "StrictHostKeyChecking": "yes",
            "PasswordAuthentication": "no",
            "ConnectTimeout": "20",
            "ServerAliveInterval": "15",  # four times: a droplet that has vanished says nothing, not even that
            "ServerAliveCountMax": "4",
            "LogLevel": "ERROR",
        }

    def openssh(self, address: str) -> tuple[str, ...]:
        """Give the words of the ssh command that logs in."""
        return (*self.options(), f"root@{address}")

    def remove(self) -> None:
        """Remove them; the droplet has been proved gone."""
        durable.remove_folder(self.folder)


def ssh_config() -> Path:
    """
    Write the file that makes OpenSSH know every ship by its name, and the user's own configuration for all else.

    `ssh -F` with it reaches all other hosts as before. For a ship nothing of the user's is heeded: a proxy or a port
    that they set for all hosts would lead elsewhere than ours do.
    """
    state = state_folder()
    durable.folder(state)
    path = state / "ssh_config"
    mine = _pattern(state) + "/ships/*/*/*/ssh_config"
    own = ("  Include ~/.ssh/config", "  Include /etc/ssh/ssh_config")
    lines = [f'Include "{mine}"', f"Host * !*{_DOMAIN}", *own]
    text = "\n".join(lines) + "\n"
    if _text_of(path) != text:
        durable.write(path, text)
    return path


def _text_of(path: Path) -> str | None:
    try:
        return durable.read(path)
    except OSError:
        return None


def _config_word(text: str) -> str:
    """Quote a value for OpenSSH's configuration, where % begins a token."""
    return '"' + text.replace("%", "%%") + '"'


def _pattern(folder: Path) -> str:
    """Write a folder for `Include`, which takes patterns; to a newer OpenSSH % begins a token there, to others not."""
    return escape(str(folder)).replace("%", "[%%]")  # one of % and %; or, %% having been read as a token, one of %


def _default_files() -> list[Path]:
    """List `~/.ssh/id_*.pub`; nobody's home, or one that cannot be read, has none."""
    try:
        folder = Path("~/.ssh").expanduser()
        return sorted(folder / name for name in os.listdir(folder) if fnmatch(name, "id_*.pub"))  # noqa: PTH208  glob tells no errors
    except (OSError, RuntimeError):
        return []


def _default_key(path: Path) -> str | None:
    """Read a key that nobody asked for by name; one that cannot be used is passed over."""
    try:
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return text if _PUBLIC.fullmatch(text) and text.isprintable() else None


def _public_key(name: str) -> str:
    try:
        text = Path(name).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, ValueError, RuntimeError) as error:  # the last two: no text, no path, nobody's home
        why = getattr(error, "strerror", None) or type(error).__name__  # its own words would show the name again
        raise ConfigError(f"ssh_keys: {typed(name)} cannot be read: {why}") from None
    if not _PUBLIC.fullmatch(text) or not text.isprintable():
        raise ConfigError(f"ssh_keys: {name} holds no public key; name the file that ends in .pub")
    return text
