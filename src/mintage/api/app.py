"""Door 1: the control plane over HTTP as one ASGI application. Not here: serving it
(`mintage.app`)."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.middleware import Middleware

from mintage.api.door import Door
from mintage.api.middleware import AnyOrigin, RequestIds
from mintage.api.routes import api_routes, nothing_here


def build_api(door: Door) -> Starlette:
    """The application of `door`; it answers every path, unknown ones with 404 and a hint."""
    application = Starlette(
        routes=api_routes(door), middleware=[Middleware(RequestIds), Middleware(AnyOrigin)]
    )
    application.router.redirect_slashes = False
    application.router.default = nothing_here(door)
    return application
