"""The resolver as an ASGI application (RESOLVER): requests in, answers out, each counted.

A redirect that activates nothing needs no task of its own: `take_over`. Not here: what a request says
(`asking`), what is answered (`responding`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Final

from mintage.db.connection import AWAY_ERRORS, BUSY_ERRORS
from mintage.guarded_protocol import Taken
from mintage.meters import RESOLVER
from mintage.resolver import answers
from mintage.resolver.answers import Answer, message_answer
from mintage.resolver.asking import Asking, read_request
from mintage.resolver.gathering import Found
from mintage.resolver.origins import TrustedProxies
from mintage.resolver.paths import route_of
from mintage.resolver.reading import Reader
from mintage.resolver.responding import Question, Resolver, Responder
from mintage.telemetry import logger

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["Resolver", "build_resolver"]

_RETRY_AFTER_S: Final = 1


def build_resolver(resolver: Resolver) -> ASGIApp:
    """The application. Whoever serves it runs `resolver.scan_buffer` and stops it after the last request."""
    return _Application(resolver)


class _Application:
    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._reader = Reader(resolver.database, resolver.replica, resolver.limits)
        self._proxies = TrustedProxies(resolver.trusted_proxies)
        self._responder = Responder(resolver, self._reader)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
            return
        if scope["type"] != "http":
            raise RuntimeError(
                "the resolver answers HTTP; its server's lifespan is the composition's"
            )
        began = perf_counter()
        answer = await self._respond(scope)
        await answer.send(scope, send)
        _count(scope, answer, began)

    def take_over(self, scope: Scope, taken: Taken) -> bool:
        """Take a GET over: a redirect that activates nothing needs no task (`guarded_protocol.Taken`)."""
        if scope["method"] != "GET" or scope["type"] != "http" or not self._reader.can_ask:
            return False
        began = perf_counter()
        asking = read_request(scope, self._proxies)
        try:
            question = self._responder.question(asking)
            if isinstance(question, Question):
                told = partial(self._told, scope, taken, began, question)
                self._reader.ask(asking.origin.host, question.key, told)
                return True
            answer = question
        except Exception as error:  # noqa: BLE001 - as in `_respond`
            answer = _failed(asking, error)
        taken.hand_over(partial(self._send, began, asking, answer))
        return True

    def _told(
        self,
        scope: Scope,
        taken: Taken,
        began: float,
        question: Question,
        found: Found | BaseException | None,
    ) -> None:
        """Answer at once, or in a task where more is to be asked or the answer has a body."""
        answer: Answer | Awaitable[Answer]
        try:
            if isinstance(found, BaseException):
                raise found
            answer = self._responder.answer(question, found)
        except Exception as error:  # noqa: BLE001 - as in `_respond`
            answer = _failed(question.asking, error)
        except asyncio.CancelledError:
            return
        if isinstance(answer, Answer) and answer.lines and taken.write(answer.status, answer.lines):
            _count(scope, answer, began)
            return
        taken.hand_over(partial(self._send, began, question.asking, answer))

    async def _send(
        self,
        began: float,
        asking: Asking,
        answer: Answer | Awaitable[Answer],
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        if not isinstance(answer, Answer):
            try:
                answer = await answer
            except Exception as error:  # noqa: BLE001 - as in `_respond`
                answer = _failed(asking, error)
        await answer.send(scope, send)
        _count(scope, answer, began)

    async def _respond(self, scope: Scope) -> Answer:
        if scope["method"] == "OPTIONS":
            return answers.options_answer()
        asking = read_request(scope, self._proxies)
        if asking.method not in {"GET", "HEAD"}:
            return message_answer(405, asking.language, "method_not_allowed")
        try:
            question = self._responder.question(asking)
            if isinstance(question, Answer):
                return question
            answer = self._responder.answer(
                question, await self._reader.find(asking.origin.host, question.key)
            )
            return answer if isinstance(answer, Answer) else await answer
        except Exception as error:  # noqa: BLE001 - the last catch
            return _failed(asking, error)


def _failed(asking: Asking, error: Exception) -> Answer:
    if isinstance(error, (*AWAY_ERRORS, *BUSY_ERRORS)):
        return message_answer(503, asking.language, "unavailable", retry_after_s=_RETRY_AFTER_S)
    # The last catch: logged here, told to nobody.
    logger("resolver").error("request failed", exc_info=error)
    return message_answer(500, asking.language, "internal")


def _count(scope: Scope, answer: Answer, began: float) -> None:
    RESOLVER.answered(
        route_of(scope["path"]), scope["method"], answer.status, perf_counter() - began
    )
