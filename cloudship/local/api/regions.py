"""`/v2/regions`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from cloudship.local.account import catalogue
from cloudship.local.api.paging import page

router = APIRouter()


@router.get("/regions")
def regions_list(request: Request) -> dict[str, Any]:
    """List the regions."""
    return page(request, "regions", catalogue.regions())
