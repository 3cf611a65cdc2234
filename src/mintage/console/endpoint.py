"""One page: who may see it, the form token of what changes something, and how its errors look.

Every error ends here: those of the platform are pages with their status, a database that is away is 503, and
anything else is logged once and answered 500. Not here: the pages.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from mintage.console.cookies import Cookies
from mintage.console.door import ConsoleDoor
from mintage.console.forms import Form, read_form
from mintage.console.render import error_page, go_to, url_of
from mintage.console.visit import Visit, visit_of
from mintage.db.connection import AWAY_ERRORS
from mintage.errors import (
    FORBIDDEN,
    INTERNAL,
    METHOD_NOT_ALLOWED,
    ROUTE_NOT_FOUND,
    UNAVAILABLE,
    MintageError,
    unavailable,
)
from mintage.telemetry import logger, place_of

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

Reader = Callable[[Visit], Awaitable[Response]]
Writer = Callable[[Visit, Form], Awaitable[Response]]
Handler = Callable[[Request, list[Visit]], Awaitable[Response]]
"""Answers a request, and notes in the list whose visit it has turned out to be."""
SIGN_IN: Final = "/console/sign-in"
_CLIENT_GONE: Final = 499
_log = logger("console")


@dataclass(frozen=True, slots=True)
class Page:
    """A page of those who have signed in: `read` answers GET and HEAD, `write` POST."""

    door: ConsoleDoor
    read: Reader | None = None
    write: Writer | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await respond(self._answer, scope, receive, send)

    async def _answer(self, request: Request, seen: list[Visit]) -> Response:
        visit = await visit_of(self.door, request)
        if visit is None:
            wanted = request.url.path if request.method == "GET" else None
            return go_to(request, url_of(SIGN_IN, next=wanted))
        seen.append(visit)
        slug = request.path_params.get("slug")
        if slug is not None:
            visit = visit.in_brand(slug)
            seen.append(visit)
        await visit.count()
        if request.method in {"GET", "HEAD"} and self.read is not None:
            return await self.read(visit)
        if request.method == "POST" and self.write is not None:
            require_same_origin(self.door, request)
            form = await read_form(request, self.door.platform.limits)
            cookies = Cookies(self.door.secrets, self.door.is_https)
            given = request.headers.get("x-form-token") or form.fields.get("form_token", "")
            if not cookies.is_form_token(visit.session, given):
                raise MintageError(FORBIDDEN)
            return await self.write(visit, form)
        return self._not_like_this(request, visit)

    def _not_like_this(self, request: Request, visit: Visit) -> Response:
        """405 with the methods that there are (RFC 9110 §15.5.6); 404 where there is nothing at all."""
        allowed = ["GET", "HEAD"] if self.read is not None else []
        allowed += ["POST"] if self.write is not None else []
        if not allowed:
            raise MintageError(ROUTE_NOT_FOUND)
        refused = MintageError(METHOD_NOT_ALLOWED, message="There is nothing of this method here")
        response = error_page(request, visit, refused)
        response.headers["allow"] = ", ".join(allowed)
        return response


@dataclass(frozen=True, slots=True)
class PlainPage:
    """A page of nobody in particular, for every method."""

    door: ConsoleDoor
    handler: Callable[[ConsoleDoor, Request], Awaitable[Response]]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def answer(request: Request, _seen: list[Visit]) -> Response:
            return await self.handler(self.door, request)

        await respond(answer, scope, receive, send)


async def respond(handler: Handler, scope: Scope, receive: Receive, send: Send) -> None:
    """Send the answer of `handler`; an error becomes a page, in the visit that was known by then."""
    request = Request(scope, receive, send)
    response = await _response(handler, request)
    if getattr(request.state, "closes_connection", False):
        response.headers["connection"] = "close"
    if request.method == "HEAD":
        if isinstance(response, StreamingResponse):
            response.body_iterator = _nothing()  # Its rows would be read for nobody.
        response.body = b""
    try:
        await response(scope, receive, send)
    except ClientDisconnect:
        return


async def _nothing() -> AsyncIterator[bytes]:
    yield b""


async def _response(handler: Handler, request: Request) -> Response:
    seen: list[Visit] = []
    try:
        if "\0" in request.scope["path"]:  # No text of the database has one.
            raise MintageError(ROUTE_NOT_FOUND)
        return await handler(request, seen)
    except MintageError as error:
        if error.kind in {UNAVAILABLE, INTERNAL}:
            _log_unexpected("a page failed", error.__cause__ or error, request)
        failure = error
    except ClientDisconnect:
        return Response(status_code=_CLIENT_GONE)
    except AWAY_ERRORS as error:
        _log_unexpected("the database is away", error, request)
        failure = unavailable()
    except Exception as error:  # noqa: BLE001 - the last place that can answer
        _log_unexpected("a page failed", error, request)
        failure = MintageError(INTERNAL)
    return error_page(request, seen[-1] if seen else None, failure)


def require_same_origin(door: ConsoleDoor, request: Request) -> None:
    """403 for a form that another site's page has sent (Origin and Fetch metadata, RFC 6454, W3C)."""
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site", "same-origin")
    ours = {request.headers.get("host", "").lower(), urlsplit(door.settings.platform_url).netloc}
    is_ours = origin is None or _netloc(origin) in ours
    if not is_ours or site not in {"same-origin", "none"}:
        raise MintageError(FORBIDDEN)


def _netloc(origin: str) -> str | None:
    """Host and port of an origin; None for what is none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


def _log_unexpected(event: str, error: BaseException, request: Request) -> None:
    _log.error(
        event,
        request_id=request.state.request_id,
        method=request.method,
        path=request.url.path,
        **place_of(error),
    )
