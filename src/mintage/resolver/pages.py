"""The public pages as HTML: product, preview for bots, choices, and the pages that say one thing.

No script, no outside resource but the product's own picture; the style is in the page and named in its
Content-Security-Policy by hash. Texts are in `texts`.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources
from typing import Final
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mintage.operations.resolving import Link, ProductShown
from mintage.resolver.link_names import ALL_LINKS, LinkGroup, grouped
from mintage.resolver.texts import TEXTS, Language, MessageName

_STYLE: Final = (
    resources.files("mintage.resolver").joinpath("templates/style.css").read_text("utf-8").strip()
)
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode("ascii")
PAGE_BYTES_MAX: Final = 20_000
"""What a page weighs at most, whatever its product says; links that have no room are in the linkset."""

_HEADING_BYTES: Final = 100
_HOST_AND_PORT: Final = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?")

_TEMPLATES: Final = Environment(
    loader=PackageLoader("mintage.resolver", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
)
# The style is ours and has no markup: quotes in it would otherwise be escaped and the hash be wrong.
_TEMPLATES.globals["style"] = Markup(_STYLE)  # noqa: S704


def _host_of(href: str) -> str:
    """The host that a link leads to, as people read it: without port and `www.`"""
    return (urlsplit(href).hostname or "").removeprefix("www.")


_TEMPLATES.filters["host_of"] = _host_of


@dataclass(frozen=True, slots=True)
class Page:
    """HTML, its language, and the Content-Security-Policy that fits it."""

    html: str
    language: Language
    policy: str


def product_page(
    language: Language,
    brand_name: str,
    product: ProductShown,
    page_url: str,
    first_scanned_on: date | None,
    links: Sequence[Link] = (),
) -> Page:
    """The page of a product; with a day, that a unit of it is genuine and since when it is scanned."""
    texts = TEXTS[language]
    picture = _picture(product.image_url)
    html = _with_links(
        "product.html",
        links,
        has_names=True,
        language=language,
        brand_name=brand_name,
        product=product,
        image_url=picture.url if picture else None,
        page_url=page_url,
        texts=texts,
        genuine_line=texts.genuine_line(first_scanned_on) if first_scanned_on is not None else None,
    )
    return Page(html, language, _policy(picture.origin if picture else None))


def preview_page(language: Language, brand_name: str, product: ProductShown, page_url: str) -> Page:
    """What a bot or a link preview is shown: Open Graph tags of the product, nothing of the unit."""
    picture = _picture(product.image_url)
    html = _TEMPLATES.get_template("preview.html").render(
        language=language,
        brand_name=brand_name,
        product=product,
        image_url=picture.url if picture else None,
        page_url=page_url,
    )
    return Page(html, language, _policy(None))


def message_page(
    language: Language, name: MessageName, *, brand_name: str = "", detail: str = ""
) -> Page:
    """A page that says one thing. `detail`: what is wrong, for whoever made the address (English)."""
    html = _TEMPLATES.get_template("message.html").render(
        language=language,
        brand_name=brand_name,
        name=name,
        message=TEXTS[language].messages[name],
        detail=detail,
    )
    return Page(html, language, _policy(None))


def choices_page(language: Language, brand_name: str, links: Sequence[Link]) -> Page:
    """Several links that answer equally well, to choose from."""
    html = _with_links(
        "choices.html",
        links,
        has_names=False,
        language=language,
        brand_name=brand_name,
        message=TEXTS[language].messages["choices"],
    )
    return Page(html, language, _policy(None))


def _with_links(
    template: str, links: Sequence[Link], *, has_names: bool, language: Language, **facts: object
) -> str:
    """A page with as many of the links, by their types, as it has room for."""

    def rendered(groups: Sequence[LinkGroup]) -> str:
        shown_count = sum(len(group.links) for group in groups)
        return _TEMPLATES.get_template(template).render(
            language=language,
            groups=groups,
            has_names=has_names,
            has_more=shown_count < len(links),
            all_links=ALL_LINKS[language],
            **facts,
        )

    bare = rendered(())
    if not links:
        return bare
    # What else is said leaves links the rest.
    room_bytes = PAGE_BYTES_MAX - len(bare.encode()) - _HEADING_BYTES
    return rendered(grouped(links, language, room_bytes))


@cache
def not_issued_page(language: Language) -> Page:
    """The one page for every code that is not genuine: it depends on nothing but the language."""
    return message_page(language, "not_issued")


@dataclass(frozen=True, slots=True)
class _Picture:
    url: str
    origin: str


def _picture(image_url: str | None) -> _Picture | None:
    """A product's picture, if its origin can stand in a policy as it is."""
    if image_url is None:
        return None
    parts = urlsplit(image_url)
    if parts.scheme != "https" or not _HOST_AND_PORT.fullmatch(parts.netloc.lower()):
        return None
    return _Picture(image_url, f"https://{parts.netloc.lower()}")


def _policy(picture_origin: str | None) -> str:
    pictures = f"img-src {picture_origin}; " if picture_origin is not None else ""
    return (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; {pictures}"
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
