"""
A droplet in a folder: the release program as it is, on a systemd that is played by processes of ours.

What runs an app's process, switches, probes and writes to the disk is the real thing; only systemd, nginx and the
installer are played, so a release takes a quarter of a second and can be killed at every step.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cloudship.render import userdata_folder

if str(userdata_folder()) not in sys.path:
    sys.path.append(str(userdata_folder()))

from droplet import bootstrap, command, environment, formation, golive, inside, layout, nginx, probe, release, settling
from droplet.journal import StageError
from droplet.layout import Config, Layout
from droplet.records import Request

GUNICORN = """#!{python} -IS
import os, socket, sys, time
path = sys.argv[sys.argv.index("--bind") + 1].partition(":")[2]
if os.path.exists("broken"):
    sys.exit("ModuleNotFoundError: broken")
if os.path.exists("slow"):
    time.sleep(1)
server = socket.socket(socket.AF_UNIX)
server.bind(path)
server.listen(64)
body = os.environ["CLOUDSHIP_RELEASE"].encode()
status = open("status").read().strip().encode() if os.path.exists("status") else b"200"
while True:
    one, _ = server.accept()
    one.recv(4096)
    head = b"HTTP/1.1 %s X\\r\\nContent-Length: %d\\r\\nConnection: close\\r\\n\\r\\n" % (status, len(body))
    one.sendall(head + body)
    one.close()
"""
_CAT = """#!/bin/sh
shift 2
exec "$@"
"""
_PLAYED = ("systemctl", "systemd-run", "journalctl", "nginx", "chown", "systemd-analyze", "nice", "hostname")


@dataclass(frozen=True)
class _Config(Config):
    """What the user-data said, of an app that lies elsewhere."""

    base: Path = Path("/srv")

    @property
    def layout(self) -> Layout:
        return Layout(self.name, self.base)


@dataclass(frozen=True)
class DropletBox:
    """One such droplet."""

    folder: Path

    @property
    def layout(self) -> Layout:
        """Where its app lies."""
        return Layout("web", self.folder / "srv")

    @property
    def config(self) -> Config:
        """What its user-data said."""
        return _Config("web", {}, (), None, None, None, None, None, self.folder / "srv")

    def make(self) -> None:
        """Lay out what the first boot lays out."""
        home = self.layout.home
        for place in (home / "cache", self.layout.releases, self.layout.shared, self._units, self.folder / "units.d"):
            place.mkdir(parents=True)
        bootstrap.make_repository(self.layout)
        programs = self.folder / "env" / "bin"
        programs.mkdir(parents=True)
        for name, text in (("gunicorn", GUNICORN.format(python=sys.executable)), ("systemd-cat", _CAT)):
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Play systemd, nginx and the installer in this process."""
        patch.setattr(command, "run", self._run)
        patch.setattr(command, "output", self._output)
        patch.setattr(environment, "make", lambda *_: self.folder / "env")
        patch.setattr(release, "own", lambda *_: None)
        patch.setattr(golive.shutil, "chown", lambda *_: None)
        patch.setattr(golive, "ENVIRONMENT", self.folder / "env.json")
        patch.setattr(nginx, "serve", lambda kind: None)
        patch.setattr(formation, "UNITS", self.folder / "units.d")
        patch.setattr(layout, "read_config", lambda: self.config)
        patch.setattr(probe, "ATTEMPT", 2.0)

    def commit(self, **files: str) -> str:
        """Push a tree, and give its commit."""
        tree = self.folder / f"tree-{time.monotonic_ns()}"
        tree.mkdir()
        given = {"app.py": "from flask import Flask\napp = Flask(__name__)\n", "requirements.txt": "flask\n", **files}
        for name, text in given.items():
            (tree / name.replace("__", ".")).write_text(text)
        git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", f"--git-dir={self.layout.repository}"]
        env = {**os.environ, "GIT_INDEX_FILE": str(tree) + ".index"}

        def said(*words: str) -> str:
            whole = [*git, f"--work-tree={tree}", *words]
            return subprocess.run(whole, env=env, check=True, capture_output=True, text=True).stdout.strip()

        said("add", "-A")
        return said("commit-tree", "-m", "one", said("write-tree"))

    def release(self, commit: str) -> int:
        """Release a commit, as the hook does."""
        return release.run(self.config, Request(commit, "me"))

    def answer(self) -> str:
        """Ask whoever is live, as nginx does, and say which release answered."""
        live = self.layout.live()
        assert live is not None
        connection = probe._Connection(self.layout.current / "run" / "web.sock", 30)
        with contextlib.closing(connection):
            connection.request("GET", "/")
            return connection.getresponse().read().decode()

    def reboot(self) -> None:
        """Lose every process, and start what the link names."""
        self.power_off()
        inside.start_live([])
        deadline = time.monotonic() + 60
        while self.layout.live() is not None and time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                self.answer()
                return
            time.sleep(0.01)

    def power_off(self) -> None:
        """End every process."""
        for unit in self.running():
            self._stop(unit)

    def running(self) -> list[str]:
        """Name the units whose process lives."""
        return sorted(path.name for path in self._units.iterdir() if self._pid(path.name))

    @property
    def _settlers(self) -> Path:
        return self.folder / "settlers"

    @property
    def _units(self) -> Path:
        return self.folder / "units"

    def _run(self, words: Sequence[str], **more: Any) -> list[str]:
        if words[0] not in _PLAYED:
            whole = {**more, "user": None, "limits": ()}
            return _PLAIN["run"](words, **whole)
        status, said = self._play(list(words))
        if status:
            raise StageError(more.get("message") or f"`{' '.join(words)}` failed", said.splitlines())
        return said.splitlines()

    def _output(self, words: Sequence[str]) -> str:
        return self._play(list(words))[1] if words[0] in _PLAYED else _PLAIN["output"](words)

    def settle(self) -> None:
        """Do what was started to look after a switch; it waits for the lock, so it comes after a release."""
        started = self._settlers.read_text().splitlines() if self._settlers.exists() else []
        self._settlers.unlink(missing_ok=True)
        for line in started:
            number, before, action = line.split()
            settling.settle(self.config, int(number), int(before) or None, action)

    def _play(self, words: list[str]) -> tuple[int, str]:
        if words[0] == "systemd-run":
            with self._settlers.open("a") as file:
                file.write(" ".join(words[-3:]) + "\n")
        if words[0] != "systemctl":
            return 0, "10.0.0.1" if words[0] == "hostname" else ""
        verb, units = words[1], [one for one in words[2:] if not one.startswith("-")]
        if verb == "start":
            for unit in units:
                self._start(unit)
        elif verb in ("stop", "kill"):
            for unit in units:
                self._stop(unit)
        elif verb == "show":
            return 0, self._shown(units[-1])
        elif verb == "list-units":
            return 0, "".join(f"{unit} loaded active running x\n" for unit in self.running())
        return 0, ""

    def _start(self, unit: str) -> None:
        kind, _, rest = unit.partition("@")
        if kind not in ("cloudship-app", "cloudship-worker") or self._pid(unit):
            return
        started = [sys.executable, "-IS", str(userdata_folder() / "droplet" / "launch.py"), str(self.layout.home)]
        words = [*started, "web" if kind == "cloudship-app" else "worker", rest.removesuffix(".service")]
        with (self.folder / "said").open("ab") as said:
            process = subprocess.Popen(
                words, stdout=said, stderr=said, stdin=subprocess.DEVNULL, start_new_session=True
            )
        process.returncode = 0  # whoever looks for it does so by its number
        with (self._units / unit).open("w") as file:  # not by `write_text`, where a kill would leave it to nobody
            file.write(str(process.pid))

    def _stop(self, unit: str) -> None:
        pid = self._pid(unit)
        if pid:
            os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError, FileNotFoundError):
            (self._units / unit).unlink()
            os.waitpid(pid, 0) if pid else None

    def _pid(self, unit: str) -> int:
        """Give the number of a unit's living process; 0: it has none."""
        try:
            pid = int((self._units / unit).read_text())
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (OSError, ValueError):
            return 0
        return 0 if state == "Z" else pid

    def _shown(self, unit: str) -> str:
        alive = self._pid(unit)
        state = ("active", "running", "0") if alive else ("failed", "failed", "1")
        return "ActiveState={}\nSubState={}\nNRestarts=0\nExecMainStatus={}\nResult=exit-code\n".format(*state)


_PLAIN: dict[str, Callable[..., Any]] = {"run": command.run, "output": command.output}
