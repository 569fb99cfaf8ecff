"""The metadata service: each droplet is known by its address."""

from __future__ import annotations

import json
from typing import Any

from cloudship.local.metadata import answer
from cloudship.local.transitions import Transitions


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


def test_a_droplet_knows_its_address_before_the_account_shows_it(api: Any) -> None:
    """What boots finds its interface in the metadata while the droplet is still new."""
    account = api.context.account
    api.context.bodies.transitions = Transitions.parse("20")
    account.clock.freeze()
    asked = {"name": "web", "size": "s-1vcpu-1gb", "image": "ubuntu-20-04-x64"}
    number = api("POST", "/v2/droplets", asked).json()["droplet"]["id"]
    assert [] == api("GET", f"/v2/droplets/{number}").json()["droplet"]["networks"]["v4"]
    told = json.loads(answer(account, number, "/metadata/v1.json")[2])
    assert ["255.255.0.0", "127.64.0.1"] == [
        told["interfaces"]["public"][0]["ipv4"][key] for key in ("netmask", "gateway")
    ]
    assert number == account.droplets.at(told["interfaces"]["public"][0]["ipv4"]["ip_address"])
