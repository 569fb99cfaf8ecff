"""
How the processes of a release are started: a value that the release program writes and `launch.py` carries out.

Environment values pass through JSON, never through systemd's or a shell's quoting, so that every byte arrives.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from droplet import hardware, launch, procfile
from droplet.app import SHELL, UVICORN_WORKER, App
from droplet.layout import USER, Layout

THREADS = 2
WORKER_MIB = 160  # what a worker of an ordinary app takes; no more workers than fit
_OWN_CONFIG = ("gunicorn.conf.py", "gunicorn_config.py")
# Sockets of the file system cannot be shared so, and newer kernels refuse to try: such an app gets a port.
_REUSE_PORT = re.compile(r"^[ \t]*reuse_port[ \t]*=(?![ \t]*(?:False|0)\b)", re.MULTILINE)
_NO_PROCESS = ("web", "release")  # one has a socket and is one; the other runs before the switch


@dataclass(frozen=True)
class Processes:
    """All processes of a release, ready to be started."""

    directory: str
    environment: Dict[str, str] = field(default_factory=dict)  # without the app's own values
    web: Tuple[str, ...] = ()  # none: a static site
    port: Optional[int] = None  # a loopback port to be led to the socket; None: it binds the socket itself
    lines: Dict[str, str] = field(default_factory=dict)  # the Procfile's other lines
    jobs: Dict[str, Dict[str, Any]] = field(default_factory=dict)  # name: {"run": line, "when": calendars}

    def save(self, folder: Path) -> None:
        """Write them into a release's folder."""
        (folder / launch.PLAN).write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Processes:
        """Read them back; a release that never came so far has none."""
        if not (folder / launch.PLAN).exists():
            return cls(str(folder / "tree"))
        told = launch.read(str(folder / launch.PLAN))
        return cls(**{**told, "web": tuple(told["web"])})

    def moved(self, layout: Layout, old: int, new: int, port: int) -> Processes:
        """Give the same processes for a copy of the release."""
        before, after = f"{layout.release(old)}/", f"{layout.release(new)}/"
        env = {name: value.replace(before, after) for name, value in self.environment.items()}
        env["CLOUDSHIP_RELEASE"] = str(new)
        if "PORT" in env:
            env["PORT"] = str(port)
        return replace(
            self,
            directory=self.directory.replace(before, after),
            environment=env,
            web=tuple(word.replace(before, after) for word in self.web),
            port=None if self.port is None else port,
        )


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
        # gunicorn's own name for how many workers
        "WEB_CONCURRENCY": str(workers(hardware.cores(), hardware.memory_mib())),
    }
    if environment:
        found.update(PATH=f"{environment}/bin:{found['PATH']}", VIRTUAL_ENV=str(environment))
    if app.django_settings:
        found.update({launch.DJANGO: "cloudship_settings", launch.WRAPPED: app.django_settings})
        found["PYTHONPATH"] = f"{layout.release(number) / 'generated'}:{found['PYTHONPATH']}"
    return found


def plan(
    layout: Layout, number: int, app: App, environment: Optional[Path], port: int, jobs: Dict[str, Dict[str, Any]]
) -> Processes:
    """Decide how a release's processes are started."""
    base = base_environment(layout, number, app, environment)
    root = layout.release(number) / "tree" / app.directory
    lines = {name: line for name, line in app.processes.items() if name not in _NO_PROCESS}
    common = Processes(str(root), base, lines=lines, jobs=jobs)
    if app.server == SHELL:
        line = app.processes["web"]
        server, direct = procfile.runs_gunicorn(line), not shares_port(root, line)
        where = '"unix:$CLOUDSHIP_SOCKET"' if direct else '"127.0.0.1:$PORT"'
        words = launch.shell(f"{line} --bind {where}" if server else line)
        env = {**base, "PORT": str(port)}
        return replace(common, web=tuple(words), environment=env, port=None if server and direct else port)
    if app.target is None:
        return common
    if shares_port(root):
        words = [*launch.shell('exec "$0" "$@" --bind "127.0.0.1:$PORT"'), *gunicorn(None, root, app, str(environment))]
        return replace(common, web=tuple(words), environment={**base, "PORT": str(port)}, port=port)
    return replace(common, web=gunicorn(layout.socket(number), root, app, str(environment)))


def shares_port(root: Path, line: str = "") -> bool:
    """Whether the app's own gunicorn settings share a port among processes: `reuse_port`, as Heroku's examples do."""
    named = procfile.gunicorn_config(line)
    files = (named,) if named else _OWN_CONFIG
    texts = ((root / name).read_text(encoding="utf-8", errors="replace") for name in files if (root / name).is_file())
    return "--reuse-port" in line or any(_REUSE_PORT.search(text) for text in texts)


def gunicorn(socket: Optional[Path], root: Path, app: App, environment: str) -> Tuple[str, ...]:
    """Give gunicorn's command line; the app's own configuration wins, except for where it binds: None leaves it out."""
    words: List[str] = [f"{environment}/bin/gunicorn"]
    own = next((name for name in _OWN_CONFIG if (root / name).is_file()), None)
    if own:
        words += ["--config", own]
    else:
        words += ["--worker-tmp-dir", "/dev/shm"]
        words += [] if app.asgi else ["--threads", str(THREADS)]
        words += [
            "--access-logfile",
            "-",
            "--forwarded-allow-ips",
            "*",
        ]  # nobody but nginx reaches the socket
    if app.asgi and not own:
        words += ["--worker-class", UVICORN_WORKER]
    words += [] if socket is None else ["--bind", f"unix:{socket}"]
    return (*words, str(app.target))


def workers(cores: int, memory: int) -> int:
    """Say how many workers: gunicorn's own rule of two a core and one more, as far as the memory goes."""
    return max(1, min(2 * cores + 1, (memory - 200) // WORKER_MIB))


def whole_environment(folder: Path, processes: Processes) -> Dict[str, str]:
    """Lay the app's own values over what every process sees."""
    return launch.environment(processes.environment, launch.read(str(folder / launch.SECRETS)))
