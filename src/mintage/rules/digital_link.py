"""GS1 Digital Link URIs: read and written by GS1's own table of Application Identifiers.

A URI is a stem, a primary key with its qualifiers in the path, attributes and anything else in the
query, a fragment. What may stand where comes from the dictionary (`ai_table`); which brand a host
belongs to and what a key leads to is the resolver's. Sources: GS1 Digital Link URI syntax 1.x, the
behaviour of the GS1 Barcode Syntax Engine, RFC 3986.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote_plus

from mintage.rules.ai_table import ApplicationIdentifier, find_ai, path_sequences, require_value
from mintage.rules.elements import ELEMENTS_MAX, Element
from mintage.rules.gs1 import GTIN_LENGTHS, percent_encode
from mintage.rules.violation import RuleViolation

CANONICAL_STEM: Final = "https://id.gs1.org"
URI_LENGTH_MAX: Final = 8191

# Words that GS1 Digital Link 1.0 allowed in place of an AI, withdrawn since.
CONVENIENCE_ALIASES: Final = {
    "cpid": "8010",
    "cpsn": "8011",
    "cpv": "22",
    "gcn": "255",
    "gdti": "253",
    "giai": "8004",
    "ginc": "401",
    "gln": "414",
    "glnx": "254",
    "gmn": "8013",
    "grai": "8003",
    "gsin": "402",
    "gsrn": "8018",
    "gsrnp": "8017",
    "gtin": "01",
    "itip": "8006",
    "lot": "10",
    "party": "417",
    "refno": "8020",
    "ser": "21",
    "srin": "8019",
    "sscc": "00",
}

_URI_CHARACTERS = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]*")
_SCHEME = re.compile(r"(https?|HTTPS?)://")
_AUTHORITY = re.compile(r"[A-Za-z0-9\-.:\[\]]+")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_DIGITS = re.compile(r"[0-9]+")


@dataclass(frozen=True, slots=True)
class Options:
    """What a reader tolerates beyond the standard; the defaults are the standard's own.

    `permits_short_gtins`: a GTIN-8, -12 or -13 in the path (in a query it is always padded).
    `permits_aliases`: the withdrawn words such as `/gtin/`.
    `permits_unknown_ais`: identifiers that are not allocated, and
    `permits_unknown_attributes`: such ones as attributes in the query.
    `permits_bad_escapes`: a % without two hexadecimal digits stands for itself.
    `permits_trailing_slash`: one slash after the last value.
    `permits_any_other_pairs`: query pairs that are no AIs may hold characters that no URI has, such as those
    that browsers send as they are (`|`, `{`, a backtick).
    """

    permits_short_gtins: bool = False
    permits_aliases: bool = False
    permits_unknown_ais: bool = False
    permits_unknown_attributes: bool = False
    permits_bad_escapes: bool = False
    permits_trailing_slash: bool = False
    permits_any_other_pairs: bool = False


STANDARD: Final = Options()
# RESOLVER, "Order": GTINs of every length, a trailing slash; no aliases, no unknown AIs.
RESOLVING: Final = Options(
    permits_short_gtins=True, permits_trailing_slash=True, permits_any_other_pairs=True
)


@dataclass(frozen=True, slots=True)
class DigitalLink:
    """A URI taken apart. Values are unescaped, GTINs padded to 14 digits.

    `path` is the primary key and then its qualifiers, `attributes` are the AIs of the query, in
    the order given. `other_pairs` are the query's remaining pairs and `fragment` what follows #
    (None without one), both as they were written.
    """

    stem: str
    path: tuple[Element, ...]
    attributes: tuple[Element, ...] = ()
    other_pairs: tuple[str, ...] = ()
    fragment: str | None = None

    @property
    def key(self) -> Element:
        """The primary key."""
        return self.path[0]

    @property
    def elements(self) -> tuple[Element, ...]:
        """Path and attributes as one row of elements."""
        return self.path + self.attributes

    def value_of(self, ai: str) -> str | None:
        """The value of an AI of the path, or None."""
        return next((each.value for each in self.path if each.ai == ai), None)


def unit_path(gtin14: str, serial: str) -> str:
    """The path of one unit: `/01/{gtin14}/21/{serial}` (SPEC §4)."""
    return f"/01/{gtin14}/21/{percent_encode(serial)}"


def lot_path(gtin14: str, lot_code: str) -> str:
    """The path of a lot: `/01/{gtin14}/10/{lot_code}` (SPEC §4)."""
    return f"/01/{gtin14}/10/{percent_encode(lot_code)}"


def parse(uri: str, options: Options = STANDARD) -> DigitalLink:
    """A whole URI taken apart.

    Raises RuleViolation for another scheme, host or character, a path without a key, qualifiers
    in a wrong order, an attribute that is none, and for every value that is not in its format.
    """
    if len(uri) > URI_LENGTH_MAX:
        raise RuleViolation("the URI is too long", f"at most {URI_LENGTH_MAX} characters")
    _require_uri_characters(uri)
    scheme = _SCHEME.match(uri)
    if scheme is None:
        raise RuleViolation("not a web URI", "it begins with https:// or http://")
    authority, slash, rest = uri[scheme.end() :].partition("/")
    if not slash or not _AUTHORITY.fullmatch(authority):
        raise RuleViolation("no host, or a wrong character in it", "a host and a path are needed")
    rest, hash_sign, fragment = rest.partition("#")
    path, _, query = rest.partition("?")
    return parse_target(
        f"/{path}",
        query,
        options,
        origin=scheme[0] + authority,
        fragment=fragment if hash_sign else None,
    )


def parse_target(
    path: str,
    query: str,
    options: Options = STANDARD,
    *,
    origin: str = "",
    fragment: str | None = None,
) -> DigitalLink:
    """Path and query of a request, both as sent (not unescaped), taken apart like `parse`.

    `origin`, scheme and host, only goes before the stem. Raises RuleViolation like `parse`.
    """
    if len(path) + len(query) > URI_LENGTH_MAX:
        raise RuleViolation("the URI is too long", f"at most {URI_LENGTH_MAX} characters")
    _require_uri_characters(path if options.permits_any_other_pairs else path + query)
    if options.permits_trailing_slash and len(path) > 1:
        path = path.removesuffix("/")
    segments = path.split("/")
    start = _find_key(segments, options)
    path_elements = _read_path(segments[start:], options)
    attributes, other_pairs = _read_query(query, options)
    _require_few(len(path_elements) + len(attributes) + len(other_pairs))
    _require_sequence(path_elements)
    _require_attributes(path_elements, attributes, options)
    for each in (*path_elements, *attributes):
        require_value(each.identifier, each.value)
    stem = origin + "/".join(segments[:start])
    return DigitalLink(stem, path_elements, attributes, other_pairs, fragment)


def _require_uri_characters(text: str) -> None:
    if not _URI_CHARACTERS.fullmatch(text):
        raise RuleViolation("a character is not allowed in a URI", "percent-encode it (RFC 3986)")


def _find_key(segments: Sequence[str], options: Options) -> int:
    """Where the rightmost primary key stands, coming from the right over AI and value pairs."""
    for start in range(len(segments) - 2, 0, -2):
        identifier = _find_path_ai(segments[start], options)
        if identifier is None:
            break
        if identifier.qualifiers is not None:
            return start
    raise RuleViolation(
        "there is no GS1 key in the path", "such as /01/ and a GTIN, with qualifiers after it"
    )


def _find_path_ai(segment: str, options: Options) -> ApplicationIdentifier | None:
    if options.permits_aliases and segment in CONVENIENCE_ALIASES:
        segment = CONVENIENCE_ALIASES[segment]
    return find_ai(segment, permits_unknown=options.permits_unknown_ais)


def _read_path(segments: Sequence[str], options: Options) -> tuple[Element, ...]:
    elements: list[Element] = []
    for segment, escaped in zip(segments[::2], segments[1::2], strict=True):
        identifier = _find_path_ai(segment, options)
        if identifier is None:
            raise RuleViolation(f"/{segment}/ is no Application Identifier", "use GS1's AIs")
        value = _read_value(identifier, escaped, options, is_query=False)
        is_padded = options.permits_short_gtins
        elements.append(Element(identifier, _padded(identifier, value) if is_padded else value))
    return tuple(elements)


def _read_query(query: str, options: Options) -> tuple[tuple[Element, ...], tuple[str, ...]]:
    attributes: list[Element] = []
    other_pairs: list[str] = []
    for pair in query.split("&"):
        name, equals, escaped = pair.partition("=")
        if not pair:
            continue
        if not equals or not _DIGITS.fullmatch(name):
            other_pairs.append(pair)
            continue
        _require_uri_characters(escaped)
        identifier = find_ai(name, permits_unknown=options.permits_unknown_ais)
        if identifier is None:
            raise RuleViolation(
                f"{name}= in the query is no Application Identifier",
                "names of digits only are kept for GS1's AIs",
            )
        value = _read_value(identifier, escaped, options, is_query=True)
        attributes.append(Element(identifier, _padded(identifier, value)))
    return tuple(attributes), tuple(other_pairs)


def _read_value(
    identifier: ApplicationIdentifier, escaped: str, options: Options, *, is_query: bool
) -> str:
    if not escaped:
        raise RuleViolation(f"({identifier.ai}) has no value", "leave out the AI or add its value")
    if not options.permits_bad_escapes and _BAD_ESCAPE.search(escaped):
        raise RuleViolation(
            f"({identifier.ai}) has a bad percent escape", "write % and two hex digits, or %25"
        )
    value = unescape(escaped, is_query=is_query)
    if "\0" in value:
        raise RuleViolation(f"({identifier.ai}) has a NUL in its value", "remove %00")
    return value


def _padded(identifier: ApplicationIdentifier, value: str) -> str:
    """A GTIN-8, -12, -13 in 14 digits; whether it is one is checked with all other formats."""
    if identifier.ai == "01" and len(value) in GTIN_LENGTHS:
        return value.rjust(14, "0")
    return value


def _require_few(count: int) -> None:
    if count > ELEMENTS_MAX:
        raise RuleViolation("too many AIs and query pairs", f"at most {ELEMENTS_MAX}")


def _require_sequence(path: Sequence[Element]) -> None:
    if tuple(each.ai for each in path) not in path_sequences():
        given = "/".join(each.ai for each in path)
        allowed = " or ".join(", ".join(each) for each in path[0].identifier.qualifiers or ())
        raise RuleViolation(
            f"/{given}/ is no legal order of key and qualifiers",
            f"after {path[0].ai} come, in this order, {allowed or 'no qualifiers'}",
        )


def _require_attributes(
    path: Sequence[Element], attributes: Sequence[Element], options: Options
) -> None:
    seen = {each.ai for each in path}
    path_ais = tuple(each.ai for each in path)
    for each in attributes:
        if each.ai in seen:
            raise RuleViolation(f"({each.ai}) is given twice", "give each AI once")
        seen.add(each.ai)
        _require_attribute(each.identifier, options)
        places = range(1, len(path_ais) + 1)
        if any((*path_ais[:at], each.ai, *path_ais[at:]) in path_sequences() for at in places):
            raise RuleViolation(
                f"({each.ai}) is a qualifier of ({path_ais[0]})", "put it into the path"
            )


def _require_attribute(identifier: ApplicationIdentifier, options: Options) -> None:
    may_be_one = identifier.is_attribute or (
        not identifier.is_known and options.permits_unknown_attributes
    )
    if not may_be_one:
        raise RuleViolation(
            f"({identifier.ai}) is no attribute of a Digital Link", "leave it out of the query"
        )


def unescape(text: str, *, is_query: bool) -> str:
    """A path segment or a query value with its escapes undone, octet by octet.

    An escape becomes the character of that octet (every GS1 set is ASCII); in a query a plus sign
    becomes a space; a % without two hexadecimal digits stays.
    """
    if is_query:
        text = text.replace("+", " ")
    return _ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), text) if "%" in text else text


def escape(text: str, *, is_query: bool) -> str:
    """`unescape` undone: all but unreserved characters as %XX, in a query a space as plus."""
    return quote_plus(text, safe="") if is_query else percent_encode(text)


def format_uri(link: DigitalLink) -> str:
    """The URI of a Digital Link, in the order of its parts; `parse` undoes it."""
    path = "".join(f"/{each.ai}/{escape(each.value, is_query=False)}" for each in link.path)
    pairs = [f"{each.ai}={escape(each.value, is_query=True)}" for each in link.attributes]
    query = "&".join((*pairs, *link.other_pairs))
    fragment = "" if link.fragment is None else f"#{link.fragment}"
    return f"{link.stem}{path}{'?' if query else ''}{query}{fragment}"


def link_of(
    elements: Iterable[Element], stem: str = CANONICAL_STEM, options: Options = STANDARD
) -> DigitalLink:
    """The Digital Link that carries these elements, from wherever they were read.

    The first primary key goes into the path, with the sequence of qualifiers that takes in most
    of the elements; all others become attributes, those of a predefined length first. Of repeated
    AIs the first counts. Raises RuleViolation without a key, or for what is no attribute.
    """
    first_of: dict[str, Element] = {}
    for each in elements:
        first_of.setdefault(each.ai, each)
    key = next((ai for ai, each in first_of.items() if each.identifier.qualifiers), None)
    if key is None:
        raise RuleViolation("there is no primary key", "such as (01), (00), (414)")
    sequences = sorted(
        (sequence for sequence in path_sequences() if sequence[0] == key), key=" ".join
    )
    best = max(sequences, key=lambda sequence: sum(ai in first_of for ai in sequence))
    path = tuple(first_of[ai] for ai in best if ai in first_of)
    rest = [each for ai, each in first_of.items() if ai not in best]
    for each in rest:
        _require_attribute(each.identifier, options)
    rest.sort(key=lambda each: not each.identifier.has_predefined_length)
    return DigitalLink(stem.removesuffix("/"), path, tuple(rest))
