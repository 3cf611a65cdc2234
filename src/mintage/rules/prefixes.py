"""Prefixes as ranges: of text in the order of its code points (collation "C"), of ids, of GTINs.

A range serves an index under row-level security, where a pattern does not (DATA-MODEL, "Search and
prefixes under row-level security"). Not here: what is searched.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from mintage.rules.gs1 import GTIN_LENGTHS

ID_DIGITS: Final = 32
_TEMPLATE: Final = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
_HEXADECIMAL: Final = "0123456789abcdef"
_DIGITS_OF_ID: Final = re.compile(r"[0-9a-f]{1,32}")
_DIGITS_OF_GTIN: Final = re.compile(r"[0-9]{1,14}")
_LAST_CODE_POINT: Final = 0x10FFFF
_SURROGATES: Final = range(0xD800, 0xE000)


@dataclass(frozen=True, slots=True)
class TextRange:
    """Texts from `lowest` (inclusive) to `end` (exclusive)."""

    lowest: str
    end: str

    def __contains__(self, text: str) -> bool:
        return self.lowest <= text < self.end


@dataclass(frozen=True, slots=True)
class IdRange:
    """Ids from `lowest` to `highest`, both inclusive."""

    lowest: UUID
    highest: UUID

    def __contains__(self, identifier: UUID) -> bool:
        return self.lowest <= identifier <= self.highest


def text_range(prefix: str) -> TextRange:
    """The texts that begin with `prefix`, which has a character or more."""
    kept = prefix.rstrip(chr(_LAST_CODE_POINT))
    if not kept:
        # Nothing is above it but itself with more behind: longer than any text that is searched.
        return TextRange(prefix, chr(_LAST_CODE_POINT) * 1000)
    after = ord(kept[-1]) + 1
    return TextRange(prefix, kept[:-1] + chr(_SURROGATES.stop if after in _SURROGATES else after))


def id_range(prefix: str) -> IdRange | None:
    """The ids whose text begins with `prefix`, in either case, with all its hyphens or without any.

    None where no id's text can begin so.
    """
    text = prefix.lower()
    if "-" in text:
        expected = _TEMPLATE[: len(text)]
        if len(text) > len(_TEMPLATE) or any(
            (character == "-") != (there == "-")
            for character, there in zip(text, expected, strict=True)
        ):
            return None
    digits = text.replace("-", "")
    if not _DIGITS_OF_ID.fullmatch(digits):
        return None
    return IdRange(UUID(hex=digits.ljust(ID_DIGITS, "0")), UUID(hex=digits.ljust(ID_DIGITS, "f")))


def first_id_from(text: str) -> UUID | None:
    """The lowest id whose text is `text` or above it; None where there is none."""
    for place, there in enumerate(_TEMPLATE):
        if place == len(text):
            return _padded(text)
        character = text[place]
        if there == "-":
            if character < "-":
                return _padded(text[:place])
            if character > "-":
                return _next(text[:place])
        elif character not in _HEXADECIMAL:
            above = next((digit for digit in _HEXADECIMAL if digit > character), None)
            return _next(text[:place]) if above is None else _padded(text[:place] + above)
    whole = UUID(text[: len(_TEMPLATE)])
    return whole if len(text) == len(_TEMPLATE) else _next(text[: len(_TEMPLATE)])


def gtin_prefixes(prefix: str) -> tuple[str, ...]:
    """What a GTIN of 14 digits begins with if one of its forms of 8, 12, 13, 14 digits begins with `prefix`.

    Empty where no GTIN can.
    """
    if not _DIGITS_OF_GTIN.fullmatch(prefix):
        return ()
    longest = max(GTIN_LENGTHS)
    return tuple(
        "0" * (longest - length) + prefix
        for length in sorted(GTIN_LENGTHS, reverse=True)
        if len(prefix) <= length
    )


def _padded(text: str) -> UUID:
    """The lowest id whose text begins with `text`, a beginning of an id's text."""
    return UUID(hex=text.replace("-", "").ljust(ID_DIGITS, "0"))


def _next(text: str) -> UUID | None:
    """The lowest id above all whose text begins with `text`; None where there is none."""
    digits = text.replace("-", "")
    if not digits.strip("f"):
        return None
    above = int(digits, 16) + 1
    return UUID(hex=f"{above:0{len(digits)}x}".ljust(ID_DIGITS, "0"))
