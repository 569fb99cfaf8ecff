"""Answers of the API as they may be one day: changed, repeated, refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from campaign.relay import Answer, Exchange, changing


def droplets(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Answer:
    """Change every droplet that is told of."""

    def whole(told: Any) -> Any:
        if isinstance(told.get("droplet"), dict):
            told["droplet"] = change(told["droplet"])
        if isinstance(told.get("droplets"), list):
            told["droplets"] = [change(one) for one in told["droplets"]]
        return told

    return changing(whole)


def everywhere(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Answer:
    """Change every object in an answer, the innermost first."""

    def walk(told: Any) -> Any:
        if isinstance(told, dict):
            return change({key: walk(value) for key, value in told.items()})
        return [walk(one) for one in told] if isinstance(told, list) else told

    return changing(walk)


def moving() -> Answer:
    """Give a droplet another address each time that it is told of."""
    count = iter(range(1, 250))

    def change(one: dict[str, Any]) -> dict[str, Any]:
        public = {
            "ip_address": f"10.9.8.{next(count)}",
            "netmask": "255.0.0.0",
            "gateway": "10.0.0.1",
            "type": "public",
        }
        return {**one, "networks": {"v4": [public], "v6": []}}

    return droplets(change)


def listed_again(times: int) -> Answer:
    """Go on listing droplets that were deleted, a few times, as a listing that lags does."""
    known: dict[int, dict[str, Any]] = {}
    left: dict[int, int] = {}

    def answer(exchange: Exchange) -> bytes:
        if exchange.method == "DELETE" and exchange.path.startswith("/v2/droplets/"):
            left[int(exchange.path.rsplit("/", 1)[1].partition("?")[0])] = times
        if exchange.method != "GET" or not exchange.path.startswith("/v2/droplets/?"):
            return exchange.written()
        told = json.loads(exchange.body)
        known.update({one["id"]: one for one in told["droplets"]})
        there = {one["id"] for one in told["droplets"]}
        again = [number for number, more in left.items() if more > 0 and number in known and number not in there]
        for number in again:
            left[number] -= 1
        told["droplets"] += [known[number] for number in again]
        told["meta"]["total"] += len(again)
        return exchange.written(json.dumps(told).encode())

    return answer


def without_images(gone: tuple[str, ...]) -> Answer:
    """Have some images no longer."""

    def answer(exchange: Exchange) -> bytes:
        if not exchange.path.startswith("/v2/images/"):
            return exchange.written()
        if exchange.path.rsplit("/", 1)[1].partition("?")[0] in gone:
            return exchange.written(b'{"id": "not_found", "message": "gone"}', status=404)
        told = json.loads(exchange.body)
        if "images" in told:
            told["images"] = [one for one in told["images"] if one["slug"] not in gone]
            told["meta"]["total"] = len(told["images"])
        return exchange.written(json.dumps(told).encode())

    return answer


def listing(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Answer:
    """Change every page of a listing."""
    return changing(lambda told: change(told) if isinstance(told, dict) and "meta" in told else told)


def linked(told: dict[str, Any]) -> dict[str, Any]:
    """Let every page lead to itself."""
    return {**told, "links": {"pages": {"next": "https://api.digitalocean.com/v2/droplets?page=1", "last": "x"}}}


def refusing(method: str, status: int, message: str, path: str = "/v2/") -> Answer:
    """Refuse one method below a path."""

    def answer(exchange: Exchange) -> bytes:
        if exchange.method != method or not exchange.path.startswith(path):
            return exchange.written()
        return exchange.written(json.dumps({"id": "x", "message": message}).encode(), status=status)

    return answer


def once(first: Answer, times: int) -> Answer:
    """Meet only the first so many of what a fault would meet."""
    left = [times]

    def answer(exchange: Exchange) -> bytes:
        spoilt = first(exchange) if left[0] else exchange.written()
        left[0] -= spoilt != exchange.written()
        return spoilt

    return answer
