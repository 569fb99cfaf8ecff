"""
How a process of a release is started: a value that the release program writes and the unit's launcher carries out.

Environment values pass through JSON, never through systemd's or a shell's quoting, so that every byte arrives.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from droplet import procfile
from droplet.app import SHELL, UVICORN_WORKER, App
from droplet.layout import USER, Layout

FILE = "process.json"
SECRETS = "env.json"
THREADS = 2
_CPU = Path("/sys/fs/cgroup/cpu")
WORKER_MIB = 160  # what a worker of an ordinary app takes; no more workers than fit
_OWN_CONFIG = ("gunicorn.conf.py", "gunicorn_config.py")


@dataclass(frozen=True)
class Process:
    """One process, ready to be started."""

    words: Tuple[str, ...]
    directory: str
    environment: Dict[str, str] = field(default_factory=dict)  # without the app's own values
    port: Optional[int] = None  # a loopback port to be led to the socket; None: it binds the socket itself

    def save(self, folder: Path) -> None:
        """Write it into a release's folder."""
        (folder / FILE).write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Process:
        """Read it back."""
        told = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return cls(tuple(told["words"]), told["directory"], told["environment"], told["port"])


def base_environment(layout: Layout, number: int, app: App, environment: Optional[Path]) -> Dict[str, str]:
    """Give what every process of a release sees besides the app's own values."""
    tree = layout.release(number) / "tree"
    root = tree / app.directory
    # The tree comes first: its code runs, what was installed of it only brings its metadata.
    paths = [str(root), str(tree / "src"), str(layout.release(number) / "site")]
    found = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(layout.home / "home"),
        "USER": USER,
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": ":".join(path for path in paths if Path(path).is_dir()),
        "CLOUDSHIP_RELEASE": str(number),
        "CLOUDSHIP_SOCKET": str(layout.socket(number)),
    }
    if environment:
        found.update(PATH=f"{environment}/bin:{found['PATH']}", VIRTUAL_ENV=str(environment))
    if app.django_settings:
        found.update(DJANGO_SETTINGS_MODULE="cloudship_settings", CLOUDSHIP_DJANGO_SETTINGS=app.django_settings)
        found["PYTHONPATH"] = f"{layout.release(number) / 'generated'}:{found['PYTHONPATH']}"
    return found


def web(layout: Layout, number: int, app: App, environment: Optional[Path], port: int) -> Process:
    """Decide how a release's web process is started."""
    base = base_environment(layout, number, app, environment)
    root = layout.release(number) / "tree" / app.directory
    if app.server == SHELL:
        line, direct = app.processes["web"], procfile.runs_gunicorn(app.processes["web"])
        words = ("/bin/sh", "-c", f'exec {line} --bind "unix:$CLOUDSHIP_SOCKET"' if direct else line)
        return Process(words, str(root), {**base, "PORT": str(port)}, None if direct else port)
    return Process(gunicorn(layout.socket(number), root, app, str(environment)), str(root), base)


def gunicorn(socket: Path, root: Path, app: App, environment: str) -> Tuple[str, ...]:
    """Give gunicorn's command line; the app's own configuration wins, except for where it binds."""
    words: List[str] = [f"{environment}/bin/gunicorn"]
    own = next((name for name in _OWN_CONFIG if (root / name).is_file()), None)
    if own:
        words += ["--config", own]
    else:
        words += [
            "--workers",
            str(workers(cores(), memory_mib())),
            "--worker-tmp-dir",
            "/dev/shm",
        ]
        words += [] if app.asgi else ["--threads", str(THREADS)]
        words += [
            "--access-logfile",
            "-",
            "--forwarded-allow-ips",
            "*",
        ]  # nobody but nginx reaches the socket
    if app.asgi and not own:
        words += ["--worker-class", UVICORN_WORKER]
    return (*words, "--bind", f"unix:{socket}", str(app.target))


def workers(cores: int, memory: int) -> int:
    """Say how many workers: gunicorn's own rule of two a core and one more, as far as the memory goes."""
    return max(1, min(2 * cores + 1, (memory - 200) // WORKER_MIB))


def cores() -> int:
    """Count the cores that are ours: the machine's, or the group's share where that is less."""
    found = len(os.sched_getaffinity(0))
    try:
        quota, period = (int(_CPU.joinpath(f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
    except (OSError, ValueError):
        return found
    return max(1, min(found, quota // period)) if quota > 0 else found


def memory_mib() -> int:
    """Read how much memory there is for us: the machine's, or the group's limit where that is less."""
    for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("MemTotal:"):
            total = int(line.split()[1]) // 1024
    for place in ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory.max"):
        try:
            limit = Path(place).read_text(encoding="utf-8").strip()
        except OSError:
            continue
        if limit.isdigit():
            total = min(total, int(limit) >> 20)
    return total


def whole_environment(folder: Path, process: Process) -> Dict[str, str]:
    """Lay the app's own values over what every process sees; ours that name the place stay ours."""
    secrets = json.loads((folder / SECRETS).read_text(encoding="utf-8"))
    return {**process.environment, **secrets, "CLOUDSHIP_SOCKET": process.environment["CLOUDSHIP_SOCKET"]}


def launch(layout: Layout, number: int) -> None:
    """Become the web process of a release; the unit starts this as the app's user."""
    folder = layout.release(number)
    process = Process.load(folder)
    layout.socket(number).unlink() if layout.socket(number).exists() and process.port is None else None
    os.chdir(process.directory)
    env = whole_environment(folder, process)
    os.execvpe(process.words[0], list(process.words), env)
