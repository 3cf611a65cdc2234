"""The resolver as an ASGI application: from a request to a redirect, a page, a scan (RESOLVER).

It needs the database alone, and calls `operations` directly: there is no caller to authorize, and the
role `mintage_resolver` sees one brand, the host's. Not here: what a request says (`asking`), what a key
names (`reading`), which link answers (`negotiate`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from time import perf_counter
from typing import TYPE_CHECKING, Final, NamedTuple

from mintage.db.connection import AWAY_ERRORS, BUSY_ERRORS, Database
from mintage.db.replica import Replica
from mintage.meters import RATE_LIMITED, RESOLVER
from mintage.operations.resolving import BrandHost, Key, ProductId, ProductShown, Subject
from mintage.operations.scanning import settled_outcome
from mintage.resolver import answers
from mintage.resolver.activating import Activations
from mintage.resolver.answers import Answer, message_answer, page_answer
from mintage.resolver.asking import Asking, read_request
from mintage.resolver.genuine_tokens import GenuineTokens
from mintage.resolver.linkset import anchors_of, description_json, linkset_json
from mintage.resolver.misses import MissLimit
from mintage.resolver.negotiate import (
    Wanted,
    choose,
    links_with_page,
    preferred_json_type,
    wanted_of,
)
from mintage.resolver.origins import TrustedProxies
from mintage.resolver.pages import (
    choices_page,
    message_page,
    not_issued_page,
    preview_page,
    product_page,
)
from mintage.resolver.paths import DESCRIPTION_PATH, Asked, asked_for, route_of
from mintage.resolver.reading import Reader
from mintage.resolver.scan_buffer import ScanBuffer, SeenScan
from mintage.rules.lifecycle import ScanOutcome
from mintage.rules.violation import RuleViolation
from mintage.settings import Limits
from mintage.telemetry import logger

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_RETRY_AFTER_S: Final = 1


@dataclass(frozen=True, slots=True)
class Resolver:
    """What resolving needs. `pinned_now` is for tests only: the clock stands still.

    `database` is the primary. `product_page_keys` are those of now (32 bytes or more, used for nothing
    else): the first signs the tokens of product pages, all verify.
    """

    database: Database
    limits: Limits
    scan_buffer: ScanBuffer
    product_page_keys: Callable[[], Sequence[bytes]]
    trusted_proxies: frozenset[str] = frozenset()
    pinned_now: datetime | None = None
    replica: Replica | None = None


def build_resolver(resolver: Resolver) -> ASGIApp:
    """The application. Whoever serves it runs `resolver.scan_buffer` and stops it after the last request."""
    return _Application(resolver)


class _Scanned(NamedTuple):
    """A request whose key was found: the host asked, the key, and what it names there."""

    asking: Asking
    wanted: Wanted
    host: BrandHost
    key: Key
    subject: Subject
    page_url: str

    @property
    def url(self) -> str:
        """The URL asked for, without its query."""
        return self.host.base_url + self.asking.path.removesuffix("/")


class _Application:
    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._reader = Reader(resolver.database, resolver.replica, resolver.limits)
        self._proxies = TrustedProxies(resolver.trusted_proxies)
        self._activations = Activations(resolver.database, resolver.limits)
        self._misses = MissLimit(resolver.limits)

    @property
    def _tokens(self) -> GenuineTokens:
        return GenuineTokens(self._resolver.product_page_keys())

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
        RESOLVER.answered(
            route_of(scope["path"]), scope["method"], answer.status, perf_counter() - began
        )

    async def _respond(self, scope: Scope) -> Answer:
        if scope["method"] == "OPTIONS":
            return answers.options_answer()
        asking = read_request(scope, self._proxies)
        if asking.method not in {"GET", "HEAD"}:
            return message_answer(405, asking.language, "method_not_allowed")
        try:
            return await self._answer(asking)
        except (*AWAY_ERRORS, *BUSY_ERRORS):
            return message_answer(503, asking.language, "unavailable", retry_after_s=_RETRY_AFTER_S)
        except Exception:  # noqa: BLE001 - the last catch: logged here, told to nobody
            logger("resolver").exception("request failed")
            return message_answer(500, asking.language, "internal")

    async def _answer(self, asking: Asking) -> Answer:
        wait_s = self._misses.wait_s(asking.origin.address)
        if wait_s is not None:
            RATE_LIMITED.labels("misses").inc()
            return message_answer(429, asking.language, "too_many", retry_after_s=wait_s)
        problem = ""
        asked: Asked = "nothing_here"
        try:
            asked = asked_for(asking.path, asking.query.decode("latin-1"))
        except RuleViolation as violation:
            problem = f"{violation.problem}: {violation.hint}."
        if asked == "never_issued":
            # Before the database is asked, for the host even.
            return self._not_issued(asking, "never_issued")
        key = None if asked == "nothing_here" else asked
        found = await self._reader.find(asking.origin.host, key) if asking.origin.host else None
        if found is None:
            return message_answer(404, asking.language, "brand_not_found", detail="brand_not_found")
        if problem:
            return message_answer(400, asking.language, "bad_request", detail=problem)
        host, subject = found
        if self._resolver.pinned_now is not None:
            host = replace(host, now=self._resolver.pinned_now)
        if key is None:
            return self._answer_own_path(asking, host)
        if subject is None:
            return self._not_issued(asking)
        wanted = wanted_of(asking.query, asking.accept, asking.accept_language)
        page_url = answers.page_url_of(host.base_url, subject.product_id)
        return await self._answer_found(_Scanned(asking, wanted, host, key, subject, page_url))

    def _answer_own_path(self, asking: Asking, host: BrandHost) -> Answer:
        if asking.path != DESCRIPTION_PATH:
            return message_answer(404, asking.language, "nothing_here")
        return answers.json_answer(description_json(host), "application/json")

    async def _answer_found(self, scanned: _Scanned) -> Answer:
        asking, wanted = scanned.asking, scanned.wanted
        if scanned.subject.status == "revoked":
            if asking.is_scan:
                self._record(scanned, "revoked")
            page = message_page(asking.language, "revoked", brand_name=scanned.host.brand_name)
            return page_answer(410, page)
        if wanted.is_linkset:
            return await self._linkset(scanned)
        if asking.agent == "bot":
            return await self._preview(scanned)
        if isinstance(scanned.key, ProductId) and wanted.link_type is None:
            return await self._product_page(scanned)
        if wanted.link_type is None and not scanned.subject.links:
            return await self._redirect(scanned, scanned.page_url)
        links = choose(links_with_page(scanned.subject.links, scanned.page_url), wanted)
        if not links:
            return message_answer(404, asking.language, "no_such_link")
        if len(links) > 1:
            page = choices_page(asking.language, scanned.host.brand_name, links)
            return page_answer(300, page, linkset_url=scanned.url)
        return await self._redirect(scanned, links[0].href)

    async def _redirect(self, scanned: _Scanned, href: str) -> Answer:
        asking, subject = scanned.asking, scanned.subject
        is_scan = asking.is_scan and not isinstance(scanned.key, ProductId)
        if is_scan:
            outcome = settled_outcome(subject)
            if outcome is None:
                outcome = await self._activations.activate(scanned.host, subject)
            self._record(scanned, outcome)
        pairs = answers.passed_on(asking.query) if asking.query else ""
        if href == scanned.page_url:
            token = self._token(scanned, is_scanned_now=is_scan)
            pairs = f"{pairs}&{token}" if pairs and token else pairs or token
        return answers.redirect(answers.with_pairs(href, pairs), scanned.url)

    def _token(self, scanned: _Scanned, *, is_scanned_now: bool) -> str:
        """The pair that says on the product's page since when its unit is scanned; empty for no unit."""
        host, subject = scanned.host, scanned.subject
        first_scanned_at = subject.first_scanned_at or (host.now if is_scanned_now else None)
        if subject.unit_id is None or first_scanned_at is None:
            return ""
        token = self._tokens.make(
            host.brand_id, subject.product_id, first_scanned_at.date(), host.now
        )
        return f"{answers.GENUINE_PARAMETER}={token}"

    async def _linkset(self, scanned: _Scanned) -> Answer:
        product = await self._product(scanned)
        if product is None:
            return self._not_issued(scanned.asking)
        page_url = scanned.page_url
        links = links_with_page(scanned.subject.links, page_url, product.name)
        default = next(link for link in links if link.is_default)
        own_page = None
        if default.href == page_url:
            href = answers.with_pairs(page_url, self._token(scanned, is_scanned_now=False))
            own_page = replace(default, href=href)
        anchors = anchors_of(scanned.asking.path, scanned.host.base_url, page_url)
        body = linkset_json(anchors, product.name, links, own_page)
        return answers.json_answer(body, preferred_json_type(scanned.wanted.accept), scanned.url)

    async def _preview(self, scanned: _Scanned) -> Answer:
        product = await self._product(scanned)
        if product is None:
            return self._not_issued(scanned.asking)
        page = preview_page(
            scanned.asking.language, scanned.host.brand_name, product, scanned.page_url
        )
        return page_answer(200, page, linkset_url=scanned.url)

    async def _product_page(self, scanned: _Scanned) -> Answer:
        product = await self._product(scanned)
        if product is None:
            return self._not_issued(scanned.asking)
        host = scanned.host
        first_scanned_on = self._tokens.read(
            answers.value_of(scanned.asking.query, answers.GENUINE_PARAMETER),
            host.brand_id,
            product.product_id,
            host.now,
        )
        page = product_page(
            scanned.asking.language,
            host.brand_name,
            product,
            scanned.page_url,
            first_scanned_on,
            scanned.subject.links,
        )
        return page_answer(200, page, linkset_url=scanned.url)

    async def _product(self, scanned: _Scanned) -> ProductShown | None:
        return await self._reader.product_shown(scanned.host, scanned.subject.product_id)

    def _not_issued(self, asking: Asking, reason: str = "unknown") -> Answer:
        RESOLVER.missed(reason)
        self._misses.count(asking.origin.address)
        return page_answer(404, not_issued_page(asking.language))

    def _record(self, scanned: _Scanned, outcome: ScanOutcome) -> None:
        asking = scanned.asking
        self._resolver.scan_buffer.record(
            SeenScan(
                scanned.host.brand_id,
                scanned.host.now,
                scanned.subject,
                outcome,
                "human" if asking.agent == "human" else "unknown",
                asking.origin.address,
                asking.user_agent,
                asking.path,
            )
        )
