"""`/v2/account`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from cloudship.local.account.droplets import LIMIT
from cloudship.local.api.context import context

router = APIRouter()


@router.get("/account")
def account_get(request: Request) -> dict[str, Any]:
    """Show the account."""
    team = {"uuid": "5df3e3004a17e242b7c20ca6c9fc25b701a47ece", "name": "local"}
    return {
        "account": {
            "droplet_limit": context(request).world.droplet_limit(LIMIT),
            "floating_ip_limit": 3,
            "email": "local@cloudship.invalid",
            "name": "local cloud",
            "uuid": "b6fr89dbf6d9156cace5f3c78dc9851d957381ef",
            "email_verified": True,
            "status": "active",
            "status_message": "",
            "team": team,
        }
    }
