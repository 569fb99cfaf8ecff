"""
`/_cloudship`: ours, not DigitalOcean's. Time, transitions, faults, and the requests that were seen; same token.

Documented in `docs/local-cloud.md`.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cloudship.local.api.body import json_body
from cloudship.local.api.context import Context, context
from cloudship.local.errors import not_found, unprocessable
from cloudship.local.faults import operations
from cloudship.local.faults.book import Entry
from cloudship.local.faults.values import ADAPTER
from cloudship.local.transitions import Transitions

router = APIRouter()
Body = Annotated[dict[str, Any], Depends(json_body)]
MOST_AT_ONCE = 100 * 365.25 * 86_400  # seconds: what is further off was hardly meant


class Time(BaseModel):
    """What to do with the account's time."""

    model_config = ConfigDict(extra="forbid")

    advance: float = Field(default=0.0, ge=0, le=MOST_AT_ONCE, allow_inf_nan=False)  # seconds
    frozen: bool | None = None  # None: as it is


@router.get("/status")
def status(request: Request) -> dict[str, Any]:
    """Say how this local cloud is set."""
    cloud = context(request)
    return {
        "driver": cloud.driver.name,
        "droplets": len(cloud.account.droplets.ids()),
        "transitions": cloud.bodies.transitions.shown,
        "time": _time(cloud),
        "faults": len(cloud.faults.all()),
    }


@router.post("/reset", status_code=204, response_class=Response)
def reset(request: Request) -> None:
    """Destroy all droplets, keys, tags and actions; forget faults and requests; show the machine's time again."""
    cloud = context(request)
    cloud.faults.clear()
    cloud.clock.reset()
    cloud.bodies.clear()
    cloud.account.clear()
    cloud.world.forget()
    cloud.record.clear()


@router.get("/time")
def time(request: Request) -> dict[str, Any]:
    """Say the account's time."""
    return _time(context(request))


@router.post("/time")
def set_time(request: Request, body: Body) -> dict[str, Any]:
    """Let time pass at once, stop it, or let it go on."""
    asked = _read(Time, body)
    clock = context(request).clock
    if asked.advance:  # first: where it is refused nothing else is done either
        try:
            clock.advance(asked.advance)
        except ValueError as error:
            raise unprocessable(f"advance: {error}") from None
    if asked.frozen is not None:
        (clock.freeze if asked.frozen else clock.thaw)()
    return _time(context(request))


@router.get("/transitions")
def transitions(request: Request) -> dict[str, Any]:
    """Say how long things take."""
    return {"transitions": context(request).bodies.transitions.shown}


@router.put("/transitions")
def set_transitions(request: Request, body: Body) -> dict[str, Any]:
    """Say how long things shall take: `immediate`, `realistic`, or seconds."""
    try:
        context(request).bodies.transitions = Transitions.parse(str(body.get("transitions")))
    except ValueError as error:
        raise unprocessable(str(error)) from None
    return transitions(request)


@router.get("/faults")
def faults(request: Request) -> dict[str, Any]:
    """List the faults, the spent ones included."""
    return {"faults": [_shown(one) for one in context(request).faults.all()]}


@router.post("/faults", status_code=201)
def add_fault(request: Request, body: Body) -> dict[str, Any]:
    """Inject a fault."""
    try:
        fault = ADAPTER.validate_python(body)
    except ValidationError as error:
        raise unprocessable(_first(error)) from None
    wanted = getattr(fault, "operation", None)
    if wanted is not None and (why := operations.lacking(wanted, request.app.state.operations)) is not None:
        raise unprocessable(f"operation: {why}")
    return {"id": context(request).faults.add(fault)}


@router.delete("/faults", status_code=204, response_class=Response)
def clear_faults(request: Request) -> None:
    """Forget all faults."""
    context(request).faults.clear()


@router.delete("/faults/{number}", status_code=204, response_class=Response)
def clear_fault(request: Request, number: int) -> None:
    """Forget one fault."""
    if not context(request).faults.clear(number):
        raise not_found()


@router.get("/requests")
def requests(request: Request) -> dict[str, Any]:
    """List the requests that were seen, oldest first; those of this API are not among them."""
    return {"requests": context(request).record.all()}


@router.delete("/requests", status_code=204, response_class=Response)
def clear_requests(request: Request) -> None:
    """Forget the requests."""
    context(request).record.clear()


def _time(cloud: Context) -> dict[str, Any]:
    return {"now": cloud.clock.now(), "unix": cloud.clock.time(), "frozen": cloud.clock.frozen}


def _shown(entry: Entry) -> dict[str, Any]:
    told = entry.fault.model_dump(mode="json")
    return {"id": entry.number, **told, "met": entry.met, "struck": entry.struck, "spent": entry.spent}


def _read(kind: type[Time], body: dict[str, Any]) -> Time:
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        raise unprocessable(_first(error)) from None


def _first(error: ValidationError) -> str:
    told = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in told["loc"])
    return f"{where}: {told['msg']}" if where else str(told["msg"])
