"""`/v2/images`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from cloudship.local.account import catalogue
from cloudship.local.api.context import context
from cloudship.local.api.paging import page
from cloudship.local.errors import not_found

router = APIRouter()


@router.get("/images")
def images_list(
    request: Request,
    type: str | None = None,  # noqa: A002  DigitalOcean's own word
    private: bool = False,  # noqa: FBT001, FBT002  a query parameter
    tag_name: str | None = None,
) -> dict[str, Any]:
    """List the images; there are no applications, and none of one's own yet."""
    nothing = type == "application" or private or tag_name is not None
    return page(request, "images", [] if nothing else catalogue.images(context(request).image_notes))


@router.get("/images/{image}")
def images_get(request: Request, image: str) -> dict[str, Any]:
    """Show an image by id or slug."""
    for one in catalogue.images(context(request).image_notes):
        if image in (one["slug"], str(one["id"])):
            return {"image": one}
    raise not_found()
