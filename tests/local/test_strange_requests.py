"""What no client should send, and what many clients send at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import requests

Api = Any
_ASKED = {"name": "web", "region": "nyc3", "size": "s-1vcpu-1gb", "image": "ubuntu-20-04-x64"}


def _together(*works: Callable[[], Any]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v2/droplets/abc", 404),
        ("/v2/droplets/99999999999999999999999", 404),
        ("/v2/images?private=maybe", 422),
        ("/v2/tags?page=%C2%B2", 422),
        ("/v2/tags?per_page=0", 422),
    ],
)
def test_values_that_cannot_be_are_refused_with_the_usual_body(api: Api, path: str, status: int) -> None:
    """Clients read id and message from every error."""
    answer = api("GET", path, check=False)
    assert (status, {"id", "message", "request_id"}) == (answer.status_code, set(answer.json()))


@pytest.mark.parametrize(
    "wrong",
    [{"tags": 5}, {"tags": "abc"}, {"ssh_keys": 5}, {"ssh_keys": "12"}, {"region": ["x"]}, {"names": "ab"}],
)
def test_values_of_another_type_make_no_droplet(api: Api, wrong: dict[str, Any]) -> None:
    """422, and nothing is made; a string is no list of its letters."""
    answer = api("POST", "/v2/droplets", {**_ASKED, **wrong})
    assert (422, "unprocessable_entity") == (answer.status_code, answer.json()["id"])
    assert 0 == api("GET", "/v2/droplets").json()["meta"]["total"]


@pytest.mark.parametrize("body", ["[" * 100_000, '{"name": "\\ud800"}'])
def test_json_that_nothing_can_hold_is_refused(api: Api, body: str) -> None:
    """Nested without end, or text that no file can take: 400."""
    headers = {"Authorization": f"Bearer {api.token}", "Content-Type": "application/json"}
    assert 400 == requests.post(f"{api.url}/v2/tags", data=body, headers=headers, timeout=5).status_code


def test_resources_that_are_no_objects_are_refused(api: Api) -> None:
    """422 instead of a fault of ours."""
    api("POST", "/v2/tags", {"name": "t"})
    assert 422 == api("POST", "/v2/tags/t/resources", {"resources": ["x"]}, check=False).status_code


def test_listings_stand_while_droplets_and_tags_come_and_go(api: Api) -> None:
    """A listing is never 404, and every droplet is active on the first look."""
    seen: list[Any] = []
    done = threading.Event()

    def churn(mark: int) -> None:
        for index in range(5):
            droplet = api.droplet(tags=[f"t{mark}-{index}"])
            seen.append(droplet["status"])
            api("DELETE", f"/v2/droplets/{droplet['id']}", {}, check=False)
            api("DELETE", f"/v2/tags/t{mark}-{index}", {}, check=False)

    def look() -> None:
        while not done.is_set():
            seen.extend(api("GET", path, check=False).status_code for path in ("/v2/droplets", "/v2/tags"))

    looker = threading.Thread(target=look)
    looker.start()
    _together(*(lambda mark=mark: churn(mark) for mark in range(3)))  # type: ignore[misc]
    done.set()
    looker.join()
    assert {200, "active"} == set(seen)
