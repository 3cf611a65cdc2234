"""The list of all links of what was scanned (RFC 9264), and the resolver's own description file.

Both as JSON that validates against GS1's schemas. A link context for the primary key has all links; each
level below it has the default link. Not here: which link answers a scan (`negotiate`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final

from mintage.operations.resolving import BrandHost, Link
from mintage.resolver.answers import CONTEXT_URL
from mintage.rules import digital_link
from mintage.rules.link_types import CURIE_PREFIX, DEFAULT_LINK, VOCABULARY

# What GS1's linkset schema takes for a language.
_SCHEMA_LANGUAGE: Final = re.compile(r"[A-Za-z]{2}(?:-[A-Za-z]{2})?")

_LinkObject = dict[str, object]


def anchors_of(path: str, base_url: str, page_url: str) -> tuple[str, ...]:
    """The URIs that a path speaks of, from the primary key down, uncompressed.

    `path` as sent; of a path that is no Digital Link, the product's page and then the path.
    """
    if path.startswith(("/mu/", "/ml/", "/mb/")):
        return page_url, base_url + path.removesuffix("/")
    if path.startswith("/p/"):
        return (page_url,)
    elements = digital_link.parse_target(path, "", digital_link.RESOLVING).path
    ends = range(1, len(elements) + 1)
    return tuple(
        digital_link.format_uri(digital_link.DigitalLink(base_url, elements[:end])) for end in ends
    )


def linkset_json(
    anchors: Sequence[str], description: str, links: Sequence[Link], own_page: Link | None
) -> bytes:
    """The linkset as JSON. `links` are all of the primary key, exactly one of them the default.

    `own_page`: the product's page as the last anchor leads to it, where that is another URL.
    """
    default = next(link for link in links if link.is_default)
    contexts: list[dict[str, object]] = [
        {"anchor": anchor, "itemDescription": description, uri_of(DEFAULT_LINK): [_bare(default)]}
        for anchor in anchors
    ]
    contexts[0] |= _by_type(links)
    if own_page is not None and len(anchors) > 1:
        contexts[-1] |= _by_type([own_page]) | {uri_of(DEFAULT_LINK): [_bare(own_page)]}
    return json.dumps({"linkset": contexts}, ensure_ascii=False, separators=(",", ":")).encode()


def _bare(link: Link) -> _LinkObject:
    """The default is said without any of the optional attributes (GS1-Conformant Resolver)."""
    return {"href": link.href, "title": link.title}


def _by_type(links: Sequence[Link]) -> dict[str, object]:
    found: dict[str, list[_LinkObject]] = {}
    for link in links:
        if link.link_type != DEFAULT_LINK:
            found.setdefault(uri_of(link.link_type), []).append(_link_object(link))
    return dict(found)


def _link_object(link: Link) -> _LinkObject:
    found: _LinkObject = {"href": link.href, "title": link.title}
    if link.media_type is not None:
        found["type"] = link.media_type
    language = _language_of(link.hreflang)
    if language is not None:
        found["hreflang"] = [language]
    if link.context is not None:
        found["context"] = [link.context]
    return found


def _language_of(hreflang: str | None) -> str | None:
    if hreflang is None or _SCHEMA_LANGUAGE.fullmatch(hreflang):
        return hreflang
    primary = hreflang.partition("-")[0]
    return primary if _SCHEMA_LANGUAGE.fullmatch(primary) else None


def uri_of(link_type: str) -> str:
    """A link type in full: `gs1:pip` as `https://ref.gs1.org/voc/pip`."""
    return VOCABULARY + link_type.removeprefix(CURIE_PREFIX)


def description_json(host: BrandHost) -> bytes:
    """The resolver description file of a brand's host (GS1-Conformant Resolver 1.2)."""
    description = {
        "name": host.brand_name,
        "resolverRoot": host.base_url,
        "supportedPrimaryKeys": ["01"],
        "supportedLinkType": [{"namespace": VOCABULARY, "prefix": CURIE_PREFIX}],
        "linkTypeDefaultCanBeLinkset": False,
        "jsonLdContextLocation": CONTEXT_URL,
    }
    return json.dumps(description, ensure_ascii=False, separators=(",", ":")).encode()
