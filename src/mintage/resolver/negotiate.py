"""Which of a product's links a request asks for: link type, context, language, media type.

A product has exactly one default link: the stored one, else its own page. Links are compared within one
link type: the one asked for, or the default's. Not here: the list of all of them (`linkset`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from mintage.operations.resolving import Link
from mintage.resolver.answers import (
    CONTEXT_PARAMETER,
    LINK_TYPE_PARAMETER,
    LINKSET_TYPE,
    value_of,
)
from mintage.rules.link_types import DEFAULT_LINK

PAGE_LINK_TYPE: Final = "gs1:pip"
"""What a product's own page is: product information."""
JSON_TYPES: Final = (LINKSET_TYPE, "application/json", "application/ld+json")

_LINKSET_WORDS: Final = frozenset({"linkset", "all"})
_VOCABULARIES: Final = tuple(
    f"{scheme}://{host}gs1.org/voc/"
    for scheme in ("https", "http")
    for host in ("ref.", "", "www.")
)
_NEUTRAL: Final = 0.0001
_RANGES_MAX: Final = 32


class Wanted(NamedTuple):
    """What a request asks for: a link type as in `gs1:pip` (None: not said), its Accept headers, a context.

    `context` is in lower case; empty for none.
    """

    link_type: str | Literal["linkset"] | None = None
    accept: str = ""
    accept_language: str = ""
    context: str = ""

    @property
    def is_linkset(self) -> bool:
        """True for the list of all links."""
        return self.link_type == "linkset"


def wanted_of(query: bytes, accept: str, accept_language: str) -> Wanted:
    """What a request asks for, from its query as sent and its headers."""
    asked = value_of(query, LINK_TYPE_PARAMETER) if query else ""
    link_type = _curie(asked) if asked else None
    if link_type is None and LINKSET_TYPE in accept.lower() and _prefers_linkset(accept):
        link_type = "linkset"
    context = value_of(query, CONTEXT_PARAMETER).lower() if query else ""
    return Wanted(link_type, accept, accept_language, context)


def _prefers_linkset(accept: str) -> bool:
    """True if a linkset is named, and nothing that is no linkset is liked better."""
    ranges = _ranges(accept)
    quality = max((liked for name, liked in ranges if name == LINKSET_TYPE), default=0.0)
    others = (liked for name, liked in ranges if name not in JSON_TYPES)
    return 0.0 < quality >= max(others, default=0.0)


def _curie(value: str) -> str:
    if value in _LINKSET_WORDS:
        return "linkset"
    for vocabulary in _VOCABULARIES:
        if value.startswith(vocabulary):
            return "gs1:" + value.removeprefix(vocabulary)
    return value


def links_with_page(links: Sequence[Link], page_url: str, title: str = "") -> tuple[Link, ...]:
    """The stored links, and the product's own page as the default where none of them is."""
    if any(link.is_default for link in links):
        return tuple(links)
    has_stored = any(link.link_type == PAGE_LINK_TYPE for link in links)
    link_type = DEFAULT_LINK if has_stored else PAGE_LINK_TYPE
    return (*links, Link(link_type, page_url, title, None, "text/html", True))


def choose(links: Sequence[Link], wanted: Wanted) -> tuple[Link, ...]:
    """The links that answer best: one, none (no such link type), or several that fit equally.

    `links` as `links_with_page` makes them. Where no link type is asked for, another link of the
    default's type answers only if it fits better.
    """
    default = next(link for link in links if link.is_default)
    if wanted.link_type == DEFAULT_LINK:
        return (default,)
    link_type = default.link_type if wanted.link_type is None else wanted.link_type
    best = _best([link for link in links if link.link_type == link_type], wanted)
    if len(best) < 2 or default not in best:
        return best
    if wanted.link_type is None or not any(
        _is_alike(link, default) for link in best if link is not default
    ):
        return (default,)
    return best


def preferred_json_type(accept: str) -> str:
    """The media type of a linkset for whoever sends this Accept header."""
    return max(JSON_TYPES, key=lambda name: (_quality(name, accept), -JSON_TYPES.index(name)))


def _best(links: Sequence[Link], wanted: Wanted) -> tuple[Link, ...]:
    if len(links) < 2:
        return tuple(links)
    scores = [
        (
            _context_fit(link, wanted.context),
            _language_fit(link.hreflang, wanted.accept_language),
            _media_fit(link.media_type, wanted.accept),
        )
        for link in links
    ]
    highest = max(scores)
    return tuple(link for link, score in zip(links, scores, strict=True) if score == highest)


def _is_alike(link: Link, other: Link) -> bool:
    facts = (link.hreflang, link.media_type, link.context)
    return facts == (other.hreflang, other.media_type, other.context)


def _context_fit(link: Link, context: str) -> int:
    """Where none is asked for, a link that holds in one alone stands back."""
    if link.context is None:
        return 1
    if not context:
        return 1 if link.is_default else 0
    return 2 if link.context.lower() == context else 0


def _language_fit(language: str | None, accept_language: str) -> tuple[float, int]:
    """How well a language answers, with how many subtags the match has; a link of none is neutral.

    The most exact range that takes the language in says how well (RFC 4647, basic filtering). Where none
    does, a range may come to it when its last subtags are left out (lookup); last, `*` counts.
    """
    if not accept_language:
        return 0.0, 0
    if language is None:
        return _NEUTRAL, 0
    tag = language.lower()
    taking_in, looked_up, anything = (0, 0.0), (0, 0.0), 0.0
    for name, quality in _ranges(accept_language):
        if name == "*":
            anything = max(anything, quality)
        elif tag == name or tag.startswith(f"{name}-"):
            taking_in = max(taking_in, (len(name.split("-")), quality))
        elif quality and name.startswith(f"{tag}-"):
            looked_up = max(looked_up, (len(tag.split("-")), quality))
    subtags, quality = taking_in if taking_in[0] else looked_up
    return (quality, subtags) if subtags else (anything, 0)


def _media_fit(media_type: str | None, accept: str) -> tuple[float, int]:
    if not accept:
        return 0.0, 0
    return (_NEUTRAL, 0) if media_type is None else _quality(media_type, accept)


def _quality(media_type: str, accept: str) -> tuple[float, int]:
    """What an Accept header says of a media type: the quality of its most exact range, and which."""
    name = media_type.lower()
    exactness = {"*/*": 1, f"{name.partition('/')[0]}/*": 2, name: 3}
    found = (0, 0.0)
    for range_name, quality in _ranges(accept):
        found = max(found, (exactness.get(range_name, 0), quality))
    return (found[1], found[0]) if found[0] else (0.0, 0)


def _ranges(header: str) -> list[tuple[str, float]]:
    """The ranges of an Accept or Accept-Language header with their qualities, 1 where none is said."""
    found = []
    for element in header.split(",")[:_RANGES_MAX]:
        name, *parameters = (part.strip().lower() for part in element.split(";"))
        quality = next((part[2:] for part in parameters if part.startswith("q=")), "1")
        try:
            found.append((name, min(max(float(quality), 0.0), 1.0)))
        except ValueError:
            continue
    return [each for each in found if each[0] and each[1] == each[1]]
