"""
The metadata service at 169.254.169.254: each droplet is known by the address it asks from.

As DigitalOcean documents it (docs.digitalocean.com/reference/api/metadata): an index without its last slash
is redirected, what is unknown is 404. Everybody on the droplet can read it, unless the droplet forbids that.
"""

from __future__ import annotations

import json
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from cloudship.local.account import Account
from cloudship.local.errors import Refusal

_ROOT = "/metadata/v1"
_PLAIN = {"content-type": "text/plain; charset=utf-8"}


def metadata(account: Account) -> ASGIApp:
    """Make the service over an account."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del receive  # nothing here has a body
        if scope["type"] != "http":
            return
        droplet_id = account.droplets.at(scope["client"][0])
        status, headers, text = answer(account, droplet_id, scope["path"])
        sent = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": sent})
        await send({"type": "http.response.body", "body": text.encode()})

    return app


def answer(account: Account, droplet_id: int | None, path: str) -> tuple[int, dict[str, str], str]:
    """Answer one request: status, headers, body."""
    try:
        told = document(account, droplet_id) if droplet_id is not None else None
    except Refusal:
        told = None
    if told is not None and path == f"{_ROOT}.json":
        return 200, {"content-type": "application/json"}, json.dumps(told)
    parts = [part for part in path.split("/") if part]
    found = _walk({"metadata": {"v1": _tree(told)}}, parts) if told is not None and parts else None
    if found is None:
        return 404, _PLAIN, "not found"
    if isinstance(found, str):
        return 200, _PLAIN, found
    if not path.endswith("/"):
        return 301, {"location": f"{path}/"}, ""
    names = (f"{key}/" if isinstance(value, dict) else key for key, value in found.items())
    return 200, _PLAIN, "\n".join(names)


def document(account: Account, droplet_id: int) -> dict[str, Any]:
    """Show a droplet as `v1.json` does."""
    droplet = account.droplets.get(droplet_id)
    public = [
        {
            "ipv4": {key: one[key] for key in ("ip_address", "netmask", "gateway")},
            "mac": "",
            "type": "public",
        }
        for one in account.droplets.networks(droplet_id)["v4"]
    ]
    return {
        "droplet_id": droplet_id,
        "hostname": droplet["name"],
        "user_data": account.droplets.user_data(droplet_id),
        "vendor_data": "",
        "public_keys": account.droplets.public_keys(droplet_id),
        "region": droplet["region"]["slug"],
        "interfaces": {"public": public},
        "dns": {"nameservers": []},
        "floating_ip": {"ipv4": {"active": False}},
        "reserved_ip": {"ipv4": {"active": False}},
        "tags": droplet["tags"],
        "features": {"dhcp_enabled": False},
    }


def _tree(told: dict[str, Any]) -> dict[str, Any]:
    interfaces = {
        str(index): {
            "ipv4": {_dns_name(key): value for key, value in one["ipv4"].items()},
            "type": one["type"],
        }
        for index, one in enumerate(told["interfaces"]["public"])
    }
    return {
        "id": str(told["droplet_id"]),
        "hostname": told["hostname"],
        "user-data": told["user_data"],
        "vendor-data": told["vendor_data"],
        "public-keys": "\n".join(told["public_keys"]),
        "region": told["region"],
        "interfaces": {"public": interfaces},
        "dns": {"nameservers": "\n".join(told["dns"]["nameservers"])},
        "floating_ip": {"ipv4": {"active": "false"}},
        "reserved_ip": {"ipv4": {"active": "false"}},
        "tags": "\n".join(told["tags"]),
        "features": {"dhcp_enabled": "false"},
    }


def _dns_name(key: str) -> str:
    return "address" if key == "ip_address" else key


def _walk(tree: Any, parts: list[str]) -> Any:
    for part in parts:
        if not isinstance(tree, dict) or part not in tree:
            return None
        tree = tree[part]
    return tree
