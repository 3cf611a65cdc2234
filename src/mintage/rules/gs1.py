"""What GS1 says about single values: check digits, GTINs, character sets, serials and lots.

Sources: GS1 General Specifications (7.9 check digits, 7.11 character sets, AI (01), (10), (21)),
GS1 Digital Link URI syntax 1.x (percent-encoding), RFC 3986. Whole Digital Link URIs and the other
Application Identifiers are in `digital_link` and `ai_table`; the serials that Mintage makes itself
are in `serials`.
"""

import re
from typing import Final, Literal
from urllib.parse import quote

from mintage.rules.violation import RuleViolation

GtinType = Literal["gtin", "ean", "upc"]

GTIN_LENGTHS: Final = (8, 12, 13, 14)
GTIN_TYPE_LENGTHS: Final[dict[GtinType, tuple[int, ...]]] = {
    "gtin": GTIN_LENGTHS,
    "ean": (8, 13),
    "upc": (12,),
}

SET_82: Final = (
    "!\"%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
)
SET_39: Final = "#-/0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
SET_32: Final = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
SET_64: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

VALUE_LENGTH_MAX: Final = 20
FORMULA_STARTS: Final = "=+-@"

_SET_82_CHARACTERS = frozenset(SET_82)
_ASCII_DIGITS = re.compile(r"[0-9]+")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")


def check_digit(digits: str) -> str:
    """The GS1 mod-10 check digit that follows `digits` (any length of ASCII digits)."""
    weighted = (int(digit) * (3 if i % 2 == 0 else 1) for i, digit in enumerate(reversed(digits)))
    return str(-sum(weighted) % 10)


def has_valid_check_digit(value: str) -> bool:
    """True if `value` is ASCII digits and its last one is the check digit of the others."""
    return bool(_ASCII_DIGITS.fullmatch(value)) and check_digit(value[:-1]) == value[-1]


def gtin14(value: str, gtin_type: GtinType = "gtin") -> str:
    """A GTIN-8, -12, -13 or -14 in its 14-digit form, which is how GTINs are compared.

    `gtin_type` narrows the lengths: `upc` has 12 digits, `ean` 8 or 13.
    Raises RuleViolation for another length, another character, a wrong check digit.
    """
    lengths = GTIN_TYPE_LENGTHS[gtin_type]
    if not _ASCII_DIGITS.fullmatch(value) or len(value) not in lengths:
        wanted = " or ".join(", ".join(map(str, lengths)).rsplit(", ", 1))
        raise RuleViolation(f"not a {gtin_type.upper()}", f"{wanted} digits with a check digit")
    right = check_digit(value[:-1])
    if right != value[-1]:
        raise RuleViolation("wrong check digit", f"after {value[:-1]} the check digit is {right}")
    return value.zfill(14)


def is_set_82(value: str) -> bool:
    """True if every character is of GS1 AI encodable character set 82."""
    return _SET_82_CHARACTERS.issuperset(value)


def lot_code_problem(value: str) -> str | None:
    """What is wrong with a lot code (AI 10), or None: SPEC §3, last paragraph."""
    return _value_problem(value, "a lot code")


def serial_problem(value: str) -> str | None:
    """What is wrong with a serial (AI 21) of whatever origin, or None: SPEC §3.

    A serial that a brand brings may not look like a generated one either:
    `serials.brought_serial_problem`.
    """
    return _value_problem(value, "a serial")


def _value_problem(value: str, noun: str) -> str | None:
    if not 1 <= len(value) <= VALUE_LENGTH_MAX:
        return f"{noun} has 1 to {VALUE_LENGTH_MAX} characters, this one has {len(value)}"
    for character in value:
        if character not in _SET_82_CHARACTERS:
            return f"{noun} has characters of GS1 set 82 only, not U+{ord(character):04X}"
    if value in (".", ".."):
        return f'{noun} may not be "." or "..": a URL path would lose it'
    if value[0] in FORMULA_STARTS:
        return f"{noun} may not begin with = + - @: a spreadsheet would read a formula"
    return None


def percent_encode(value: str) -> str:
    """`value` as one path segment: all but RFC 3986 unreserved characters as %XX, in upper case."""
    return quote(value, safe="")


def percent_decode(segment: str) -> str:
    """The value of one path segment, `percent_encode` undone.

    Raises RuleViolation for a % without two hexadecimal digits and for bytes that are not UTF-8.
    A plus sign is a plus sign: only query strings read it as a space.
    """
    if _BAD_ESCAPE.search(segment):
        raise RuleViolation("a bad percent escape", "write % and two hexadecimal digits, or %25")
    escaped = segment.encode("utf-8", "surrogatepass")
    octets = _ESCAPE.sub(lambda match: bytes([int(match[1], 16)]), escaped)
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        raise RuleViolation("not UTF-8 after percent-decoding", "encode text as UTF-8") from None
