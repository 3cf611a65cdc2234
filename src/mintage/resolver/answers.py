"""Answers of the resolver: status, header lines, body; every one with CORS and the way to the linkset.

Redirect targets are made of a stored URL and the query as sent; nothing of a query can reach scheme, host
or path, or break a header line. What is answered by other than a redirect is in `pages` and `linkset`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote_from_bytes, unquote_plus, unquote_to_bytes
from uuid import UUID

from mintage.guarded_protocol import ANSWER_WITHOUT_BODY
from mintage.resolver.pages import Page, message_page
from mintage.resolver.texts import Language, MessageName

if TYPE_CHECKING:
    from starlette.types import Scope, Send

GENUINE_PARAMETER: Final = "mintage_genuine"
"""The one query name that is ours: pairs of it are never passed on."""
CONTEXT_PARAMETER: Final = "context"
"""The query name that says in which context a link must hold; passed on as any other."""
LINK_TYPE_PARAMETER: Final = "linkType"
"""The query name that says which link is asked for; it is answered, not passed on."""

ALLOWED_METHODS: Final = "GET, HEAD, OPTIONS"
LINKSET_TYPE: Final = "application/linkset+json"
CONTEXT_URL: Final = "https://ref.gs1.org/standards/resolver/linkset-context"
KEPT_S: Final = 3600
_PAGES_REMEMBERED: Final = 4096

_Header = tuple[bytes, bytes]
_COMMON: Final[tuple[_Header, ...]] = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", ALLOWED_METHODS.encode()),
    (b"access-control-expose-headers", b"Link, Location, Retry-After"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)
_NOT_KEPT: Final = (*_COMMON, (b"cache-control", b"no-store"))
_KEPT: Final = (
    *_COMMON,
    (b"cache-control", f"public, max-age={KEPT_S}".encode()),
    (b"vary", b"Accept, Accept-Language"),
)
_LINKSET_FORM: Final = f'<%s?{LINK_TYPE_PARAMETER}=linkset>; rel="linkset"; type="{LINKSET_TYPE}"'
# The path asked for, whatever it was: so that one answer is the same bytes for every code.
_LINKSET_HERE: Final = (b"link", (_LINKSET_FORM % "").encode())
_REDIRECT: Final = (
    *_NOT_KEPT,
    (b"vary", b"Accept, Accept-Language"),
    (b"content-length", b"0"),
)
_REDIRECT_LINES: Final = b"".join(
    b"%b: %b\r\n" % header for header in _REDIRECT if header[0] != b"content-length"
).decode("ascii")
# What may stand in a query as it is (RFC 3986), and brackets, which clients send; all else is escaped.
_QUERY_CHARACTERS: Final = "!$&'()*+,;=:@/?-._~%[]"
_PLAIN_QUERY: Final = re.compile(rb"[A-Za-z0-9!$&'()*+,;=:@/?\-._~%\[\]]*")
_OUR_NAMES: Final = frozenset({GENUINE_PARAMETER.encode(), LINK_TYPE_PARAMETER.encode()})


class Answer(NamedTuple):
    """Status, header lines and body of an HTTP answer."""

    status: int
    headers: tuple[_Header, ...]
    body: bytes = b""
    lines: bytes = b""
    """The headers as they are written, without the length, of a well formed answer without a body.

    `headers` is then empty.
    """

    async def send(self, scope: Scope, send: Send) -> None:
        """Send it; without its body, which the headers still describe, in answer to HEAD."""
        if self.lines:
            write = scope.get("extensions", {}).get(ANSWER_WITHOUT_BODY)
            if write is not None and write(self.status, self.lines):
                return
        headers = self.headers or _headers_of(self.lines)
        has_body = scope["method"] != "HEAD"
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body if has_body else b""})


def options_answer() -> Answer:
    """The answer to OPTIONS, a CORS preflight included; it asks no database."""
    return Answer(
        204,
        (
            *_NOT_KEPT,
            _LINKSET_HERE,
            (b"allow", ALLOWED_METHODS.encode()),
            (b"access-control-allow-headers", b"*"),
            (b"access-control-max-age", b"86400"),
        ),
    )


def redirect(location: str, linkset_url: str) -> Answer:
    """307 to `location`; `linkset_url` is the asked for URL without its query."""
    link = _LINKSET_FORM % linkset_url
    if link.isprintable() and location.isprintable():
        # No end of a line is in them.
        lines = f"{_REDIRECT_LINES}link: {link}\r\nlocation: {location}\r\n"
        return Answer(307, (), lines=lines.encode("ascii"))
    # They go the long way, which refuses them.
    values = (b"link", link.encode("ascii")), (b"location", location.encode("ascii"))
    return Answer(307, (*_REDIRECT, *values))


@lru_cache(maxsize=_PAGES_REMEMBERED)
def page_url_of(base_url: str, product_id: UUID) -> str:
    """The absolute URL of a product's page."""
    return f"{base_url}/p/{product_id}"


def with_pairs(url: str, pairs: str) -> str:
    """`url` with more query pairs, which go before its fragment."""
    if not pairs:
        return url
    address, hash_sign, fragment = url.partition("#")
    joint = "" if address.endswith(("?", "&")) else "&" if "?" in address else "?"
    return f"{address}{joint}{pairs}{hash_sign}{fragment}"


def passed_on(query: bytes) -> str:
    """The pairs of a query as they were sent, without ours; what cannot stand in a URL is escaped."""
    if not query:
        return ""
    pairs = [pair for pair in query.split(b"&") if pair and not _is_ours(pair)]
    text = b"&".join(pairs)
    if _PLAIN_QUERY.fullmatch(text):
        return text.decode("ascii")
    return quote_from_bytes(text, safe=_QUERY_CHARACTERS)


def value_of(query: bytes, name: str) -> str:
    """The unescaped value of the first pair of that name; empty if there is none."""
    for pair in query.split(b"&"):
        pair_name, _, value = pair.decode("latin-1").partition("=")
        if unquote_plus(pair_name) == name:
            return unquote_plus(value)
    return ""


def _is_ours(pair: bytes) -> bool:
    return unquote_to_bytes(pair.partition(b"=")[0]) in _OUR_NAMES


def _headers_of(lines: bytes) -> tuple[_Header, ...]:
    pairs = (line.partition(b": ") for line in lines.removesuffix(b"\r\n").split(b"\r\n"))
    return (*((name, value) for name, _, value in pairs), (b"content-length", b"0"))


def page_answer(
    status: int, page: Page, *, retry_after_s: int | None = None, linkset_url: str = ""
) -> Answer:
    """A page as an answer."""
    body = page.html.encode()
    headers = [
        *_NOT_KEPT,
        (b"link", (_LINKSET_FORM % linkset_url).encode("ascii")),
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-language", page.language.encode()),
        (b"content-security-policy", page.policy.encode()),
        (b"vary", b"Accept-Language"),
        (b"content-length", str(len(body)).encode()),
    ]
    if retry_after_s is not None:
        headers.append((b"retry-after", str(retry_after_s).encode()))
    if status == 405:
        headers.append((b"allow", ALLOWED_METHODS.encode()))
    return Answer(status, tuple(headers), body)


def message_answer(
    status: int,
    language: Language,
    name: MessageName,
    *,
    detail: str = "",
    retry_after_s: int | None = None,
) -> Answer:
    """A page that says one thing, as an answer."""
    page = message_page(language, name, detail=detail)
    return page_answer(status, page, retry_after_s=retry_after_s)


def json_answer(body: bytes, media_type: str, linkset_url: str = "") -> Answer:
    """A linkset or the description file: 200, kept by caches for an hour, its JSON-LD context named."""
    context = (
        f'<{CONTEXT_URL}>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"'
    )
    link = f"{_LINKSET_FORM % linkset_url}, {context}"
    return Answer(
        200,
        (
            *_KEPT,
            (b"link", link.encode("ascii")),
            (b"content-type", media_type.encode()),
            (b"content-length", str(len(body)).encode()),
        ),
        body,
    )
