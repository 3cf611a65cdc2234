"""Which code a request's path asks for: GS1 Digital Link paths, and Mintage's own `/mu /ml /mb /p`.

Purely syntax: what a code names is for `operations.resolving` to find. Paths come as sent, escapes and
all: a serial may hold `%2F`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from functools import lru_cache
from typing import Final, Literal
from uuid import UUID

from mintage.operations.resolving import (
    BatchId,
    Gtin,
    GtinLot,
    GtinSerial,
    Key,
    LotId,
    ProductId,
    UnitId,
)
from mintage.rules import digital_link
from mintage.rules.ai_table import ai_table
from mintage.rules.gs1 import has_valid_check_digit
from mintage.rules.serials import (
    ALPHABET,
    LETTERS,
    SERIAL_LENGTH,
    has_valid_check_character,
    is_generated_shape,
    shape_has_valid_check_character,
)
from mintage.rules.violation import RuleViolation

OWN_SEGMENTS: Final = ("mu", "ml", "mb", "p")
RESOLVER_PREFIXES: Final = tuple(
    f"/{segment}/"
    for segment in (
        *OWN_SEGMENTS,
        *sorted(ai for ai, identifier in ai_table().items() if identifier.qualifiers is not None),
    )
)
"""What the paths of the resolver begin with, where it shares a host with other doors."""

DESCRIPTION_PATH: Final = "/.well-known/gs1resolver"

_ROUTES: Final = {prefix: prefix for prefix in RESOLVER_PREFIXES}

Asked = Key | Literal["never_issued", "nothing_here"]
"""`never_issued`: a code that no brand can have issued. `nothing_here`: no code at all."""

_KEY_OF: Final[dict[str, Callable[[UUID], Key]]] = {
    "mu": UnitId,
    "ml": LotId,
    "mb": BatchId,
    "p": ProductId,
}
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_AI: Final = re.compile(r"[0-9]{2,4}")
_PRINTED: Final = re.compile(
    rf"/01/([0-9]{{14}})/21/([{LETTERS}][{ALPHABET}]{{{SERIAL_LENGTH - 1}}})"
)


def route_of(path: str) -> str:
    """What a request of `path` is counted under: the prefix of codes that it begins with, or `other`."""
    return _ROUTES.get(path[: path.find("/", 1) + 1], "other")


def is_resolvers(path: str, others: Collection[str]) -> bool:
    """True if `path` is the resolver's on a host that it shares with doors whose first segments are `others`.

    Their own paths stay theirs; of all the rest the resolver has whatever it would not call `nothing_here`.
    """
    if path == DESCRIPTION_PATH or path.startswith(RESOLVER_PREFIXES):
        return True
    segments = path.split("/")[1:] or [""]  # `OPTIONS *` has no slash
    return segments[0] not in others and any(map(_is_meant_as_identifier, segments))


def asked_for(path: str, query: str) -> Asked:
    """What the request asks for; `path` and `query` as sent.

    Raises `RuleViolation` for what is meant as a code and is none: a bad check digit, character, escape,
    order of identifiers, or id.
    """
    printed = _PRINTED.fullmatch(path)
    if printed is not None and not query:
        gtin14, serial_number = printed.groups()
        return _printed_key(path, gtin14, serial_number)
    segments = path.removesuffix("/").split("/")[1:]
    if segments and segments[0] in OWN_SEGMENTS:
        return _own_key(segments)
    if not any(_is_meant_as_identifier(segment) for segment in segments):
        return "nothing_here"
    return _key_of_link(digital_link.parse_target(path, query, digital_link.RESOLVING))


def _printed_key(path: str, gtin14: str, serial_number: str) -> Asked:
    """The key of a URL as Mintage prints them for generated serials: the most of all, so read quickly."""
    if not _is_gtin(gtin14):
        return _key_of_link(digital_link.parse_target(path, "", digital_link.RESOLVING))
    if not shape_has_valid_check_character(serial_number):
        return "never_issued"
    return GtinSerial(gtin14, serial_number)


@lru_cache(maxsize=4096)
def _is_gtin(gtin14: str) -> bool:
    return has_valid_check_digit(gtin14)


def _own_key(segments: list[str]) -> Asked:
    if len(segments) != 2:
        return "nothing_here"
    kind, text = segments
    if not _UUID.fullmatch(text):
        raise RuleViolation(
            f"what follows /{kind}/ is no id", "an id is 32 hexadecimal digits as 8-4-4-4-12"
        )
    return _KEY_OF[kind](UUID(text))


def _is_meant_as_identifier(segment: str) -> bool:
    return segment in digital_link.CONVENIENCE_ALIASES or _AI.fullmatch(segment) is not None


def _key_of_link(link: digital_link.DigitalLink) -> Asked:
    if link.key.ai != "01" or link.value_of("235") is not None:
        return "never_issued"
    gtin14 = link.key.value
    serial_number = link.value_of("21")
    if serial_number is not None:
        if is_generated_shape(serial_number) and not has_valid_check_character(serial_number):
            return "never_issued"
        return GtinSerial(gtin14, serial_number)
    lot_code = link.value_of("10")
    return Gtin(gtin14) if lot_code is None else GtinLot(gtin14, lot_code)
