"""The resolver as an ASGI application: from a request to a redirect, a page, a scan (RESOLVER).

It needs the database alone, and calls `operations` directly: there is no caller to authorize, and the
role `mintage_resolver` sees one brand, the host's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Final
from urllib.parse import quote
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from mintage.db.connection import AWAY_ERRORS, Database, DatabaseRole, Identity
from mintage.operations.call import ANONYMOUS, Call
from mintage.operations.resolving import (
    BrandHost,
    Key,
    ProductId,
    ProductShown,
    Subject,
    find_brand_host,
    find_product_shown,
    resolve,
)
from mintage.operations.scanning import activate, settled_outcome
from mintage.resolver.agents import AgentClass, agent_class
from mintage.resolver.answers import (
    GENUINE_PARAMETER,
    message_answer,
    options_answer,
    page_answer,
    product_url,
    redirect,
)
from mintage.resolver.genuine_tokens import GenuineTokens
from mintage.resolver.misses import MissLimit
from mintage.resolver.origins import Origin, TrustedProxies
from mintage.resolver.pages import message_page, not_issued_page, preview_page, product_page
from mintage.resolver.paths import Asked, asked_for
from mintage.resolver.scan_buffer import ScanBuffer, SeenScan
from mintage.resolver.texts import Language, language_of
from mintage.rules.lifecycle import ScanOutcome
from mintage.rules.violation import RuleViolation
from mintage.settings import Limits
from mintage.telemetry import logger

_RETRY_AFTER_S: Final = 1


@dataclass(frozen=True, slots=True)
class Resolver:
    """What resolving needs. `pinned_now` is for tests only: the clock stands still.

    `product_page_key` signs the tokens of product pages (32 bytes or more, used for nothing else).
    """

    database: Database
    limits: Limits
    scan_buffer: ScanBuffer
    product_page_key: bytes = field(repr=False)
    trusted_proxies: frozenset[str] = frozenset()
    pinned_now: datetime | None = None


def build_resolver(resolver: Resolver) -> ASGIApp:
    """The application. Whoever serves it runs `resolver.scan_buffer` and stops it after the last request."""
    return _Application(resolver)


@dataclass(frozen=True, slots=True)
class _Asking:
    """One request, read."""

    request: Request
    origin: Origin
    language: Language
    path: str
    query: bytes
    agent: AgentClass
    user_agent: str

    @property
    def is_scan(self) -> bool:
        """Only a GET of a person, or of a program that may stand for one, is a scan."""
        return self.request.method == "GET" and self.agent != "bot"


class _Application:
    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._proxies = TrustedProxies(resolver.trusted_proxies)
        self._tokens = GenuineTokens(resolver.product_page_key)
        self._misses = MissLimit()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
            return
        if scope["type"] != "http":
            raise RuntimeError(
                "the resolver answers HTTP; its server's lifespan is the composition's"
            )
        request = Request(scope)
        response = await self._respond(request)
        if request.method == "HEAD":
            response.body = b""  # The headers, Content-Length among them, are GET's.
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        language = language_of(request.headers.get("accept-language", ""))
        if request.method == "OPTIONS":
            return options_answer()
        if request.method not in {"GET", "HEAD"}:
            return message_answer(405, language, "method_not_allowed")
        try:
            return await self._answer(_read(request, self._proxies, language))
        except AWAY_ERRORS:
            return message_answer(503, language, "unavailable", retry_after_s=_RETRY_AFTER_S)
        except Exception:  # noqa: BLE001 - the last catch: logged here, told to nobody
            logger("resolver").exception("request failed")
            return message_answer(500, language, "internal")

    async def _answer(self, asking: _Asking) -> Response:
        wait_s = self._misses.wait_s(asking.origin.address)
        if wait_s is not None:
            return message_answer(429, asking.language, "too_many", retry_after_s=wait_s)
        problem = ""
        asked: Asked = "nothing_here"
        try:
            asked = asked_for(asking.path, asking.query.decode("latin-1"))
        except RuleViolation as violation:
            problem = f"{violation.problem}: {violation.hint}."
        if asked == "never_issued":
            return self._not_issued(asking)  # Before the database is asked, for the host even.
        host = await self._host(asking.origin.host)
        if host is None:
            return message_answer(404, asking.language, "brand_not_found", detail="brand_not_found")
        if problem:
            return message_answer(400, asking.language, "bad_request", detail=problem)
        if asked == "nothing_here":
            return message_answer(404, asking.language, "nothing_here")
        return await self._answer_key(asking, host, asked)

    async def _host(self, name: str) -> BrandHost | None:
        if not name:
            return None
        identity = Identity(DatabaseRole.RESOLVER)
        async with self._resolver.database.transaction(identity, read_only=True) as connection:
            host = await find_brand_host(connection, name)
        if host is None or self._resolver.pinned_now is None:
            return host
        return replace(host, now=self._resolver.pinned_now)

    async def _answer_key(self, asking: _Asking, host: BrandHost, key: Key) -> Response:
        product: ProductShown | None = None
        async with self._call(host, read_only=True) as call:
            subject = await resolve(call, key)
            shows_product = isinstance(key, ProductId) or asking.agent == "bot"
            if subject is not None and subject.status != "revoked" and shows_product:
                product = await find_product_shown(call, subject.product_id)
        if subject is None:
            return self._not_issued(asking)
        if subject.status == "revoked":
            if asking.is_scan:
                self._record(asking, host, subject, "revoked")
            return page_answer(
                410, message_page(asking.language, "revoked", brand_name=host.brand_name)
            )
        if product is None:
            return await self._redirect(asking, host, subject)
        page_url = product_url(host.base_url, product.product_id)
        if not isinstance(key, ProductId):
            page = preview_page(asking.language, host.brand_name, product, page_url)
            return page_answer(200, page)
        first_scanned_on = self._proven_first_scan(asking, host, product.product_id)
        page = product_page(asking.language, host.brand_name, product, page_url, first_scanned_on)
        return page_answer(200, page)

    async def _redirect(self, asking: _Asking, host: BrandHost, subject: Subject) -> Response:
        first_scanned_at = subject.first_scanned_at
        if asking.is_scan:
            outcome = settled_outcome(subject)
            if outcome is None:
                async with self._call(host) as call:
                    outcome = await activate(call, subject)
            self._record(asking, host, subject, outcome)
            first_scanned_at = first_scanned_at or host.now
        token = None
        if subject.unit_id is not None and first_scanned_at is not None:
            token = self._tokens.make(
                host.brand_id, subject.product_id, first_scanned_at.date(), host.now
            )
        return redirect(host.base_url, subject.product_id, asking.query, token)

    @asynccontextmanager
    async def _call(self, host: BrandHost, *, read_only: bool = False) -> AsyncIterator[Call]:
        identity = Identity(DatabaseRole.RESOLVER, host.brand_id)
        async with self._resolver.database.transaction(identity, read_only=read_only) as connection:
            limits = self._resolver.limits
            yield Call(connection, ANONYMOUS, host.brand_id, None, host.now, limits, "resolver")

    def _not_issued(self, asking: _Asking) -> Response:
        self._misses.count(asking.origin.address)
        return page_answer(404, not_issued_page(asking.language))

    def _record(
        self, asking: _Asking, host: BrandHost, subject: Subject, outcome: ScanOutcome
    ) -> None:
        self._resolver.scan_buffer.record(
            SeenScan(
                brand_id=host.brand_id,
                scanned_at=host.now,
                subject=subject,
                outcome=outcome,
                traffic_class="human" if asking.agent == "human" else "unknown",
                address=asking.origin.address,
                user_agent=asking.user_agent,
                path=asking.path,
            )
        )

    def _proven_first_scan(self, asking: _Asking, host: BrandHost, product_id: UUID) -> date | None:
        token = asking.request.query_params.get(GENUINE_PARAMETER, "")
        return self._tokens.read(token, host.brand_id, product_id, host.now)


def _read(request: Request, proxies: TrustedProxies, language: Language) -> _Asking:
    raw_path: bytes | None = request.scope.get("raw_path")
    path = (
        raw_path.partition(b"?")[0].decode("latin-1") if raw_path else quote(request.scope["path"])
    )
    user_agent = request.headers.get("user-agent", "")
    return _Asking(
        request=request,
        origin=proxies.origin_of(request),
        language=language,
        path=path,
        query=request.scope.get("query_string", b""),
        agent=agent_class(user_agent),
        user_agent=user_agent,
    )
