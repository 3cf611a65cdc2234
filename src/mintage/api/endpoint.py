"""One endpoint: a handler, and the shape in which its errors are answered.

Every error ends here: those of the API are answered, a database that is away is 503, and anything
else is logged once, without what callers sent, and answered 500. Not here: the handlers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mintage.api.door import Door, request_id_of
from mintage.db.connection import AWAY_ERRORS
from mintage.errors import INTERNAL, METHOD_NOT_ALLOWED, UNAVAILABLE, MintageError, unavailable
from mintage.telemetry import logger, place_of

Handler = Callable[[Door, Request], Awaitable[Response]]
ErrorShape = Callable[[MintageError], Response]

_CLIENT_GONE: Final = 499
_log = logger("api")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`handler` as an ASGI application for every method; HEAD is answered without the body."""

    door: Door
    handler: Handler
    shape: ErrorShape

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        response = await self._answer(request)
        if getattr(request.state, "closes_connection", False):
            response.headers["connection"] = "close"
        if request.method == "HEAD":
            response.body = b""
        try:
            await response(scope, receive, send)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001 - the answer has begun: its connection is cut
            log_unexpected("an answer broke off", error, request)

    async def _answer(self, request: Request) -> Response:
        try:
            return await self.handler(self.door, request)
        except MintageError as error:
            _log_failure(error, request)
            return self.shape(error)
        except ClientDisconnect:
            return Response(status_code=_CLIENT_GONE)
        except AWAY_ERRORS as error:
            log_unexpected("the database is away", error, request)
            return self.shape(unavailable())
        except Exception as error:  # noqa: BLE001 - the last place that can answer
            log_unexpected("an endpoint failed", error, request)
            return self.shape(MintageError(INTERNAL))


def log_unexpected(event: str, error: BaseException, request: Request) -> None:
    """Log `error` by its kind and place; its text may hold what a caller sent, and stays out."""
    _log.error(
        event,
        request_id=request_id_of(request),
        method=request.method,
        path=request.url.path,
        **place_of(error),
    )


def method_refusal(request: Request, allowed: tuple[str, ...]) -> MintageError | None:
    """405 unless the method is one of `allowed`, which its details and the Allow header name."""
    if request.method in allowed:
        return None
    names = ", ".join(allowed)
    sentence = METHOD_NOT_ALLOWED.sentence.format(allowed=names)
    return MintageError(METHOD_NOT_ALLOWED, message=sentence, details=names)


def _log_failure(error: MintageError, request: Request) -> None:
    if error.kind in {UNAVAILABLE, INTERNAL}:
        log_unexpected("a call failed", error.__cause__ or error, request)
