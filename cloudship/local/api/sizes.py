"""`/v2/sizes`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from cloudship.local.account import catalogue
from cloudship.local.api.paging import page

router = APIRouter()


@router.get("/sizes")
def sizes_list(request: Request) -> dict[str, Any]:
    """List the sizes with their prices."""
    return page(request, "sizes", catalogue.sizes())
