"""`/v2/tags`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from cloudship.local.api.body import json_body
from cloudship.local.api.context import Context, context
from cloudship.local.api.paging import page
from cloudship.local.errors import unprocessable

router = APIRouter()
Body = Annotated[dict[str, Any], Depends(json_body)]


@router.get("/tags")
def tags_list(request: Request) -> dict[str, Any]:
    """List the tags."""
    cloud = context(request)
    every = cloud.account.tags.all()
    shown = cloud.world.listed_names("tags", (one["name"] for one in every))
    return page(request, "tags", [one for one in every if one["name"] in shown])


@router.post("/tags", status_code=201)
def tags_create(request: Request, body: Body) -> dict[str, Any]:
    """Make a tag."""
    cloud = context(request)
    with cloud.account.store.changing():
        new = cloud.account.tags.missing([body.get("name")])
        made = cloud.account.tags.create(body.get("name"))
        for tag in new:
            cloud.world.made_named("tags", tag)
    return {"tag": made}


@router.get("/tags/{name}")
def tags_get(request: Request, name: str) -> dict[str, Any]:
    """Show a tag."""
    return {"tag": context(request).account.tags.get(name)}


@router.delete("/tags/{name}", status_code=204, response_class=Response)
def tags_delete(request: Request, name: str) -> None:
    """Remove a tag."""
    context(request).account.tags.delete(name)


@router.post("/tags/{name}/resources", status_code=204, response_class=Response)
def tags_assign_resources(request: Request, name: str, body: Body) -> None:
    """Put a tag on droplets."""
    cloud = context(request)
    cloud.account.tags.get(name)
    _each(cloud, body, lambda droplet_id: cloud.account.tags.attach(name, droplet_id))


@router.delete("/tags/{name}/resources", status_code=204, response_class=Response)
def tags_unassign_resources(request: Request, name: str, body: Body) -> None:
    """Take a tag off droplets."""
    cloud = context(request)
    cloud.account.tags.get(name)
    _each(cloud, body, lambda droplet_id: cloud.account.tags.detach(name, droplet_id))


def _each(cloud: Context, body: dict[str, Any], act: Callable[[int], None]) -> None:
    """Act on every droplet that a body names, all or none."""
    resources = body.get("resources")
    if not isinstance(resources, list) or not all(isinstance(one, dict) for one in resources):
        raise unprocessable("resources must be a list of objects")
    named = [(one.get("resource_type"), str(one.get("resource_id"))) for one in resources]
    for kind, number in named:
        if kind != "droplet" or not number.isdecimal():
            raise unprocessable(f"{kind} {number} cannot be tagged here")
        cloud.account.droplets.status(int(number))
    with cloud.account.store.changing():
        for _, number in named:
            act(int(number))
