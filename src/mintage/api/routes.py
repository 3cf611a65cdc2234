"""The routes of the control plane, and their assembly. A new path of door 1 is a line here."""

from __future__ import annotations

from typing import Final

from starlette.routing import BaseRoute, Route

from mintage.api import auth, docs_pages, functions, manifest_keys, openapi, rpc, unknown
from mintage.api.auth_answers import auth_error
from mintage.api.door import Door, error_response
from mintage.api.endpoint import Endpoint, ErrorShape, Handler
from mintage.api.storage import storage_routes

FIRST_SEGMENTS: Final = frozenset(
    {"rest", "functions", "auth", "storage", ".well-known", "openapi.json", "docs"}
)
"""What the paths of the control plane begin with, where it shares a host with the resolver."""


def api_routes(door: Door) -> list[BaseRoute]:
    """Every route of the control plane; `nothing_here` answers all other paths."""

    def route(path: str, handler: Handler, shape: ErrorShape) -> Route:
        # An object, not a function: Starlette then leaves methods to the handler, which checks them
        # in the order of SPEC §2.
        return Route(path, Endpoint(door, handler, shape))

    return [
        route("/rest/v1/rpc/{name}", rpc.call_rpc, error_response),
        route("/functions/v1/mint-api-v1", functions.mint_api_v1, functions.function_error),
        route("/auth/v1/token", auth.token, auth_error),
        route("/auth/v1/user", auth.user, auth_error),
        route("/auth/v1/logout", auth.logout, auth_error),
        route("/auth/v1/settings", auth.settings, auth_error),
        route("/auth/v1/.well-known/jwks.json", auth.jwks, auth_error),
        route("/.well-known/mintage-keys.json", manifest_keys.manifest_keys, error_response),
        *storage_routes(door),
        route("/openapi.json", openapi.openapi_json, error_response),
        route("/docs", docs_pages.docs_page, error_response),
        route("/docs/{path:path}", docs_pages.docs_page, error_response),
    ]


def nothing_here(door: Door) -> Endpoint:
    """Answers 404 to what is no route's. No pattern would do: one for every path stops at a line's end."""
    return Endpoint(door, unknown.unknown_path, error_response)
