"""`/metrics`: on a listener of its own, or on the doors' port for who has the token (SECURITY).

Not here: what is told (`reading`), and what is counted (`meters`).
"""

from __future__ import annotations

import asyncio
import hmac
from typing import TYPE_CHECKING, Final

from prometheus_client.exposition import choose_encoder
from starlette.datastructures import Headers
from starlette.responses import Response

from mintage.health import HEALTH_PATHS
from mintage.metrics.reading import Metered, read

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

METRICS_PATH: Final = "/metrics"
_METHODS: Final = ("GET", "HEAD")


class Metrics:
    """The exposition as an ASGI application. With a `token`, only who sends it as a bearer is answered."""

    def __init__(self, metered: Metered, token: str | None = None) -> None:
        self._metered = metered
        self._token = token
        self._reading = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answer(scope["method"], Headers(scope=scope))
        if scope["method"] == "HEAD":
            response.body = b""
        await response(scope, receive, send)

    async def _answer(self, method: str, headers: Headers) -> Response:
        if not self._is_allowed(headers):
            return Response(
                "Send the metrics' token as Authorization: Bearer.\n",
                401,
                {"www-authenticate": "Bearer", "cache-control": "no-store"},
                "text/plain",
            )
        if method not in _METHODS:
            return Response(status_code=405, headers={"allow": ", ".join(_METHODS)})
        # Whoever asks again and again has the database asked once at a time.
        async with self._reading:
            families = await read(self._metered)
        encode, media_type = choose_encoder(headers.get("accept", ""))
        content = await asyncio.to_thread(encode, families)
        return Response(content, headers={"content-type": media_type, "cache-control": "no-store"})

    def _is_allowed(self, headers: Headers) -> bool:
        if self._token is None:
            return True
        scheme, _, given = headers.get("authorization", "").partition(" ")
        is_same = hmac.compare_digest(given.strip().encode(), self._token.encode())
        return scheme.lower() == "bearer" and is_same


class OwnListener:
    """What the listener of its own answers: `/metrics`, `/healthz`, `/readyz`."""

    def __init__(self, metrics: ASGIApp, health: ASGIApp) -> None:
        self._metrics = metrics
        self._health = health

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == METRICS_PATH:
            await self._metrics(scope, receive, send)
        elif scope["path"] in HEALTH_PATHS:
            await self._health(scope, receive, send)
        else:
            sentence = "Here are /metrics, /healthz and /readyz.\n"
            await Response(sentence, 404, media_type="text/plain")(scope, receive, send)
