"""What every route works on."""

from __future__ import annotations

from dataclasses import dataclass, field

from fastapi import Request

from cloudship.local.account import Account
from cloudship.local.account.clock import CloudClock
from cloudship.local.bodies import Bodies
from cloudship.local.faults.book import FaultBook
from cloudship.local.faults.record import Record
from cloudship.local.faults.world import World
from cloudship.local.machines.base import Driver


@dataclass(frozen=True)
class Context:
    """One local cloud, as its routes see it."""

    account: Account
    bodies: Bodies
    driver: Driver
    token: str
    clock: CloudClock
    faults: FaultBook
    world: World
    record: Record
    image_notes: dict[str, str | None] = field(default_factory=dict)


def context(request: Request) -> Context:
    """Find the local cloud that a request is for."""
    found: Context = request.app.state.context
    return found
