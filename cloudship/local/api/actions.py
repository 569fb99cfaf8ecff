"""`/v2/actions`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from cloudship.local.api.context import context
from cloudship.local.api.paging import page

router = APIRouter()


@router.get("/actions")
def actions_list(request: Request) -> dict[str, Any]:
    """List the account's actions."""
    return page(request, "actions", context(request).account.actions.all())


@router.get("/actions/{action_id}")
def actions_get(request: Request, action_id: int) -> dict[str, Any]:
    """Show one action."""
    return {"action": context(request).account.actions.get(action_id)}
