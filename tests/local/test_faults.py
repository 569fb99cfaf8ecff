"""A cloud that misbehaves on demand: every kind of fault does what it says, and only as often as it was asked to."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest
import requests
from apiserver import Api

from cloudship.local.handle import LocalCloud

pytestmark = pytest.mark.slow

ASKED = {"name": "web", "region": "nyc3", "size": "s-1vcpu-1gb", "image": "ubuntu-20-04-x64"}


@pytest.fixture
def knobs(api: Api) -> LocalCloud:
    """The handle on this test's local cloud."""
    return LocalCloud(api.url, api.token)


def _create(api: Api, **more: Any) -> int:
    return int(api("POST", "/v2/droplets", {**ASKED, **more}).json()["droplet"]["id"])


def _listed(api: Api, query: str = "") -> set[int]:
    return {one["id"] for one in api("GET", f"/v2/droplets{query}").json()["droplets"]}


def test_a_status_strikes_as_often_as_it_was_asked_to_and_changes_nothing(api: Api, knobs: LocalCloud) -> None:
    """Its body has DigitalOcean's shape, its headers are passed on, and before it and after it all is well."""
    knobs.fault(
        "status", operation="droplets_create", status=503, times=2, skip=1, headers={"Retry-After": "2"}, message="No"
    )
    statuses = [api("POST", "/v2/droplets", {**ASKED, "name": f"n{index}"}).status_code for index in range(4)]
    assert [202, 503, 503, 202] == statuses
    assert 2 == len(_listed(api))
    assert (True, 4, 2) == tuple(knobs.faults()[0][key] for key in ("spent", "met", "struck"))


def test_an_effect_may_come_although_the_answer_is_an_error(api: Api, knobs: LocalCloud) -> None:
    """Created, then 503: the droplet is there."""
    knobs.fault("status", operation="POST /v2/droplets", status=503, effect="after")
    answer = api("POST", "/v2/droplets", ASKED)
    assert (503, "service_unavailable") == (answer.status_code, answer.json()["id"])
    assert 1 == len(_listed(api))


@pytest.mark.parametrize(("effect", "made"), [("before", 0), ("after", 1)])
def test_a_reset_is_one(api: Api, knobs: LocalCloud, effect: str, made: int) -> None:
    """The connection is reset, with or without the effect."""
    knobs.fault("reset", operation="droplets_create", effect=effect)
    with pytest.raises(requests.ConnectionError, match="reset"):
        api("POST", "/v2/droplets", ASKED)
    assert made == len(_listed(api))


def test_silence_and_delay(api: Api, knobs: LocalCloud) -> None:
    """One never answers, the other late; the server answers others meanwhile."""
    knobs.fault("silence", operation="account_get")
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{api.url}/v2/account", headers={"Authorization": f"Bearer {api.token}"}, timeout=0.3)
    knobs.fault("delay", operation="account_get", seconds=0.3)
    began = time.monotonic()
    assert 200 == api("GET", "/v2/account").status_code
    assert time.monotonic() - began >= 0.3


def test_bodies_that_are_not_what_they_should_be(api: Api, knobs: LocalCloud) -> None:
    """Broken off, too long for their length, HTML, empty, no text, drop by drop."""
    knobs.fault("truncated", operation="account_get")
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        api("GET", "/v2/account", check=False)
    knobs.fault("wrong_length", operation="account_get")
    with pytest.raises(requests.exceptions.JSONDecodeError):
        api("GET", "/v2/account", check=False).json()
    knobs.fault("html", operation="account_get")
    assert "text/html" in api("GET", "/v2/account", check=False).headers["content-type"]
    knobs.fault("body", operation="account_get")
    assert b"" == api("GET", "/v2/account", check=False).content
    knobs.fault("body", operation="account_get", base64="//79")
    assert b"\xff\xfe\xfd" == api("GET", "/v2/account", check=False).content
    knobs.fault("slow", operation="account_get", bytes_per_second=3000)
    assert "account" in api("GET", "/v2/account").json()


def test_a_redirect_leads_elsewhere(api: Api, knobs: LocalCloud) -> None:
    """With its location, for clients that must not follow it."""
    knobs.fault("redirect", location="http://127.0.0.1:9/steal", status=307)
    answer = api("GET", "/v2/account", check=False, allow_redirects=False)
    assert (307, "http://127.0.0.1:9/steal") == (answer.status_code, answer.headers["location"])


def test_probability_is_reproducible(api: Api, knobs: LocalCloud) -> None:
    """The same seed strikes the same requests."""
    seen = []
    for _ in range(2):
        knobs.clear_faults()
        knobs.fault("status", operation="account_get", status=500, probability=0.5, times=None, seed=7)
        seen.append([api("GET", "/v2/account").status_code for _ in range(12)])
    assert seen[0] == seen[1]
    assert {200, 500} == set(seen[0])


def test_listings_lag_by_name_and_by_tag(api: Api, knobs: LocalCloud) -> None:
    """What is made can be read by its id at once, and is listed once the account's time is there."""
    knobs.freeze()
    knobs.fault("listing_lag", seconds=60, by="tag")
    number = _create(api, tags=["a"])
    assert (set(), {number}) == (_listed(api, "?tag_name=a"), _listed(api, "?name=web"))
    knobs.advance(61)
    assert {number} == _listed(api, "?tag_name=a")
    knobs.fault("listing_lag", seconds=60)
    other = _create(api, name="other")
    assert {number} == _listed(api)
    assert 200 == api("GET", f"/v2/droplets/{other}").status_code


def test_keys_and_tags_are_listed_late_too(api: Api, knobs: LocalCloud) -> None:
    """Each by itself."""
    knobs.freeze()
    knobs.fault("listing_lag", resource="tags", seconds=5)
    api("POST", "/v2/tags", {"name": "late"})
    assert [] == api("GET", "/v2/tags").json()["tags"]
    knobs.advance(5)
    assert 1 == len(api("GET", "/v2/tags").json()["tags"])


def test_droplets_that_do_not_come_to_be_as_they_should(api: Api, knobs: LocalCloud) -> None:
    """404 for a while, never active, never an address, an address late, a create that fails."""
    knobs.freeze()
    knobs.fault("missing_after_create", seconds=5)
    missing = _create(api)
    assert 404 == api("GET", f"/v2/droplets/{missing}").status_code
    knobs.advance(5)
    assert "active" == api("GET", f"/v2/droplets/{missing}").json()["droplet"]["status"]
    for kind, more in (("never_active", {}), ("no_ip", {}), ("ip_late", {"seconds": 9})):
        knobs.fault(kind, **more)
        shown = api("GET", f"/v2/droplets/{_create(api)}").json()["droplet"]
        assert ("new" if kind == "never_active" else "active") == shown["status"]
        assert [] == shown["networks"]["v4"]
    knobs.advance(9)
    assert 1 == len(api("GET", f"/v2/droplets/{shown['id']}").json()["droplet"]["networks"]["v4"])
    knobs.fault("create_fails")
    made = api("POST", "/v2/droplets", ASKED).json()
    assert 404 == api("GET", f"/v2/droplets/{made['droplet']['id']}").status_code
    assert "errored" == api("GET", f"/v2/actions/{made['links']['actions'][0]['id']}").json()["action"]["status"]


def test_deletes_that_do_not_stick_and_droplets_that_come_back(api: Api, knobs: LocalCloud) -> None:
    """Both are answered 204."""
    knobs.freeze()
    number = _create(api)
    knobs.fault("delete_ignored")
    assert 204 == api("DELETE", f"/v2/droplets/{number}").status_code
    assert 200 == api("GET", f"/v2/droplets/{number}").status_code
    knobs.fault("comes_back", seconds=30)
    assert 204 == api("DELETE", f"/v2/droplets/{number}").status_code
    assert (404, set()) == (api("GET", f"/v2/droplets/{number}").status_code, _listed(api))
    knobs.advance(31)
    assert {number} == _listed(api)
    assert 204 == api("DELETE", f"/v2/droplets/{number}").status_code
    assert set() == _listed(api)


def test_limits_capacity_and_tokens(api: Api, knobs: LocalCloud) -> None:
    """They stand until they are cleared."""
    knobs.fault("droplet_limit", limit=0)
    assert "droplet limit" in api("POST", "/v2/droplets", ASKED).json()["message"]
    knobs.clear_faults()
    knobs.fault("unavailable", region="nyc3")
    assert 422 == api("POST", "/v2/droplets", ASKED).status_code
    knobs.clear_faults()
    knobs.fault("token", state="read_only")
    assert (200, 403) == (api("GET", "/v2/account").status_code, api("POST", "/v2/tags", {"name": "a"}).status_code)
    knobs.fault("token", state="revoked")
    assert 401 == api("GET", "/v2/account").status_code
    knobs.clear_faults()
    assert 201 == api("POST", "/v2/tags", {"name": "a"}).status_code


def test_one_fault_is_cleared_by_its_number(api: Api, knobs: LocalCloud) -> None:
    """The others stay; a number that there is not is said to be none."""
    kept, gone = (knobs.fault("token", state="read_only"), knobs.fault("unavailable", region="nyc3"))
    knobs.clear_faults(gone)
    assert [kept] == [one["id"] for one in knobs.faults()]
    with pytest.raises(ValueError, match="could not be found"):
        knobs.clear_faults(gone)
    assert 403 == api("POST", "/v2/tags", {"name": "a"}).status_code


def test_transitions_take_their_time(api: Api, knobs: LocalCloud) -> None:
    """New without networks, active, the address later; an event pending meanwhile; a delete that takes a moment."""
    knobs.freeze()
    knobs.transitions = "10"
    number = _create(api)
    shown = api("GET", f"/v2/droplets/{number}").json()["droplet"]
    assert ("new", []) == (shown["status"], shown["networks"]["v4"])
    busy = api("DELETE", f"/v2/droplets/{number}")
    assert (422, "Droplet already has a pending event.") == (busy.status_code, busy.json()["message"])
    knobs.advance(10)
    shown = _until(api, number, lambda one: one["status"] == "active")
    assert [] == shown["networks"]["v4"]
    knobs.advance(10)
    _until(api, number, lambda one: len(one["networks"]["v4"]) == 1)
    action = api("POST", f"/v2/droplets/{number}/actions", {"type": "reboot"}).json()["action"]
    assert "in-progress" == api("GET", f"/v2/actions/{action['id']}").json()["action"]["status"]
    knobs.advance(10)
    deadline = time.monotonic() + 60
    while api("GET", f"/v2/actions/{action['id']}").json()["action"]["status"] != "completed":
        assert time.monotonic() < deadline
    assert 204 == api("DELETE", f"/v2/droplets/{number}").status_code
    assert 422 == api("DELETE", f"/v2/droplets/{number}").status_code
    assert 200 == api("GET", f"/v2/droplets/{number}").status_code
    knobs.advance(10)
    while api("GET", f"/v2/droplets/{number}").status_code != 404:
        assert time.monotonic() < deadline


def test_an_action_can_end_errored(api: Api, knobs: LocalCloud) -> None:
    """And the one after it completes."""
    number = _create(api)
    knobs.fault("action_errors")
    ends = []
    for _ in range(2):
        action = api("POST", f"/v2/droplets/{number}/actions", {"type": "reboot"}).json()["action"]["id"]
        status = "in-progress"
        while status == "in-progress":
            status = api("GET", f"/v2/actions/{action}").json()["action"]["status"]
        ends.append(status)
    assert ["errored", "completed"] == ends


def test_requests_are_recorded_without_what_is_secret(api: Api, knobs: LocalCloud) -> None:
    """Method, operation, status and fault of each; user-data only as its hash, the token not at all."""
    knobs.fault("status", operation="account_get", status=500)
    api("GET", "/v2/account")
    _create(api, user_data="#cloud-config canary")
    seen = knobs.requests()
    assert [("account_get", 500, "status"), ("droplets_create", 202, None)] == [
        (one["operation"], one["status"], one["fault"]) for one in seen
    ]
    assert "canary" not in str(seen)
    assert api.token not in str(seen)
    assert seen[1]["body"]["user_data"].startswith("<sha256 ")
    knobs.clear_requests()
    assert [] == knobs.requests()


def test_reset_empties_everything_and_keeps_the_token(api: Api, knobs: LocalCloud) -> None:
    """Droplets, tags, faults, requests and time; numbers are not used again."""
    first = _create(api, tags=["a"])
    knobs.freeze()
    knobs.advance(1e6)
    knobs.fault("status", operation="droplets_get", status=500, times=None)
    knobs.reset()
    assert ({"droplets": 0, "faults": 0}, False) == (
        {key: knobs.status()[key] for key in ("droplets", "faults")},
        knobs.status()["time"]["frozen"],
    )
    assert [] == api("GET", "/v2/tags").json()["tags"]
    assert _create(api) > first


@pytest.mark.parametrize(
    ("operation", "struck"),
    [
        ("droplets_*", 2),
        ("droplets_get", 0),
        ("*_list", 2),
        ("GET /v2/dropl*", 1),
        ("GET /v2//droplets/", 1),
        ("POST /*", 1),
        ("* /v2/*", 3),
        (None, 3),
    ],
)
def test_a_fault_is_for_the_requests_that_its_pattern_means(
    api: Api, knobs: LocalCloud, operation: str | None, struck: int
) -> None:
    """By DigitalOcean's name of the operation, or by method and path."""
    more = {} if operation is None else {"operation": operation}
    knobs.fault("status", status=503, times=None, **more)
    answers = [api("GET", "/v2/droplets"), api("GET", "/v2/account/keys"), api("POST", "/v2/droplets", ASKED)]
    assert struck == [one.status_code for one in answers].count(503)


def test_nobody_without_the_token_turns_the_knobs(api: Api) -> None:
    """401, as on the rest of the API."""
    assert 401 == requests.get(f"{api.url}/_cloudship/status", timeout=5).status_code
    assert 401 == requests.post(f"{api.url}/_cloudship/reset", json={}, timeout=5).status_code


def test_a_reset_is_on_the_wire(api: Api, knobs: LocalCloud) -> None:
    """The kernel says ECONNRESET, not a polite end of file."""
    knobs.fault("reset", operation="account_get")
    host, port = api.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        lines = f"GET /v2/account HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {api.token}\r\n\r\n"
        connection.sendall(lines.encode())
        with pytest.raises(ConnectionResetError):
            connection.recv(100)


def _until(api: Api, number: int, good: Any) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while True:
        shown = api("GET", f"/v2/droplets/{number}").json()["droplet"]
        if good(shown):
            return dict(shown)
        assert time.monotonic() < deadline, shown
