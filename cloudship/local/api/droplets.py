"""`/v2/droplets` and the actions below it."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from cloudship.local.account import catalogue
from cloudship.local.account.droplets import LIMIT
from cloudship.local.api.body import json_body
from cloudship.local.api.context import Context, context
from cloudship.local.api.paging import page
from cloudship.local.errors import Refusal, unprocessable
from cloudship.local.faults.values import By

router = APIRouter()
Body = Annotated[dict[str, Any], Depends(json_body)]


@router.post("/droplets", status_code=202)
def droplets_create(request: Request, body: Body) -> dict[str, Any]:
    """Make one droplet, or up to ten with `names`."""
    cloud = context(request)
    images = catalogue.images(cloud.image_notes)
    with cloud.account.store.changing():
        new = cloud.account.tags.missing(body.get("tags"))
        ids = cloud.account.droplets.create(
            body, images, lambda asked, present: cloud.world.admit(asked, present, LIMIT)
        )
        work = cloud.bodies.begin(ids)
        shown = [cloud.account.droplets.get(one) for one in ids]  # as they are now: new, without networks
        for tag in new:
            cloud.world.made_named("tags", tag)
    cloud.bodies.create(work)
    links = [_link(request, one.action_id) for one in work]
    if "names" in body:
        return {"droplets": shown, "links": {"actions": links}}
    return {"droplet": shown[0], "links": {"actions": links}}


@router.get("/droplets")
def droplets_list(
    request: Request,
    tag_name: str | None = None,
    name: str | None = None,
    type: str | None = None,  # noqa: A002  DigitalOcean's own word
) -> dict[str, Any]:
    """List the droplets, by tag or by name."""
    if tag_name is not None and (name is not None or type is not None):
        raise unprocessable("tag_name cannot be combined with name or type")
    cloud = context(request)
    found = [] if type == "gpus" else cloud.account.droplets.all(tag=tag_name, name=name)
    by = By.TAG if tag_name is not None else By.NAME if name is not None else None
    ids = [one["id"] for one in found if cloud.world.is_listed(one["id"], by=by)]
    for one in ids:
        cloud.bodies.refresh(one)
    return page(request, "droplets", [cloud.world.dressed(one) for one in cloud.account.droplets.still(ids)])


@router.delete("/droplets", status_code=204, response_class=Response)
def droplets_destroy_byTag(request: Request, tag_name: str | None = None) -> None:  # noqa: N802
    """Destroy every droplet that carries a tag; without one nothing is destroyed."""
    if not tag_name:
        raise unprocessable("tag_name is required")
    cloud = context(request)
    for one in cloud.account.tags.droplets(tag_name):
        with suppress(Refusal):  # somebody else destroyed it first
            _destroy(cloud, one)


@router.get("/droplets/{droplet_id}")
def droplets_get(request: Request, droplet_id: int) -> dict[str, Any]:
    """Show a droplet."""
    cloud = context(request)
    cloud.world.see(droplet_id)
    cloud.bodies.refresh(droplet_id)
    return {"droplet": cloud.world.dressed(cloud.account.droplets.get(droplet_id))}


@router.delete("/droplets/{droplet_id}", status_code=204, response_class=Response)
def droplets_destroy(request: Request, droplet_id: int) -> None:
    """Destroy a droplet."""
    cloud = context(request)
    cloud.world.see(droplet_id)
    _destroy(cloud, droplet_id)


@router.get("/droplets/{droplet_id}/actions")
def dropletActions_list(request: Request, droplet_id: int) -> dict[str, Any]:  # noqa: N802
    """List what was asked of a droplet."""
    cloud = context(request)
    cloud.account.droplets.status(droplet_id)
    return page(request, "actions", cloud.account.actions.all(droplet_id=droplet_id))


@router.post("/droplets/{droplet_id}/actions", status_code=201)
def dropletActions_post(request: Request, droplet_id: int, body: Body) -> dict[str, Any]:  # noqa: N802
    """Ask something of a droplet."""
    cloud = context(request)
    return {"action": _action(cloud, cloud.bodies.act(droplet_id, str(body.get("type"))))}


@router.get("/droplets/{droplet_id}/actions/{action_id}")
def dropletActions_get(request: Request, droplet_id: int, action_id: int) -> dict[str, Any]:  # noqa: N802
    """Show one action of a droplet."""
    return {"action": context(request).account.actions.get(action_id, droplet_id=droplet_id)}


def _destroy(cloud: Context, droplet_id: int) -> None:
    cloud.bodies.check_free(droplet_id)
    if cloud.world.deleted(droplet_id):
        cloud.bodies.destroy(droplet_id)


def _action(cloud: Context, number: int) -> dict[str, Any]:
    return cloud.account.actions.get(number)


def _link(request: Request, number: int) -> dict[str, Any]:
    href = str(request.base_url.replace(path=f"/v2/actions/{number}"))
    return {"id": number, "rel": "create", "href": href}
