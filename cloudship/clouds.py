"""
Which cloud is meant, where its API answers and what opens it.

A token of DigitalOcean's never goes to an endpoint that is not DigitalOcean's: the check stands here, where
endpoint and token meet, and `client.py` gets only the pair.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import platformdirs
import yaml

from cloudship.errors import ConfigError, CredentialsError, LocalCloudUnavailable
from cloudship.models import Cloud, Endpoint, Secret

DIGITALOCEAN_URL = "https://api.digitalocean.com/v2/"
ENDPOINT_VARIABLES = ("DIGITALOCEAN_END_POINT", "DIGITALOCEAN_API_URL")
TOKEN_VARIABLES = ("DIGITALOCEAN_ACCESS_TOKEN", "DIGITALOCEAN_TOKEN")
_TOKEN = re.compile(r"[!-~]+")
# Personal, OAuth and refresh tokens of DigitalOcean; those of before 2022 are 64 hexadecimal digits.
_REAL_TOKEN = re.compile(r"(dop|doo|dor)_v1_.*|[0-9a-f]{64}")
# `python -m` looks into the working directory first: an app's secrets.py would take the place of Python's own.
_COMMAND_LINE = "import sys; sys.path[:] = filter(None, sys.path); from cloudship.cli import main; main()"

Starter = Callable[[], None]  # brings the local cloud up; returns when its API answers


def choose(
    cloud: Cloud | None,
    *,
    start_local: Starter,
    environ: Mapping[str, str] = os.environ,
) -> Endpoint:
    """
    Decide for one cloud: as asked; else by an endpoint in the environment; else DigitalOcean where a token is
    configured; else the local one, which is started when it does not run.

    Raises:
        ConfigError: the environment's endpoint disagrees with `cloud`.
        CredentialsError: no token for DigitalOcean, or one that must not go to the endpoint.
        LocalCloudUnavailable: the local cloud does not start here.
    """
    named = _named_endpoint(environ)
    if named is not None:
        return _from_environment(named, cloud, environ)
    if cloud is Cloud.DIGITALOCEAN or (cloud is None and token(environ) is not None):
        return _digitalocean(environ)
    return local(environ) or _started(start_local, environ)


def reachable(
    cloud: Cloud | None, *, start_local: Starter | None = None, environ: Mapping[str, str] = os.environ
) -> tuple[Endpoint, ...]:
    """
    Name every cloud that a search for existing ships can ask.

    Args:
        cloud: search only this one.
        start_local: brings a local cloud that was stopped with ships on it back; None leaves it stopped.
        environ: the environment.
    """
    if cloud is Cloud.DIGITALOCEAN or _named_endpoint(environ) is not None:
        return (choose(cloud, start_local=_never, environ=environ),)
    found = []
    if here := (local(environ) or _woken(start_local, environ)):
        found.append(here)
    if cloud is not Cloud.LOCAL and token(environ) is not None:
        found.append(_digitalocean(environ))
    return tuple(found)


def token(environ: Mapping[str, str] = os.environ) -> Secret | None:
    """
    Find DigitalOcean's token: in the environment, else in doctl's own configuration.

    Raises:
        CredentialsError: what is there can be no token.
    """
    found = _token_variable(environ)
    return found if found is not None else _doctl_token(environ)


def local_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """Say where the local cloud keeps its state; the same rule as in `cloudship.local`, met by a test."""
    chosen = environ.get("CLOUDSHIP_LOCAL_DIR")
    return (Path(chosen) if chosen else platformdirs.user_state_path("cloudship") / "local").absolute()


def local(environ: Mapping[str, str] = os.environ) -> Endpoint | None:
    """Find the local cloud that runs, by the file in which it says where it answers."""
    told = _endpoint_file(environ)
    if told is None or not _is_running(int(told["pid"]), told.get("started")):
        return None
    return Endpoint(cloud=Cloud.LOCAL, url=_with_version(told["url"]), token=Secret(told["token"]))


def local_sleeps(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether there is a local cloud that was stopped: its ships are asleep, not gone."""
    return local(environ) is None and any(local_directory(environ).glob("*.sqlite*"))


def start_by_command() -> None:
    """
    Start the local cloud by the command line, as every Python caller does: the library imports nothing of it.

    Raises:
        LocalCloudUnavailable: it does not start; what the command said is the evidence.
    """
    words = [sys.executable, "-c", _COMMAND_LINE, "local", "start", "--json"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()[-8:]
        try:
            told = json.loads(done.stdout)["error"]
            raise LocalCloudUnavailable(told["message"], next_step=told["next"])
        except (ValueError, KeyError, TypeError):
            raise LocalCloudUnavailable("The local cloud does not start on this machine", evidence=said) from None


def _never() -> None:
    raise LocalCloudUnavailable("The local cloud does not run", next_step="cloudship local start")


def _started(start_local: Starter, environ: Mapping[str, str]) -> Endpoint:
    start_local()
    found = local(environ)
    if found is None:
        raise LocalCloudUnavailable("The local cloud was started and does not run", next_step="cloudship local status")
    return found


def _woken(start_local: Starter | None, environ: Mapping[str, str]) -> Endpoint | None:
    return _started(start_local, environ) if start_local is not None and local_sleeps(environ) else None


def _digitalocean(environ: Mapping[str, str]) -> Endpoint:
    found = token(environ)
    if found is None:
        raise CredentialsError(
            "No token for DigitalOcean: none of DIGITALOCEAN_ACCESS_TOKEN, DIGITALOCEAN_TOKEN and doctl's"
            " configuration holds one",
            next_step="export DIGITALOCEAN_ACCESS_TOKEN=..., or use --cloud local, which needs none",
        )
    return Endpoint(cloud=Cloud.DIGITALOCEAN, url=DIGITALOCEAN_URL, token=found)


def _named_endpoint(environ: Mapping[str, str]) -> str | None:
    for variable in ENDPOINT_VARIABLES:
        if environ.get(variable):
            return _with_version(_address(environ[variable], variable))
    return None


def _address(text: str, variable: str) -> str:
    """
    Take an address of an API.

    Raises:
        ConfigError: it is none; it is not shown, since it may hold a password.
    """
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.username is None and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not text.isascii() or not text.isprintable():
        raise ConfigError(
            f"{variable} holds no address of an API", next_step=f"{variable}=http://127.0.0.1:PORT, or unset it"
        )
    return text


def _from_environment(url: str, cloud: Cloud | None, environ: Mapping[str, str]) -> Endpoint:
    is_real = urlsplit(url).hostname == urlsplit(DIGITALOCEAN_URL).hostname
    actual = Cloud.DIGITALOCEAN if is_real else Cloud.LOCAL
    if cloud not in (None, actual):
        raise ConfigError(
            f"--cloud {cloud.value} disagrees with the endpoint in the environment, {url}",
            next_step=_unset(environ),
        )
    if is_real:
        return _digitalocean(environ)
    if not _is_loopback(url):
        raise ConfigError(
            f"The endpoint in the environment is neither DigitalOcean's nor this machine: {url}",
            next_step=_unset(environ),
        )
    return Endpoint(cloud=Cloud.LOCAL, url=url, token=_local_token(url, environ))


def _unset(environ: Mapping[str, str]) -> str:
    return f"unset {' '.join(name for name in ENDPOINT_VARIABLES if environ.get(name))}"


def _local_token(url: str, environ: Mapping[str, str]) -> Secret:
    told = _endpoint_file(environ)
    if told is not None and _with_version(told["url"]) == url:
        return Secret(told["token"])
    found = _token_variable(environ)
    if found is None:
        raise CredentialsError(f"No token for the local cloud at {url}", next_step='eval "$(cloudship local env)"')
    if _REAL_TOKEN.fullmatch(found.reveal()):
        raise CredentialsError(
            f"A token of DigitalOcean's is not sent to {url}",
            next_step=f'{_unset(environ)}, or take the token of the local cloud: eval "$(cloudship local env)"',
        )
    return found


def _token_variable(environ: Mapping[str, str]) -> Secret | None:
    named = next((name for name in TOKEN_VARIABLES if environ.get(name, "").strip()), None)
    return _checked(environ[named].strip(), named) if named is not None else None


def _checked(text: str, where: str) -> Secret:
    """Take a token that can stand in a header: the library would show one that cannot in its error."""
    if not _TOKEN.fullmatch(text):
        raise CredentialsError(f"What {where} holds can be no token: it has blanks or letters that none has")
    return Secret(text)


def _endpoint_file(environ: Mapping[str, str]) -> dict[str, Any] | None:
    try:
        told = json.loads((local_directory(environ) / "endpoint.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    complete = isinstance(told, dict) and {"url", "token", "pid"} <= set(told)
    return told if complete else None


def _is_running(pid: int, started: object) -> bool:
    """
    Whether the process that said where it answers runs still: its number may be another's since a crash, or a reboot.

    The same rule as in `cloudship.local`, met by a test.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # root's server, our client
        pass
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:  # there is no such place here, or it hides the processes of others
        return True
    return fields[0] != "Z" and int(fields[19]) == started


def _with_version(url: str) -> str:
    bare = url.rstrip("/")
    return bare + "/" if bare.endswith("/v2") else bare + "/v2/"


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _doctl_token(environ: Mapping[str, str]) -> Secret | None:
    """Read doctl's `access-token`, of the context that is in use."""
    home = Path(environ.get("HOME", "/nonexistent"))
    places = (
        Path(environ.get("XDG_CONFIG_HOME", str(home / ".config"))) / "doctl" / "config.yaml",
        home / "Library" / "Application Support" / "doctl" / "config.yaml",
    )
    for place in places:
        try:
            told = yaml.safe_load(place.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError):
            continue
        if isinstance(told, dict) and (found := _doctl_context_token(told)):
            return _checked(found.strip(), str(place))
    return None


def _doctl_context_token(told: dict[str, Any]) -> str | None:
    context = told.get("context") or "default"
    named = (told.get("auth-contexts") or {}).get(context)
    found = named if context != "default" and named else told.get("access-token")
    return found if isinstance(found, str) and found else None
