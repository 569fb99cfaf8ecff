"""The metadata service: each droplet is known by its address."""

from __future__ import annotations

import json
from typing import Any

from cloudship.local.metadata import answer


def _ask(api: Any, droplet: dict[str, Any] | None, path: str) -> tuple[int, str]:
    account = api.context.account
    number = account.droplets.at(droplet["networks"]["v4"][0]["ip_address"]) if droplet else None
    status, headers, text = answer(account, number, path)
    return status, headers.get("location", text)


def test_a_droplet_reads_what_it_was_made_with(api: Any) -> None:
    """User-data, tags, keys, its own id and address."""
    droplet = api.droplet(user_data="#cloud-config\n", tags=["a", "b"])
    assert (200, str(droplet["id"])) == _ask(api, droplet, "/metadata/v1/id")
    assert (200, "#cloud-config\n") == _ask(api, droplet, "/metadata/v1/user-data")
    assert (200, "a\nb") == _ask(api, droplet, "/metadata/v1/tags")
    address = droplet["networks"]["v4"][0]["ip_address"]
    assert (200, address) == _ask(api, droplet, "/metadata/v1/interfaces/public/0/ipv4/address")
    assert droplet["id"] == json.loads(_ask(api, droplet, "/metadata/v1.json")[1])["droplet_id"]


def test_indexes_list_what_is_below_them(api: Any) -> None:
    """Without the last slash they redirect; what is unknown is 404."""
    droplet = api.droplet()
    assert "user-data" in _ask(api, droplet, "/metadata/v1/")[1].splitlines()
    assert (301, "/metadata/v1/") == _ask(api, droplet, "/metadata/v1")
    assert 404 == _ask(api, droplet, "/metadata/v1/nothing")[0]


def test_strangers_read_nothing(api: Any) -> None:
    """An address that no droplet has gets no answer but 404."""
    assert 404 == _ask(api, None, "/metadata/v1/user-data")[0]
