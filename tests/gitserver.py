"""Repositories served over HTTP, behind a password where one is asked for; it remembers who said what."""

from __future__ import annotations

import base64
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass
class GitServer:
    """One such server."""

    folder: Path  # holds bare repositories
    login: str | None = None  # USER:PASSWORD; None: everybody may read
    elsewhere: str | None = None  # where every request is sent on to
    heard: list[str] = field(default_factory=list)  # what was said in Authorization headers
    port: int = 0

    @property
    def host(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    @contextmanager
    def serving(self) -> Iterator[GitServer]:
        """Serve."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self, directory=str(self.folder)))
        self.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, git: GitServer, *rest: Any, **more: Any) -> None:
        self._git = git
        super().__init__(*rest, **more)

    def do_GET(self) -> None:  # the library's name
        said = self.headers.get("authorization")
        if said is not None:
            self._git.heard.append(said)
        if self._git.elsewhere is not None:
            self._refused(302, "location", self._git.elsewhere + self.path)
        elif self._git.login is not None and said != _basic(self._git.login):
            self._refused(401, "www-authenticate", 'Basic realm="git"')
        else:
            super().do_GET()

    def _refused(self, status: int, name: str, value: str) -> None:
        self.send_response(status)
        self.send_header(name, value)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def _basic(login: str) -> str:
    return f"Basic {base64.b64encode(login.encode()).decode()}"


def publish(source: Path, folder: Path, name: str = "app.git") -> Path:
    """Commit a folder, and put a bare repository of it where a plain web server can serve it."""
    git = ["git", "-C", str(source), "-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]
    for words in (("init", "-q"), ("add", "-A"), ("commit", "-q", "-m", "one")):
        subprocess.run([*git, *words], check=True)
    subprocess.run(["git", "clone", "-q", "--bare", str(source), str(folder / name)], check=True)
    subprocess.run(["git", "-C", str(folder / name), "update-server-info"], check=True)
    return folder / name
