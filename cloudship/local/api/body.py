"""The JSON body of a request."""

from __future__ import annotations

import json
from typing import Any

from fastapi import Request

from cloudship.local.errors import Refusal

MOST_BYTES = 1 << 20


async def json_body(request: Request) -> dict[str, Any]:
    """
    Read a body that must be a JSON object; none at all is an empty one.

    Raises:
        Refusal: it is too large, not declared as JSON, or none.
    """
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > MOST_BYTES:
            raise Refusal(413, "request_entity_too_large", "The request body is too large.")
    if not data:
        return {}
    if "application/json" not in request.headers.get("content-type", ""):
        raise Refusal(415, "unsupported_media_type", "The request body must be application/json.")
    try:
        told = json.loads(data)
        json.dumps(told, ensure_ascii=False).encode()  # half a surrogate pair passes as JSON, and fails in any file
    except (ValueError, RecursionError) as error:
        raise Refusal(400, "bad_request", "There was a problem parsing the JSON in your request.") from error
    if not isinstance(told, dict):
        raise Refusal(400, "bad_request", "The request body must be a JSON object.")
    return told
