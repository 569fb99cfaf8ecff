"""Faults that cannot be: refused when they are injected, by their field, and not found out when they strike."""

from __future__ import annotations

from typing import Any

import pytest
from apiserver import Api

from cloudship.local.handle import LocalCloud

pytestmark = pytest.mark.slow


@pytest.fixture
def knobs(api: Api) -> LocalCloud:
    """The handle on this test's local cloud."""
    return LocalCloud(api.url, api.token)


@pytest.mark.parametrize(
    ("kind", "more", "message"),
    [
        ("nonsense", {}, "kind"),
        ("status", {"status": 200}, "status"),
        ("delay", {}, "seconds"),
        ("delay", {"seconds": float("nan")}, "seconds"),
        ("slow", {"bytes_per_second": float("inf")}, "bytes_per_second"),
        ("reset", {"tymes": 1}, "tymes"),
        ("unavailable", {}, "region or size"),
        ("unavailable", {"region": "nyc9"}, "region: .*nyc3"),
        ("unavailable", {"size": "s-1vcpu-1tb", "region": "nyc3"}, "size: .*s-1vcpu-1gb"),
    ],
)
def test_a_fault_that_cannot_be_is_refused_by_its_field(
    knobs: LocalCloud, kind: str, more: dict[str, Any], message: str
) -> None:
    """Nothing is injected."""
    with pytest.raises(ValueError, match=message):
        knobs.fault(kind, **more)
    assert [] == knobs.faults()


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        ("droplet_create", "nearest is 'droplets_create'"),
        ("volumes_*", "no operation"),
        ("GET /droplets", "begin with /v2/"),
        ("GET /v2", "begin with /v2/"),
        ("GET /_cloudship/status", "begin with /v2/"),
        ("* /_*", "begin with /v2/"),
        ("DELTE /v2/droplets/*", "no method"),
        ("G* /v2/droplets", "no method"),
        ("GET /v2/droplets?tag_name=a", "query"),
    ],
)
def test_an_operation_that_no_request_can_be_is_refused(knobs: LocalCloud, operation: str, message: str) -> None:
    """By name or by place: it would wait for ever."""
    with pytest.raises(ValueError, match=f"operation: .*{message}"):
        knobs.fault("reset", operation=operation)
    assert [] == knobs.faults()


@pytest.mark.parametrize("kind", ["delay", "truncated", "slow", "wrong_length"])
def test_what_spoils_a_right_answer_needs_one(api: Api, knobs: LocalCloud, kind: str) -> None:
    """Before the effect there is none to spoil; after it may be said, and is what happens anyway."""
    more = {"delay": {"seconds": 0.01}, "slow": {"bytes_per_second": 1e6}}.get(kind, {})
    with pytest.raises(ValueError, match="effect"):
        knobs.fault(kind, effect="before", **more)
    knobs.fault(kind, effect="after", operation="account_get", **more)
    assert ["after"] == [one["effect"] for one in knobs.faults()]
    assert 201 == api("POST", "/v2/tags", {"name": "a"}).status_code


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("", "x"),
        (" ", "x"),
        ("a b", "x"),
        ("a:", "x"),
        ("ä", "x"),
        ("a\0", "x"),
        ("a", "b\r\nc: d"),
        ("a", "b\0"),
        ("a", "\x1b[2J"),
        ("a", "b\x7f"),
        ("a", " b"),
        ("a", "b "),
        ("a", " "),
        ("Content-Length", "7"),
        ("transfer-encoding", "chunked"),
    ],
)
def test_a_header_that_http_cannot_carry_is_refused(knobs: LocalCloud, name: str, value: str) -> None:
    """And so is one that speaks of a body of another length than the one that is sent."""
    with pytest.raises(ValueError, match="headers"):
        knobs.fault("status", status=503, headers={name: value})
    assert [] == knobs.faults()


@pytest.mark.parametrize("value", ["a\nb", "a\0b", "\x1b[2J", "a ", "\tb"])
def test_a_place_or_a_type_that_no_header_can_say_is_refused(knobs: LocalCloud, value: str) -> None:
    """They are headers too."""
    with pytest.raises(ValueError, match="location"):
        knobs.fault("redirect", location=value)
    with pytest.raises(ValueError, match="content_type"):
        knobs.fault("body", content_type=value)
    assert [] == knobs.faults()


@pytest.mark.parametrize(
    ("kind", "more", "field"),
    [
        ("body", {"base64": "/"}, "base64"),
        ("body", {"base64": "not base64"}, "base64"),
        ("body", {"base64": "äöüß"}, "base64"),
        ("body", {"text": "x" * 100, "repeat": 64 << 20}, "repeat"),
        ("body", {"text": "ä", "repeat": (32 << 20) + 1}, "repeat"),
        ("body", {"base64": "//79", "repeat": 32 << 20}, "repeat"),
        ("body", {"text": "x", "status": 204}, "text"),
        ("body", {"base64": "//79", "status": 304}, "base64"),
        ("html", {"status": 204}, "status"),
    ],
)
def test_a_body_that_cannot_be_sent_is_refused(knobs: LocalCloud, kind: str, more: dict[str, Any], field: str) -> None:
    """No base64, more than 64 MiB before it is multiplied, or a body where HTTP has none."""
    with pytest.raises(ValueError, match=rf"{kind}\.{field}"):
        knobs.fault(kind, **more)
    assert [] == knobs.faults()


def test_what_can_just_be_is_sent_as_it_was_asked_for(api: Api, knobs: LocalCloud) -> None:
    """Headers that are empty or beyond ASCII, no body for 204, and as much as is allowed."""
    knobs.fault("status", operation="account_get", status=503, headers={"X-Empty": "", "x-more": "a  b\u00e4"})
    answer = api("GET", "/v2/account")
    assert ("", "a  b\u00e4".encode()) == (answer.headers["x-empty"], answer.headers["x-more"].encode("latin-1"))
    knobs.fault("body", operation="account_get", status=204)
    assert (204, b"") == ((answer := api("GET", "/v2/account", check=False)).status_code, answer.content)
    knobs.fault("body", operation="account_get", text="0123456789abcdef", repeat=4 << 20)
    assert 64 << 20 == len(api("GET", "/v2/account", check=False).content)
