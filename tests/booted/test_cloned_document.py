"""The document that needs no client: a droplet boots with nothing but it, and the page is there."""

from __future__ import annotations

import http.server
import json
import subprocess
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import requests

from cloudship import drawing
from cloudship.client import Client
from cloudship.clouds import local
from cloudship.models import DropletRequest
from cloudship.probe import look


@pytest.fixture
def repository(machines: Path, tmp_path: Path, root: Path) -> Iterator[str]:
    """The Flask example as a git repository behind a plain web server on the machines' own bridge."""
    bare = tmp_path / "served" / "hello.git"
    work = tmp_path / "work"
    subprocess.run(["cp", "-r", root / "examples/flask-hello", work], check=True)
    git = ["git", "-C", str(work), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for words in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "one"]):
        subprocess.run([*git, *words], check=True)
    subprocess.run(["git", "clone", "-q", "--bare", str(work), str(bare)], check=True)
    subprocess.run(["git", "-C", str(bare), "repack", "-q", "-a", "-d"], check=True)
    subprocess.run(["git", "-C", str(bare), "update-server-info"], check=True)
    gateway = json.loads((machines / "network.json").read_text())["subnet"].replace("0/24", "1")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    handler = partial(Quiet, directory=str(tmp_path / "served"))
    server = http.server.ThreadingHTTPServer((gateway, 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://{gateway}:{server.server_address[1]}/hello.git"
    server.shutdown()
    server.server_close()


def test_a_droplet_brings_the_app_up_by_itself(here: Path, repository: str) -> None:
    """No key is pushed, nobody connects; the release answers through nginx."""
    text = drawing.rendered(".", git=f"{repository}@main", name="alone", config_file=None)
    endpoint = local()
    assert endpoint is not None
    client = Client(endpoint)
    request = DropletRequest(
        name="alone", region="nyc3", size="s-1vcpu-1gb", image="ubuntu-20-04-x64", ssh_keys=(), tags=(), user_data=text
    )
    droplet_id = client.create_droplet(request)
    try:
        url = f"http://{client.droplet(droplet_id).ip_address}/"
        deadline, release = time.monotonic() + 400, None
        while release is None and time.monotonic() < deadline:
            try:
                release = look(url, limit=2).release
            except Exception:  # noqa: BLE001  whatever it is, it is not the page yet
                time.sleep(0.1)
        assert 1 == release
        assert "Hello from a ship" in requests.get(url, timeout=10).text
    finally:
        client.delete_droplet(droplet_id)
