"""From a request to a redirect, a page, a scan (RESOLVER).

It needs the database alone, and calls `operations` directly: there is no caller to authorize, and the
role `mintage_resolver` sees one brand, the host's. Not here: what a key names (`reading`), which link
answers (`negotiate`).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from mintage.db.connection import Database
from mintage.db.replica import Replica
from mintage.meters import RATE_LIMITED, RESOLVER
from mintage.operations.resolving import BrandHost, Key, ProductId, ProductShown, Subject
from mintage.operations.scanning import settled_outcome
from mintage.resolver import answers
from mintage.resolver.activating import Activations
from mintage.resolver.answers import Answer, message_answer, page_answer
from mintage.resolver.asking import Asking
from mintage.resolver.gathering import Found
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
from mintage.resolver.pages import (
    choices_page,
    message_page,
    not_issued_page,
    preview_page,
    product_page,
)
from mintage.resolver.paths import DESCRIPTION_PATH, Asked, asked_for
from mintage.resolver.reading import Reader
from mintage.resolver.scan_buffer import ScanBuffer, SeenScan
from mintage.rules.lifecycle import ScanOutcome
from mintage.rules.violation import RuleViolation
from mintage.settings import Limits

Told = Answer | Coroutine[Any, Any, Answer]
"""An answer; or what is to be awaited for it, where more is to be asked or written."""


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


class Question(NamedTuple):
    """What is to be asked of the database for a request; `problem` says why its path is no code."""

    asking: Asking
    key: Key | None
    problem: str


class _Scanned(NamedTuple):
    """A request whose key was found: the host asked, the key, and what it names there."""

    asking: Asking
    wanted: Wanted
    host: BrandHost
    key: Key
    subject: Subject
    page_url: str

    @property
    def is_scan(self) -> bool:
        """True where a redirect in answer is a scan."""
        return self.asking.is_scan and not isinstance(self.key, ProductId)

    @property
    def url(self) -> str:
        """The URL asked for, without its query."""
        return self.host.base_url + self.asking.path.removesuffix("/")


class Responder:
    """Says what a request is answered, and records and activates what it scans."""

    def __init__(self, resolver: Resolver, reader: Reader) -> None:
        self._resolver = resolver
        self._reader = reader
        self._activations = Activations(resolver.database, resolver.limits)
        self._misses = MissLimit(resolver.limits)
        self._tokens_of_now = GenuineTokens(resolver.product_page_keys())

    def question(self, asking: Asking) -> Answer | Question:
        """What is to be asked of the database, or the answer where that needs none of it."""
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
        if not asking.origin.host:
            return _brand_not_found(asking)
        return Question(asking, None if asked == "nothing_here" else asked, problem)

    def answer(self, question: Question, found: Found | None) -> Told:
        """The answer; to be awaited where more is to be asked, or written, for it."""
        asking, key, problem = question
        if found is None:
            return _brand_not_found(asking)
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
        return self._answer_found(_Scanned(asking, wanted, host, key, subject, page_url))

    @property
    def _tokens(self) -> GenuineTokens:
        keys = self._resolver.product_page_keys()
        if keys != self._tokens_of_now.keys:
            self._tokens_of_now = GenuineTokens(keys)
        return self._tokens_of_now

    def _answer_own_path(self, asking: Asking, host: BrandHost) -> Answer:
        if asking.path != DESCRIPTION_PATH:
            return message_answer(404, asking.language, "nothing_here")
        return answers.json_answer(description_json(host), "application/json")

    def _answer_found(self, scanned: _Scanned) -> Told:
        asking, wanted = scanned.asking, scanned.wanted
        if scanned.subject.status == "revoked":
            if asking.is_scan:
                self._record(scanned, "revoked")
            page = message_page(asking.language, "revoked", brand_name=scanned.host.brand_name)
            return page_answer(410, page)
        if wanted.is_linkset:
            return self._linkset(scanned)
        if asking.agent == "bot":
            return self._preview(scanned)
        if isinstance(scanned.key, ProductId) and wanted.link_type is None:
            return self._product_page(scanned)
        if wanted.link_type is None and not scanned.subject.links:
            return self._redirect(scanned, scanned.page_url)
        links = choose(links_with_page(scanned.subject.links, scanned.page_url), wanted)
        if not links:
            return message_answer(404, asking.language, "no_such_link")
        if len(links) > 1:
            page = choices_page(asking.language, scanned.host.brand_name, links)
            return page_answer(300, page, linkset_url=scanned.url)
        return self._redirect(scanned, links[0].href)

    def _redirect(self, scanned: _Scanned, href: str) -> Told:
        if not scanned.is_scan:
            return self._redirected(scanned, href)
        outcome = settled_outcome(scanned.subject)
        if outcome is None:
            return self._activate(scanned, href)
        self._record(scanned, outcome)
        return self._redirected(scanned, href)

    async def _activate(self, scanned: _Scanned, href: str) -> Answer:
        self._record(scanned, await self._activations.activate(scanned.host, scanned.subject))
        return self._redirected(scanned, href)

    def _redirected(self, scanned: _Scanned, href: str) -> Answer:
        query = scanned.asking.query
        pairs = answers.passed_on(query) if query else ""
        if href == scanned.page_url:
            token = self._token(scanned, is_scanned_now=scanned.is_scan)
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


def _brand_not_found(asking: Asking) -> Answer:
    return message_answer(404, asking.language, "brand_not_found", detail="brand_not_found")
