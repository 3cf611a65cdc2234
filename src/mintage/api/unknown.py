"""Paths that do not exist: 404 with a hint, in the shape that the client of that path reads."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from mintage.api.auth_answers import auth_error
from mintage.api.door import Door, error_response
from mintage.api.endpoint import ErrorShape
from mintage.api.functions import function_error
from mintage.api.storage_answers import storage_error
from mintage.errors import ROUTE_NOT_FOUND, MintageError

# The first that a path begins with holds.
_HINTS: Final = (
    ("/rest/v1/rpc", "name a function: POST /rest/v1/rpc/<name>; docs/api lists every function"),
    (
        "/rest/v1",
        "tables are not exposed: call a function, POST /rest/v1/rpc/<name>; docs/api lists them",
    ),
    ("/graphql/v1", "there is no GraphQL: call a function, POST /rest/v1/rpc/<name>"),
    ("/realtime/v1", "there is no realtime: ask again with list_mint_events or list_mint_batches"),
    ("/functions/v1", "the one function is POST /functions/v1/mint-api-v1"),
    (
        "/auth/v1/signup",
        "nobody signs up: an owner or admin calls set_brand_member, or run mintage user",
    ),
    (
        "/auth/v1",
        "there are token, user, logout, settings and .well-known/jwks.json under /auth/v1",
    ),
    (
        "/storage/v1",
        "packs are signed and downloaded, never uploaded, moved or listed: list_payload_packs "
        "names them, POST /storage/v1/object/sign/payload-packs/<path> signs one",
    ),
)
_SHAPES: Final[tuple[tuple[str, ErrorShape], ...]] = (
    ("/auth/v1", auth_error),
    ("/functions/v1", function_error),
    ("/storage/v1", storage_error),
)
_ELSEWHERE: Final = "the control plane is under /rest/v1/rpc, /functions/v1, /storage/v1, /auth/v1"


async def unknown_path(_door: Door, request: Request) -> Response:
    """404 for every path that is no other route's."""
    path = request.url.path
    hint = next((hint for start, hint in _HINTS if path.startswith(start)), _ELSEWHERE)
    if path.startswith("/rest/v1"):
        return error_response(MintageError(ROUTE_NOT_FOUND, hint=hint))
    # The clients of the other paths show their users the message alone.
    error = MintageError(ROUTE_NOT_FOUND, message=f"{ROUTE_NOT_FOUND.sentence}; {hint}", hint=hint)
    shape = next((shape for start, shape in _SHAPES if path.startswith(start)), error_response)
    return shape(error)
