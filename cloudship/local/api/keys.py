"""`/v2/account/keys`."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from cloudship.local.api.body import json_body
from cloudship.local.api.context import context
from cloudship.local.api.paging import page

router = APIRouter()
Body = Annotated[dict[str, Any], Depends(json_body)]


@router.get("/account/keys")
def sshKeys_list(request: Request) -> dict[str, Any]:  # noqa: N802  DigitalOcean's operation ids name routes
    """List the keys."""
    cloud = context(request)
    every = cloud.account.keys.all()
    shown = cloud.world.listed_names("keys", (one["fingerprint"] for one in every))
    return page(request, "ssh_keys", [one for one in every if one["fingerprint"] in shown])


@router.post("/account/keys", status_code=201)
def sshKeys_create(request: Request, body: Body) -> dict[str, Any]:  # noqa: N802
    """Add a key."""
    cloud = context(request)
    made = cloud.account.keys.create(body.get("name"), body.get("public_key"))
    cloud.world.made_named("keys", made["fingerprint"])
    return {"ssh_key": made}


@router.get("/account/keys/{key}")
def sshKeys_get(request: Request, key: str) -> dict[str, Any]:  # noqa: N802
    """Show a key."""
    return {"ssh_key": context(request).account.keys.get(key)}


@router.put("/account/keys/{key}")
def sshKeys_update(request: Request, key: str, body: Body) -> dict[str, Any]:  # noqa: N802
    """Rename a key."""
    return {"ssh_key": context(request).account.keys.rename(key, body.get("name"))}


@router.delete("/account/keys/{key}", status_code=204, response_class=Response)
def sshKeys_delete(request: Request, key: str) -> None:  # noqa: N802
    """Remove a key."""
    context(request).account.keys.delete(key)
