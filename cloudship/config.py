"""
What the user asks for: file < environment < keyword, and the only place where a default is written.

The keys that concern the app (`app`, `build`, `release` ...) live a second life: the release program on the
droplet reads them from the pushed tree itself. Here they are only checked, and those that were given from
*outside* the tree are kept apart, since these must win on the droplet too.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from typing_extensions import TypedDict

from cloudship import refusals
from cloudship.errors import ConfigError
from cloudship.legible import typed
from cloudship.models import Cloud, Secret, ShipName, Value
from cloudship.values import checked, parse_env, read_env_file

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

APP_KEYS = frozenset(
    {
        *("app", "server", "python", "apt", "build", "release", "shared", "health"),
        *("branches", "watch", "drain", "schedule"),
    }
)
FILE_NAME = "cloudship.toml"
OTHERS = frozenset(  # variables of ours that are no keys: where things lie, what tests want, what droplets tell apps
    f"CLOUDSHIP_{name}"
    for name in (
        *("STATE_DIR", "LOCAL_DIR", "CACHE_DIR", "LOCAL_DRIVER", "SOAK", "LIVES", "CAMPAIGN", "LIVE_TOKEN"),
        *("SOCKET", "PROCESS", "DJANGO_SETTINGS", "GIT_USER", "GIT_PASSWORD"),
    )
)
_NO_LINES = {  # keys that no line of text is a value for, and how they are written in the environment
    "env": "each of the app's values has a variable of its own, CLOUDSHIP_ENV_<NAME>",
    "health": "each of its keys has a variable of its own, as in CLOUDSHIP_HEALTH_PATH=/up",
    "schedule": 'a list of jobs in JSON belongs here, as in [{"run": "./tidy", "when": "@daily"}]',
}
_DURATION = re.compile(r"(?:([0-9]{1,9})d)?(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?(?:([0-9]{1,9})s)?")
_SLUG = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
_LONGEST = 3650 * 86400  # seconds: a time that a tag, and a calendar, can name


def duration(text: object) -> object:
    """
    Read a duration such as `2h`, `90m` or `1h30m` into whole seconds.

    Raises:
        ValueError: it is none, or it is zero.
    """
    if isinstance(text, int) and not isinstance(text, bool):
        seconds = text
    else:
        match = _DURATION.fullmatch(str(text).strip())
        if not match or not match.group(0):
            raise ValueError(f"{typed(str(text))!r} is no duration; write it like 2h, 90m or 1h30m")
        days, hours, minutes, rest = (int(part or 0) for part in match.groups())
        seconds = ((days * 24 + hours) * 60 + minutes) * 60 + rest
    if not 0 < seconds <= _LONGEST:
        raise ValueError(f"a duration is longer than nothing, and at most {_LONGEST // 86400}d")
    return seconds


def seconds_of(text: str) -> int:
    """
    Read a duration that was given as a flag.

    Raises:
        ConfigError: it is none.
    """
    try:
        return int(str(duration(text)))
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _several(value: object) -> object:
    """Read a list from the one line that an environment variable is: commas part its items."""
    if isinstance(value, str):
        return tuple(item.strip() for item in value.split(",") if item.strip())
    return value


def _values(value: object) -> object:
    return checked(value) if isinstance(value, Mapping) else value


Duration = Annotated[int, BeforeValidator(duration)]
Several = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_several)]


class Health(Value):
    """What counts as an answer of the app."""

    path: str = Field(default="/", pattern=r"^/[!\"$-~]*$", max_length=1000)  # what goes over the wire as it is
    status: int | None = Field(default=None, ge=100, le=599)  # None: any below 500
    timeout: float = Field(default=60.0, gt=0, le=3600)  # seconds


class Config(BaseSettings):
    """Everything that can be configured, each key with its default."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix="CLOUDSHIP_",
        env_nested_delimiter="_",
        env_nested_max_split=1,
        env_ignore_empty=True,
    )

    name: ShipName | None = None  # None: made from the folder's or repository's name
    cloud: Cloud | None = None  # None: see `clouds.choose`
    image: str | None = Field(default=None, pattern=_SLUG)  # None: `plan.IMAGES`, the first that the cloud still has
    size: str = Field(default="s-1vcpu-1gb", pattern=_SLUG)
    region: str = Field(default="nyc3", pattern=_SLUG)
    ttl: Duration | None = None  # seconds until the ship may be reaped; None: never
    owner: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_-]{1,60}$")  # None: the login name
    ssh_keys: Several = ()  # files of public keys; none: ~/.ssh/id_*.pub
    app: str | None = None  # MODULE:CALLABLE
    server: str | None = None
    python: str | None = None
    python_mirror: str | None = Field(default=None, pattern=r"^https?://[!-?A-~]+$")  # where droplets fetch Pythons
    apt: Several = ()
    build: str | None = None
    release: str | None = None
    shared: Several = ()
    branches: Several = ("main", "master")  # which `git push ship` releases
    watch: float = Field(default=10.0, ge=0, le=3600)  # seconds after a switch in which errors roll back; 0: none
    drain: float = Field(default=30.0, ge=0, le=3600)  # seconds that requests in flight have to finish
    schedule: tuple[dict[str, Any], ...] = ()  # jobs: run, when, name
    env: Annotated[dict[str, Secret], BeforeValidator(_values)] = Field(default_factory=dict)
    health: Health = Health()
    user_data: Path | None = None  # a cloud-config of the user's own, merged into ours

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  the signature is the library's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003  the signature is the library's
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  the signature is the library's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  the signature is the library's
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what `load` merged and nothing else: it knows where each value came from."""
        return (init_settings,)


class ConfigKeys(TypedDict, total=False):
    """The keys of `Config` as keyword arguments of `up`."""

    image: str
    size: str
    region: str
    ttl: int | str
    owner: str
    ssh_keys: tuple[str, ...]
    app: str
    server: str
    python: str
    python_mirror: str
    apt: tuple[str, ...]
    build: str
    release: str
    shared: tuple[str, ...]
    branches: tuple[str, ...]
    watch: float
    drain: float
    schedule: tuple[Mapping[str, Any], ...]
    env: Mapping[str, str | Secret]
    health: Mapping[str, Any]
    user_data: str | Path


@dataclass(frozen=True)
class Loaded:
    """A configuration, and what else was learned when it was read."""

    config: Config
    outside: Mapping[str, Any]  # the app's keys that were given from outside its tree
    ignored: tuple[str, ...]  # keys of a foreign tree that are none of its business


def load(
    tree: Path | None,
    *,
    file: Path | None = None,
    foreign: bool = False,
    environ: Mapping[str, str] = os.environ,
    given: Mapping[str, Any] | None = None,
) -> Loaded:
    """
    Merge the file, the environment and the keywords into a configuration.

    Args:
        tree: the app's folder, whose own file is read; None when there is none at hand.
        file: a file from outside the app; it wins over the tree's own.
        foreign: the tree came from a git URL: only its app's keys are heeded.
        environ: the environment.
        given: keywords or flags; a None in it means "not given".

    Raises:
        ConfigError: a file that cannot be read, an unknown key, a value that cannot be.
    """
    own = _with_units(_of_tree(tree)) if tree is not None else {}
    ignored = tuple(sorted(set(own) - APP_KEYS)) if foreign else ()
    own = {key: value for key, value in own.items() if key not in ignored}
    layers = (
        (str(file), _with_units(_of_file(file)) if file is not None else {}),
        (refusals.VARIABLES, _of_environment(environ)),
        ("", {key: value for key, value in (given or {}).items() if value is not None}),
    )
    outside = _merged(*(told for _, told in layers))
    config = _validated((written_in(tree), own), *layers)
    app_keys = {key: value for key, value in _plain(config).items() if key in APP_KEYS & set(outside)}
    return Loaded(config, app_keys, ignored)


def _of_tree(tree: Path) -> dict[str, Any]:
    own, project = tree / FILE_NAME, tree / "pyproject.toml"
    table = _inside(_toml(project)) if project.is_file() else None
    if not own.is_file():
        return table or {}
    if table is not None:
        raise ConfigError(
            f"Both {FILE_NAME} and [tool.cloudship] in pyproject.toml configure this app",
            next_step=f"keep one of them: move everything into {FILE_NAME}",
        )
    return _toml(own)


def _with_units(table: dict[str, Any]) -> dict[str, Any]:
    """Take a bare number for no duration: whoever writes `ttl = 2` does not mean seconds; programs that give one do."""
    bare = isinstance(table.get("ttl"), int)
    return {**table, "ttl": str(table["ttl"])} if bare else table


def written_in(tree: Path | None) -> str:
    """Name the file in which a tree's own keys stand."""
    return FILE_NAME if tree is None or (tree / FILE_NAME).is_file() else "pyproject.toml"


def _of_file(path: Path) -> dict[str, Any]:
    try:
        there = path.is_file()
    except (OSError, ValueError):  # too long for a path, or a zero byte in it
        there = False
    if not there:
        raise ConfigError(f"The configuration file {typed(str(path))} does not exist, or is no file")
    return _toml(path)


def _inside(project: Mapping[str, Any]) -> dict[str, Any] | None:
    """Find the table that configures us in pyproject.toml; None when there is none."""
    tools = project.get("tool") or {}
    found = tools.get("cloudship") if isinstance(tools, dict) else tools
    if found is not None and not isinstance(found, dict):
        raise ConfigError("pyproject.toml: [tool.cloudship] is no table")
    return found


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))  # Windows' editors begin with a mark
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path.name} cannot be read: {error}") from error


def _of_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """Read `CLOUDSHIP_<KEY>`, and `CLOUDSHIP_HEALTH_PATH` and its like for keys inside a table."""
    _check_variables(environ)
    source = EnvSettingsSource(Config)
    lower = {key.lower(): value for key, value in environ.items() if value}
    source.env_vars = {key: value for key, value in lower.items() if key.startswith("cloudship_")}  # of many, few
    _check_lines(source.env_vars)
    found = {key: value for key, value in source().items() if key != "env"}
    prefix = "CLOUDSHIP_ENV_"  # its names keep their case, which the library would fold
    app_env = {key[len(prefix) :]: value for key, value in environ.items() if key.startswith(prefix)}
    return {**found, "env": app_env} if app_env else found


def _check_variables(environ: Mapping[str, str]) -> None:
    """Refuse a variable of ours that nobody reads: a typing error must not pass for the default."""
    keys = {f"CLOUDSHIP_{key.upper()}" for key in Config.model_fields}
    keys |= {f"CLOUDSHIP_HEALTH_{key.upper()}" for key in Health.model_fields}
    for name, value in environ.items():
        if not value or not name.startswith("CLOUDSHIP_") or name.startswith("CLOUDSHIP_ENV_") or name in OTHERS:
            continue
        if name not in keys:
            near = difflib.get_close_matches(name, [*keys, *OTHERS], n=1, cutoff=0.7)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ConfigError(f"{name} in the environment is no key of cloudship{hint}", next_step=f"unset {name}")


def _check_lines(variables: Mapping[str, str | None]) -> None:
    """Refuse a line where a table or a list of tables belongs, unless it is one in JSON; of the app's values never."""
    for key, words in _NO_LINES.items():
        text = variables.get(f"cloudship_{key}")
        if text is not None and (key == "env" or not _is_json(text)):
            name = f"{refusals.VARIABLES}{key.upper()}"
            raise ConfigError(f"{name}: {words}", next_step=f"unset {name}; docs/configuration.md lists all keys")


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _merged(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one over the other, tables key by key."""
    whole: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            below = whole.get(key)
            both = isinstance(value, Mapping) and isinstance(below, Mapping)
            whole[key] = {**below, **value} if both else value  # type: ignore[dict-item]
    return whole


def _validated(*layers: tuple[str, Mapping[str, Any]]) -> Config:
    try:
        return Config(**_merged(*(told for _, told in layers)))
    except ValidationError as error:
        tables = {"": Config.model_fields, "health": Health.model_fields}
        found = error.errors(include_input=False, include_url=False)
        first, *others = (refusals.told(fault, tables, layers) for fault in found)
        raise ConfigError(first, evidence=others) from None


def _plain(config: Config) -> dict[str, Any]:
    return config.model_dump(mode="json", exclude={"env"}, exclude_unset=True)


__all__ = [
    "APP_KEYS",
    "Config",
    "ConfigKeys",
    "Health",
    "Loaded",
    "duration",
    "load",
    "parse_env",
    "read_env_file",
    "seconds_of",
]
