"""
uv, pinned: one binary out of its wheel, fetched with the standard library from the configured index.

Making a virtual environment only to install it would cost two seconds (`python3 -m venv`); unpacking costs none.
"""

from __future__ import annotations

import configparser
import hashlib
import io
import json
import os
import platform
import time
import urllib.error
import urllib.request
import zipfile
from typing import Callable, Dict, List, Optional
from urllib.parse import urljoin

from droplet import command
from droplet.journal import StageError
from droplet.layout import PROGRAM, Config

VERSION = "0.12.9"
BINARY = PROGRAM / "bin" / "uv"
TRIES = 4
_TAGS = {
    "x86_64": "manylinux_2_17_x86_64.manylinux2014_x86_64",
    "aarch64": "manylinux_2_17_aarch64.manylinux2014_aarch64.musllinux_1_1_aarch64",
}
_SHA256 = {  # as the package index states them
    "x86_64": "5badfd805fd88bf99b4b4f044f6e8f762f1892cab27477f4427bb473e93dd049",
    "aarch64": "cce6e716df290b7f4a31f76ef39866e1dc006e947520a660459dea00b5d55234",
}


def install(config: Config, say: Callable[[str], None]) -> None:
    """
    Fetch and unpack the pinned uv.

    Raises:
        StageError: there is none for this machine, the index does not answer, or the file is not the pinned one.
    """
    machine = platform.machine()
    if machine not in _TAGS:
        raise StageError(f"there is no uv for {machine}")
    name = f"uv-{VERSION}-py3-none-{_TAGS[machine]}.whl"
    index = index_url(config)
    if index is None:
        _by_pip(say)
        return
    wheel = _fetch(_link(index, name), say)
    digest = hashlib.sha256(wheel).hexdigest()
    if digest != _SHA256[machine]:
        raise StageError(f"{name} from {index} is not the pinned file: its sha256 is {digest}")
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        _place(archive.read(f"uv-{VERSION}.data/scripts/uv"))


def index_url(config: Config) -> Optional[str]:
    """Say which package index is configured: on the droplet, else by the user-data; None: nowhere."""
    for variable in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"):
        if os.environ.get(variable):
            return os.environ[variable]
    parser = configparser.ConfigParser(interpolation=None)
    parser.read("/etc/pip.conf", encoding="utf-8")
    return parser.get("global", "index-url", fallback=config.index_url)


def python_from(mirror: str) -> Dict[str, str]:
    """Give uv's variables for a mirror of Pythons: a folder of the builds it knows, or a list (.json) of others."""
    return {"UV_PYTHON_DOWNLOADS_JSON_URL" if mirror.endswith(".json") else "UV_PYTHON_INSTALL_MIRROR": mirror}


def _by_pip(say: Callable[[str], None]) -> None:
    """Let pip fetch it from the index that pip itself defaults to; slower, since pip must be installed first."""
    say("no package index is configured; asking pip for its own")
    command.run(["apt-get", "-qq", "-y", "-o=DPkg::Lock::Timeout=300", "install", "python3-pip"], say=say)
    words = [
        "python3",
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--target",
        str(PROGRAM / "pip"),
        f"uv=={VERSION}",
    ]
    command.run(words, say=say)
    _place((PROGRAM / "pip" / "bin" / "uv").read_bytes())


def _place(binary: bytes) -> None:
    BINARY.parent.mkdir(parents=True, exist_ok=True)
    unfinished = BINARY.with_suffix(".part")
    unfinished.write_bytes(binary)
    unfinished.chmod(0o755)
    unfinished.replace(BINARY)


def _link(index: str, name: str) -> str:
    page = index.rstrip("/") + "/uv/"
    accept = {"Accept": "application/vnd.pypi.simple.v1+json, text/html;q=0.5"}
    text = _fetch(page, lambda line: None, accept).decode("utf-8", "replace")
    for url in _urls(text):
        if url.partition("#")[0].rsplit("/", 1)[-1] == name:
            return urljoin(page, url.partition("#")[0])
    raise StageError(f"the package index has no {name}")


def _urls(text: str) -> List[str]:
    """Read the links of an index page, JSON or HTML (PEP 691, PEP 503)."""
    if text.lstrip().startswith("{"):
        return [file["url"] for file in json.loads(text)["files"]]
    return [part.split('"')[0] for part in text.split('href="')[1:]]


def _fetch(url: str, say: Callable[[str], None], headers: Optional[Dict[str, str]] = None) -> bytes:
    for left in range(TRIES - 1, -1, -1):
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=30) as answer:
                return answer.read()
        except (OSError, urllib.error.URLError) as error:
            if not left or getattr(error, "code", 0) == 404:
                raise StageError(f"{url} cannot be fetched: {error}") from error
            say(f"{error}, trying again")
            time.sleep(0.5 * (TRIES - left))
    raise StageError(f"{url} cannot be fetched")
