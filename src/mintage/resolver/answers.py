"""Responses of the resolver: every one with CORS, none of them kept by a cache.

Redirect targets are made of a stored base URL, an id and the query as sent; nothing of a query can reach
scheme, host or path, or break a header line.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote_from_bytes
from uuid import UUID

from starlette.responses import Response

from mintage.resolver.pages import Page, message_page
from mintage.resolver.texts import Language, MessageName

GENUINE_PARAMETER: Final = "mintage_genuine"
"""The one query name that is ours: pairs of it are never passed on."""

ALLOWED_METHODS: Final = "GET, HEAD, OPTIONS"
_COMMON_HEADERS: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": ALLOWED_METHODS,
    "Access-Control-Expose-Headers": "Link, Location, Retry-After",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
# What may stand in a query as it is (RFC 3986), and what clients send besides; all else is escaped.
_QUERY_CHARACTERS: Final = "!$&'()*+,;=:@/?-._~%[]|"


def options_answer() -> Response:
    """The answer to OPTIONS, a CORS preflight included."""
    return Response(
        status_code=204,
        headers=_COMMON_HEADERS
        | {
            "Allow": ALLOWED_METHODS,
            "Access-Control-Allow-Headers": "*",
            "Access-Control-Max-Age": "86400",
        },
    )


def redirect(base_url: str, product_id: UUID, query: bytes, genuine_token: str | None) -> Response:
    """307 to the product's page on the host of `base_url`, all pairs of `query` passed on."""
    pairs = passed_on(query)
    if genuine_token is not None:
        pairs.append(f"{GENUINE_PARAMETER}={genuine_token}")
    location = product_url(base_url, product_id) + ("?" + "&".join(pairs) if pairs else "")
    return Response(status_code=307, headers=_COMMON_HEADERS | {"Location": location})


def product_url(base_url: str, product_id: UUID) -> str:
    """The absolute URL of a product's page."""
    return f"{base_url.removesuffix('/')}/p/{product_id}"


def passed_on(query: bytes) -> list[str]:
    """The pairs of a query as they were sent, without ours; what cannot stand in a URL is escaped."""
    pairs = [quote_from_bytes(pair, safe=_QUERY_CHARACTERS) for pair in query.split(b"&") if pair]
    return [pair for pair in pairs if pair.partition("=")[0] != GENUINE_PARAMETER]


def page_answer(status: int, page: Page, *, retry_after_s: int | None = None) -> Response:
    """A page as an answer."""
    headers = _COMMON_HEADERS | {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Language": page.language,
        "Content-Security-Policy": page.policy,
        "Vary": "Accept-Language",
    }
    if retry_after_s is not None:
        headers["Retry-After"] = str(retry_after_s)
    if status == 405:
        headers["Allow"] = ALLOWED_METHODS
    return Response(page.html, status_code=status, headers=headers)


def message_answer(
    status: int,
    language: Language,
    name: MessageName,
    *,
    detail: str = "",
    retry_after_s: int | None = None,
) -> Response:
    """A page that says one thing, as an answer."""
    page = message_page(language, name, detail=detail)
    return page_answer(status, page, retry_after_s=retry_after_s)
