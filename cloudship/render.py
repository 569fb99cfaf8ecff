"""
The user-data, rendered; pure, and the only importer of jinja2.

One template, two documents: with a host key it is the *pushed* one, which a client drives; with a git URL the
*cloned* one, which brings the app up with nobody connected. Every value is quoted by one function for each
language that it crosses into.
"""

from __future__ import annotations

import ast
import base64
import bz2
import io
import json
import re
import tarfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import yaml

from cloudship.errors import UserDataError
from cloudship.models import Secret, ShipName, Value

LIMIT = 64 * 1024  # bytes, DigitalOcean's limit of user_data
FIRST_LINE = "#cloud-config"
_NGINX_SAFE = re.compile(r"[A-Za-z0-9_./*-]+")
_COMMENT = re.compile(r"(?:^ *|  )# [^\"'\n]*$", re.MULTILINE)  # without quotes: no end of a text
_UNITS = (
    *("cloudship-bootstrap.service", "cloudship-live.service", "cloudship-expiry.service"),
    *("cloudship.slice", "user.slice.d/cloudship.conf"),
)
_UNIT_TEMPLATES = (
    *("cloudship-app@.service", "cloudship-worker@.service", "cloudship-job@.service"),
    *("cloudship-proxy@.socket", "cloudship-proxy@.service"),
)


class HostKey(Value):
    """A host key, both halves."""

    private: Secret  # in OpenSSH's own format
    public: str


class GitSource(Value):
    """Where the droplet fetches the app by itself."""

    url: str
    ref: str | None = None


class BootSpec(Value):
    """All that decides about a first boot."""

    name: ShipName
    authorized_keys: tuple[str, ...] = ()
    host_key: HostKey | None = None
    git: GitSource | None = None
    apt: tuple[str, ...] = ()
    settings: Mapping[str, Any] = {}
    domains: tuple[str, ...] = ()
    index_url: str | None = None
    python_mirror: str | None = None
    expires: int | None = None  # unix time
    extra: str | None = None  # the user's own cloud-config


class UserData(Value):
    """A rendered document."""

    text: str

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.text.encode())


def userdata_folder() -> Path:
    """Find the templates: in the wheel beside this module, in a checkout beside the package."""
    inside = Path(__file__).parent / "_userdata"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "userdata"


def render(spec: BootSpec) -> UserData:
    """
    Render the user-data of a first boot.

    Raises:
        UserDataError: it would be refused: too large, not ASCII, no valid YAML, or the user's own part is none.
    """
    text = _document(spec)
    if spec.extra is not None:
        text = _merged(text, spec.extra)
    return _checked(text, spec)


def rotation_script() -> bytes:
    """Give the script that replaces the temporary host key; it is piped to a shell on the droplet."""
    return (userdata_folder() / "rotate-host-key.sh").read_bytes()


def shell_quote(text: str) -> str:
    """Quote for a POSIX shell."""
    return "'" + text.replace("'", "'\"'\"'") + "'"


def json_quote(value: Any) -> str:
    """Quote for JSON, pure ASCII."""
    return json.dumps(value, ensure_ascii=True, default=_plain)


def yaml_quote(value: Any) -> str:
    """Quote for YAML, pure ASCII: it knows JSON's words, but takes JSON's two halves of a letter for two letters."""
    text = json.dumps(value, ensure_ascii=False, default=_plain)
    return "".join(letter if " " <= letter <= "~" else _escaped(ord(letter)) for letter in text)


def _escaped(letter: int) -> str:
    return f"\\u{letter:04x}" if letter < 0x10000 else f"\\U{letter:08x}"  # noqa: PLR2004  what four digits can say


def nginx_quote(text: str) -> str:
    """
    Pass what nginx reads as one plain word.

    Raises:
        UserDataError: it holds anything else; such values are validated long before.
    """
    if not _NGINX_SAFE.fullmatch(text):
        raise UserDataError(f"{text!r} cannot stand in nginx's configuration")
    return text


def systemd_quote(text: str) -> str:
    """
    Pass what systemd reads literally, specifiers doubled.

    Raises:
        UserDataError: it holds a line break or quotes.
    """
    if re.search(r"[\n\r\"'\\]", text):
        raise UserDataError(f"{text!r} cannot stand in a unit")
    return text.replace("%", "%%")


def _document(spec: BootSpec) -> str:
    droplet = {
        "name": spec.name,
        "settings": dict(spec.settings),
        "apt": spec.apt,
        "index_url": spec.index_url,
        "python_mirror": spec.python_mirror,
        "git": spec.git.model_dump() if spec.git else None,
        "domains": spec.domains,
        "expires": spec.expires,
    }
    return (
        _templates()
        .get_template("cloud-config.yaml.j2")
        .render(
            host_key=spec.host_key,
            authorized_keys=spec.authorized_keys,
            droplet=droplet,
            program=_program(tuple(files(spec).items())),
            door=_door(),
        )
    )


def files(spec: BootSpec) -> dict[str, str]:
    """Render the units, nginx's files and pages of a droplet, each under its path there."""
    values = {
        "name": spec.name,
        "home": f"/srv/{spec.name}",
        "server_names": " ".join(nginx_quote(name) for name in ("_", *spec.domains)),
    }
    folder = userdata_folder()
    found = {}
    page = (folder / "nginx" / "unavailable.html").read_text(encoding="utf-8")
    found["/opt/cloudship/pages/cloudship-unavailable.html"] = page
    for kind in ("app", "static"):
        found[f"/opt/cloudship/nginx/{kind}.conf"] = _rendered(f"nginx/{kind}.conf.j2", values)
    for unit in _UNITS:
        found[f"/etc/systemd/system/{unit}"] = (folder / "systemd" / unit).read_text(encoding="utf-8")
    for unit in _UNIT_TEMPLATES:
        found[f"/etc/systemd/system/{unit}"] = _rendered(f"systemd/{unit}.j2", values)
    return found


def _door() -> str:
    return (userdata_folder() / "cloudship-droplet.sh").read_text(encoding="utf-8")


def _rendered(template: str, values: Mapping[str, str]) -> str:
    return _templates().get_template(template).render(**values)


@cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(userdata_folder()),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  no HTML is rendered; each language has its own filter
    )
    environment.filters.update(json=json_quote, yaml=yaml_quote)
    environment.filters.update(nginx=nginx_quote, systemd=systemd_quote, shell=shell_quote)
    return environment


@cache
def _program(files: tuple[tuple[str, str], ...]) -> str:
    """Pack the program on the droplet and the files it brings: the same bytes for the same files, whenever."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, text in (*_modules(), *((f"files{path}", text) for path, text in files)):
            entry = tarfile.TarInfo(name)
            data = text.encode()
            entry.size, entry.mode = len(data), 0o644
            archive.addfile(entry, io.BytesIO(data))
    packed = bz2.compress(buffer.getvalue())  # for so much text a twelfth smaller than xz
    return base64.b64encode(packed).decode()


@cache
def _modules() -> tuple[tuple[str, str], ...]:
    """Read the program's modules, without docstrings and comments: user-data has no room for them."""
    paths = sorted((userdata_folder() / "droplet").glob("*.py"))
    return tuple((f"droplet/{path.name}", _bare(path.read_text(encoding="utf-8"))) for path in paths)


def _bare(source: str) -> str:
    """
    Take docstrings and plain comments out, line by line; a test holds that what is left means the same.

    Not by `ast.unparse`: what that writes in a new Python need not be readable in an old one.
    """
    lines = source.splitlines(keepends=True)
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) or ast.get_docstring(node) is None:
            continue
        first = node.body[0]
        end = first.end_lineno or first.lineno
        lines[first.lineno - 1 : end] = [""] * (end - first.lineno + 1)
        if len(node.body) == 1:
            lines[first.lineno - 1] = " " * first.col_offset + "pass\n"
    return _COMMENT.sub("", "".join(lines))


def _merged(ours: str, extra: str) -> str:
    """Lay the user's own cloud-config under ours: its lists follow ours, where both name a key ours stands."""
    try:
        theirs = yaml.safe_load(extra)
    except (
        yaml.YAMLError,
        ValueError,
        RecursionError,
    ) as error:  # the last two: no date or number, brackets without end
        raise UserDataError(f"user_data is no YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(theirs, dict):
        raise UserDataError("user_data is no cloud-config: it must be a YAML mapping")
    mine = yaml.safe_load(ours)
    for key, value in theirs.items():
        if key not in mine:
            mine[key] = value
        elif isinstance(mine[key], list) and isinstance(value, list):
            mine[key] += value
    # Not as JSON: that would turn dates and numbers of theirs that are keys into texts.
    return FIRST_LINE + "\n" + yaml.safe_dump(mine, allow_unicode=False, sort_keys=False, width=LIMIT)


def _checked(text: str, spec: BootSpec) -> UserData:
    if not text.startswith(FIRST_LINE + "\n"):
        raise UserDataError(f"user-data must begin with {FIRST_LINE}")
    if not text.isascii():  # a droplet with other letters in it is accepted and then vanishes
        raise UserDataError("user-data must be plain ASCII")
    found = UserData(text=text)
    if found.size > LIMIT:
        raise UserDataError(
            f"user-data has {found.size} bytes; DigitalOcean takes at most {LIMIT}; the most of it is {_largest(spec)}",
            next_step="make that smaller: fetch large files in a runcmd, keep commands in files of the app",
        )
    return found


def _largest(spec: BootSpec) -> str:
    """Name the part of a user's own that takes most room."""
    own = {"user_data": spec.extra or "", "ssh_keys": spec.authorized_keys, "apt": spec.apt, **spec.settings}
    return max(own, key=lambda key: len(json_quote(own[key])))


def _plain(value: object) -> Any:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{value!r} cannot stand in user-data")
