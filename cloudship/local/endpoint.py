"""Where a local cloud answers: the file in its directory, and the environment that points clients at it."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import platformdirs

FILE = "endpoint.json"


@dataclass(frozen=True)
class Endpoint:
    """A local cloud that runs."""

    url: str  # http://127.0.0.1:PORT
    token: str
    pid: int
    started: int  # of the process, in the kernel's ticks, so that a number used again is not mistaken for it
    driver: str

    def environment(self) -> dict[str, str]:
        """Give the variables by which the clients of the field find it."""
        return environment(self.url, self.token)


def environment(url: str, token: str) -> dict[str, str]:
    """Give the variables by which the clients of the field find a local cloud."""
    return {
        "DIGITALOCEAN_API_URL": url,
        "DIGITALOCEAN_END_POINT": f"{url}/v2/",
        "DIGITALOCEAN_ACCESS_TOKEN": token,
        "DIGITALOCEAN_TOKEN": token,
    }


def directory_of(chosen: Path | None = None) -> Path:
    """Say which directory is meant: the one given, `CLOUDSHIP_LOCAL_DIR`, else the user's state directory."""
    if chosen is not None:
        return chosen.absolute()
    named = os.environ.get("CLOUDSHIP_LOCAL_DIR")
    return (Path(named) if named else platformdirs.user_state_path("cloudship") / "local").absolute()


def read(directory: Path) -> Endpoint | None:
    """Find the local cloud of a directory; None unless its process is alive."""
    try:
        found = Endpoint(**json.loads((directory / FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return found if process_started(found.pid) == found.started else None


def write(directory: Path, endpoint: Endpoint) -> None:
    """Say where this local cloud answers; only its owner may read the token."""
    unfinished = directory / f"{FILE}.part"
    with suppress(FileNotFoundError):
        unfinished.unlink()
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.fchmod(descriptor, 0o600)  # whatever the umask
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(endpoint), file)
    unfinished.rename(directory / FILE)


def remove(directory: Path) -> None:
    """Say that nothing answers any more."""
    (directory / FILE).unlink(missing_ok=True)


def process_started(pid: int) -> int | None:
    """Read when a process began, in the kernel's own ticks; None when it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])
