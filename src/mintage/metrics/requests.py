"""Requests of a door, counted by route and timed. Not here: the resolver's, which counts for itself."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

from mintage.meters import METHODS, REQUEST_DURATION, REQUESTS
from mintage.rpcs import RPCS

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


@dataclass(frozen=True, slots=True)
class Counted:
    """`app`, an application of Starlette's, as `door`. A request that breaks off counts as 4xx."""

    door: str
    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = perf_counter()
        status = 499

        async def send_counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, send_counted)
        finally:
            method = scope.get("method", "")
            route = route_of(scope)
            REQUESTS.labels(
                self.door, route, method if method in METHODS else "other", f"{status // 100}xx"
            ).inc()
            REQUEST_DURATION.labels(self.door, route).observe(perf_counter() - began)


def route_of(scope: Scope) -> str:
    """The pattern of the route that was found, with an RPC's own name; `none` for an unknown path."""
    pattern: str = getattr(scope.get("route"), "path", "none")
    name = scope.get("path_params", {}).get("name")
    return pattern.replace("{name}", name) if name in RPCS else pattern
