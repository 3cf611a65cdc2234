"""What goes with every answer of the control plane: its request id, and CORS for any origin.

CORS without credentials (SPEC §5): a browser's page may call with a token that it holds, never with
a cookie. Every OPTIONS is answered here. Not here: errors' bodies (`endpoint`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HEADER_LIST: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~ ,-]{1,1000}")
_METHODS: Final = "GET, HEAD, POST, OPTIONS"
_ORDINARY_HEADERS: Final = (
    "authorization, apikey, content-type, idempotency-key, x-client-info, x-request-id"
)
_EXPOSED: Final = "x-request-id, retry-after, content-range, content-disposition, etag, deprecation"
_PREFLIGHT_MAX_AGE_S: Final = 7200


@dataclass(frozen=True, slots=True)
class RequestIds:
    """Sets `request.state.request_id` (theirs if it is well-formed) and the header of the
    answer."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            await self.app(scope, receive, send_with_id)


@dataclass(frozen=True, slots=True)
class AnyOrigin:
    """CORS: any origin, no credentials; a preflight is allowed the headers that it asks for."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_cors(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["access-control-allow-origin"] = "*"
                headers["access-control-expose-headers"] = _EXPOSED
            await send(message)

        if scope["method"] == "OPTIONS":
            await _preflight(Headers(scope=scope))(scope, receive, send_with_cors)
            return
        await self.app(scope, receive, send_with_cors)


def _preflight(headers: Headers) -> Response:
    asked_for = headers.get("access-control-request-headers", "")
    is_well_formed = _HEADER_LIST.fullmatch(asked_for) is not None
    return Response(
        status_code=204,
        headers={
            "access-control-allow-methods": _METHODS,
            "access-control-allow-headers": asked_for if is_well_formed else _ORDINARY_HEADERS,
            "access-control-max-age": str(_PREFLIGHT_MAX_AGE_S),
            "vary": "Access-Control-Request-Headers",
        },
    )
