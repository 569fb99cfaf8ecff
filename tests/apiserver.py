"""A local cloud in this process, without machines, and a caller that checks every answer."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import requests
import uvicorn

from cloudship.local.api import application
from cloudship.local.api.context import Context
from cloudship.local.faults.wire import ExposedProtocol
from cloudship.local.machines.none import NoneDriver
from cloudship.local.server import assembled

DOCUMENT = Path(__file__).parents[2] / "shared" / "openapi" / "do-openapi-subset.json"
TOKEN = "cloudship_local_test"  # noqa: S105  of a server that lives for one test


@cache
def openapi() -> Any:
    """Load DigitalOcean's own document; without it tests are skipped, but never in CI."""
    from openapi_core import OpenAPI

    if not DOCUMENT.exists():
        assert os.environ.get("CI") != "true", f"{DOCUMENT} is missing"
        pytest.skip("DigitalOcean's OpenAPI document is not at ../shared/openapi")
    return OpenAPI.from_dict(json.loads(DOCUMENT.read_text()))


@dataclass
class Api:
    """Speaks to a local cloud, and checks each answer against DigitalOcean's document."""

    url: str
    context: Context
    token: str = TOKEN

    def __call__(
        self, method: str, path: str, body: Any = None, *, check: bool = True, **more: Any
    ) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}", **more.pop("headers", {})}
        answer = requests.request(method, f"{self.url}{path}", json=body, headers=headers, timeout=10, **more)
        if check:
            self.conforms(answer)
        return answer

    def conforms(self, answer: requests.Response) -> None:
        """Check an answer against the document."""
        from openapi_core.contrib.requests import RequestsOpenAPIRequest, RequestsOpenAPIResponse

        class AtDigitalOcean(RequestsOpenAPIRequest):
            """The same request, as it would have gone to the host that the document names."""

            @property
            def host_url(self) -> str:
                return "https://api.digitalocean.com"

        openapi().validate_response(AtDigitalOcean(answer.request), RequestsOpenAPIResponse(answer))

    def droplet(self, **more: Any) -> dict[str, Any]:
        """Make a droplet and give it as it is a moment later."""
        asked = {"name": "web", "region": "nyc3", "size": "s-1vcpu-1gb", "image": "ubuntu-20-04-x64", **more}
        made = self("POST", "/v2/droplets", asked).json()["droplet"]
        return dict(self("GET", f"/v2/droplets/{made['id']}").json()["droplet"])


class serving:  # noqa: N801  it reads as a verb where it is used
    """Serve a local cloud from a directory, as a context."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __enter__(self) -> Api:
        self._assembly = assembled(self._directory, NoneDriver(self._directory), TOKEN)
        context = self._assembly.__enter__()
        context.bodies.restore()
        config = uvicorn.Config(
            application(context),
            http=ExposedProtocol,
            port=0,
            lifespan="off",
            log_config=None,
            access_log=False,
            date_header=False,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._server.serve()), daemon=True)
        self._thread.start()
        while not self._server.started:
            pass
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self._context = context
        return Api(f"http://127.0.0.1:{port}", context)

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._context.bodies.suspend()
        self._assembly.__exit__(None, None, None)
