"""The console as an ASGI application: its pages by their addresses, and the files they are made of.

Not here: how a page is protected and its errors look (`endpoint`).
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send

from mintage.console import (
    activity,
    batches,
    brand_pages,
    exports,
    minting,
    overview,
    products,
    search,
    sign_in,
    units,
    webhook_pages,
)
from mintage.console.door import ConsoleDoor
from mintage.console.endpoint import Page, PlainPage, Reader, Writer
from mintage.console.render import HEADERS, STATIC_URL
from mintage.errors import ROUTE_NOT_FOUND, MintageError

_MEDIA_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
}
_OF_BRAND: Final = "/console/b/"
_FOR_EVER: Final = "public, max-age=31536000, immutable"


def build_console(door: ConsoleDoor) -> Starlette:
    """The console, of whole paths below /console."""
    routes = console_routes(door)
    inside = [route for route in routes if route.path.startswith(_OF_BRAND)]
    others = [route for route in routes if route not in inside]
    application = Starlette(routes=[*others, RoutesByFolder(inside)])
    application.router.redirect_slashes = False
    application.router.default = Page(door)
    return application


class RoutesByFolder(BaseRoute):
    """The pages of a brand. A path is compared with those of its folder only, not with all there are."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self.routes = routes
        self._by_folder: dict[str, list[Route]] = {}
        for route in routes:
            self._by_folder.setdefault(_folder(route.path), []).append(route)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Of the first that matches; `route` becomes that one, which metrics are counted by."""
        for route in self._by_folder.get(_folder(scope.get("path", "")), ()):
            match, child_scope = route.matches(scope)
            if match is not Match.NONE:
                return match, {**child_scope, "route": route}
        return Match.NONE, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await scope["route"].handle(scope, receive, send)


def _folder(path: str) -> str:
    """What follows the brand in `/console/b/<slug>/<folder>/…`."""
    return path.removeprefix(_OF_BRAND).split("/", 2)[1] if path.count("/") > 3 else ""


def console_routes(door: ConsoleDoor) -> list[Route]:
    """Every page of the console."""

    def inside(path: str, read: Reader | None = None, write: Writer | None = None) -> Route:
        return Route(f"{_OF_BRAND}{{slug}}/{path}", Page(door, read, write))

    return [
        Route("/console", Page(door, sign_in.home)),
        Route(sign_in.HOME, Page(door, sign_in.home)),
        Route("/console/sign-in", PlainPage(door, sign_in.sign_in)),
        Route("/console/sign-out", Page(door, write=sign_in.sign_out)),
        Route("/console/theme", Page(door, write=sign_in.set_theme)),
        Route(f"{STATIC_URL}/{{path:path}}", PlainPage(door, static_file)),
        inside("", overview.overview),
        inside("running", overview.running),
        inside("mint", minting.wizard, minting.mint),
        inside("mint/check", write=minting.check),
        inside("batches", batches.batches),
        inside("batches/{id}", batches.batch),
        inside("batches/{id}/progress", batches.progress),
        inside("batches/{id}/status", write=batches.set_status),
        inside("batches/{id}/retry", write=batches.retry),
        inside("units", units.units),
        inside("units/{id}", units.unit),
        inside("units/{id}/symbol.svg", units.symbol),
        inside("units/{id}/revoke", write=units.revoke),
        inside("exports", exports.exports),
        inside("exports/new", exports.new_export, exports.request_export),
        inside("exports/preview", write=exports.preview),
        inside("exports/of-pack/{id}", exports.of_pack),
        inside("exports/{id}", exports.group),
        inside("exports/{id}/progress", exports.group_progress),
        inside("download/{path:path}", exports.download),
        inside("products", products.products),
        inside("products/new", products.new_product, products.create_product),
        inside("products/import", products.import_form, products.import_products),
        inside("products/{id}", products.product),
        inside("products/{id}/update", write=products.update_product),
        inside("products/{id}/identifiers", write=products.set_identifier),
        inside("products/{id}/links", write=products.set_link),
        inside("products/{id}/links/remove", write=products.remove_link),
        inside("products/{id}/production-batches", write=products.create_product_batch),
        inside("products/{id}/production-batches/update", write=products.update_product_batch),
        inside("activity", activity.events),
        inside("activity.csv", activity.events_csv),
        inside("activity/scans", activity.scans),
        inside("activity/scans.csv", activity.scans_csv),
        inside("settings", brand_pages.settings, brand_pages.update_settings),
        inside("settings/members", write=brand_pages.set_member),
        inside("settings/members/remove", write=brand_pages.remove_member),
        inside("settings/keys", write=brand_pages.create_key),
        inside("settings/keys/rotate", write=brand_pages.rotate_key),
        inside("settings/keys/revoke", write=brand_pages.revoke_key),
        inside("settings/webhooks", webhook_pages.webhooks, webhook_pages.create_webhook),
        inside("settings/webhooks/remove", write=webhook_pages.remove_webhook),
        inside("settings/webhooks/redeliver", write=webhook_pages.redeliver),
        inside("search", search.search),
    ]


async def static_file(_door: ConsoleDoor, request: Request) -> Response:
    """A file of ours, by its exact name: nothing that a path could climb out of."""
    content = _files().get(request.path_params["path"])
    if content is None:
        raise MintageError(ROUTE_NOT_FOUND)
    extension = request.path_params["path"].rpartition(".")[2]
    is_pinned = "v" in request.query_params
    headers = HEADERS | {"cache-control": _FOR_EVER if is_pinned else "public, max-age=300"}
    return Response(content, headers=headers, media_type=_MEDIA_TYPES[extension])


def _files() -> dict[str, bytes]:
    if not _FILES:
        root = resources.files("mintage.console").joinpath("static")
        for folder, entries in (("", root.iterdir()), ("vendor/", (root / "vendor").iterdir())):
            for entry in entries:
                if entry.is_file() and entry.name.rpartition(".")[2] in _MEDIA_TYPES:
                    _FILES[f"{folder}{entry.name}"] = entry.read_bytes()
    return _FILES


_FILES: Final[dict[str, bytes]] = {}
