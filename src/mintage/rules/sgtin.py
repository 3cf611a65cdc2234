"""SGTINs as RFID tags carry them: SGTIN-96 and SGTIN-198, their tag URIs and pure identity URIs.

Source: GS1 EPC Tag Data Standard (TDS) 1.13: 6.3.1 (URI), 7.1 (correspondence with GTIN and AI (21)),
14.2 (headers), 14.3 and 14.4 (integers, strings, partition tables), 14.6.1 (SGTIN), Annex A (escapes).
Not here: GTINs and serials as such (`gs1`), files (`packs.rfid`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from mintage.rules.gs1 import check_digit, gtin14, is_set_82
from mintage.rules.violation import RuleViolation

Scheme = Literal["sgtin-96", "sgtin-198"]

COMPANY_PREFIX_LENGTHS: Final = range(6, 13)
FILTER_VALUES: Final = range(8)
SERIAL_96_END: Final = 1 << 38
SERIAL_198_CHARACTERS_MAX: Final = 20

_GTIN_8_START: Final = "000000"
_GTIN_8_PREFIX_LENGTH: Final = 8
_GTIN_DIGITS: Final = 13
_HEADERS: Final[dict[Scheme, int]] = {"sgtin-96": 0x30, "sgtin-198": 0x36}
_SCHEMES: Final = {header: scheme for scheme, header in _HEADERS.items()}
_BITS: Final[dict[Scheme, int]] = {"sgtin-96": 96, "sgtin-198": 198}
# A tag's memory is words of 16 bits: an EPC is filled up with zeros to whole ones (TDS 15.1).
_HEX_DIGITS: Final[dict[Scheme, int]] = {"sgtin-96": 24, "sgtin-198": 52}
_SERIAL_BITS: Final[dict[Scheme, int]] = {"sgtin-96": 38, "sgtin-198": 140}
_CHARACTER_BITS: Final = 7
# By partition value: bits of the company prefix, which has 12 digits and one fewer in each further row.
# Company prefix and item reference together have 44 bits and 13 digits.
_COMPANY_PREFIX_BITS: Final = (40, 37, 34, 30, 27, 24, 20)
_ITEM_CLASS_BITS: Final = 44

_ESCAPES: Final = {character: f"%{ord(character):02X}" for character in '"%&/<>?'}
_ESCAPED: Final = {escape: character for character, escape in _ESCAPES.items()}
_ESCAPING: Final = str.maketrans(_ESCAPES)
_UNESCAPED: Final = re.compile(r"%(?P<digits>.{0,2})|[\"&/<>?]", re.DOTALL)
_SERIAL_96: Final = re.compile(r"0|[1-9][0-9]{0,11}")
_HEXADECIMAL: Final = re.compile(r"[0-9A-Fa-f]+")
_URI: Final = re.compile(
    r"urn:epc:(?:id:sgtin:|tag:(?P<scheme>sgtin-96|sgtin-198):(?P<filter>[0-7])\.)"
    r"(?P<company>[0-9]{6,12})\.(?P<item>[0-9]{1,7})\.(?P<serial>.+)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class ItemClass:
    """A GTIN without its check digit, cut after the company prefix.

    `item_reference` begins with the indicator digit; both together are 13 digits.
    """

    company_prefix: str
    item_reference: str

    @property
    def gtin(self) -> str:
        """The GTIN of 14 digits."""
        digits = self.item_reference[0] + self.company_prefix + self.item_reference[1:]
        return digits + check_digit(digits)


@dataclass(frozen=True, slots=True)
class Sgtin:
    """What a tag or a URI says. `scheme` and `filter_value` are None for a pure identity."""

    item: ItemClass
    serial: str
    scheme: Scheme | None = None
    filter_value: int | None = None


def item_class(gtin: str, company_prefix_length: int) -> ItemClass:
    """`gtin` (14 digits) cut after a company prefix of 6 to 12 digits (TDS 7.1).

    The company prefix of a GTIN-8 is five zeros and its first three digits, whatever is said of the
    brand's. Raises RuleViolation for another GTIN or length.
    """
    if company_prefix_length not in COMPANY_PREFIX_LENGTHS:
        raise RuleViolation("not the length of a GS1 company prefix", "a number from 6 to 12")
    if len(gtin) != _GTIN_DIGITS + 1:
        raise RuleViolation("not a GTIN of 14 digits", "pad a shorter GTIN with zeros on the left")
    gtin14(gtin)
    length = _GTIN_8_PREFIX_LENGTH if gtin.startswith(_GTIN_8_START) else company_prefix_length
    return ItemClass(gtin[1 : 1 + length], gtin[0] + gtin[1 + length : _GTIN_DIGITS])


def serial_problem(serial: str, scheme: Scheme) -> str | None:
    """Why a tag of `scheme` cannot hold `serial`, or None (TDS 14.6.1)."""
    if scheme == "sgtin-198":
        if not 1 <= len(serial) <= SERIAL_198_CHARACTERS_MAX or not is_set_82(serial):
            return "SGTIN-198 holds serials of 1 to 20 characters of GS1 set 82"
        return None
    if not _SERIAL_96.fullmatch(serial):
        return "SGTIN-96 holds serials of digits only, without leading zeros, below 2^38"
    if int(serial) >= SERIAL_96_END:
        return f"SGTIN-96 holds serials up to {SERIAL_96_END - 1}, 2^38 - 1"
    return None


def pure_identity_uri(item: ItemClass, serial: str) -> str:
    """`urn:epc:id:sgtin:…`, the serial escaped as TDS Annex A says. Raises RuleViolation."""
    _require_serial(serial, "sgtin-198")
    return f"urn:epc:id:sgtin:{_body(item, serial)}"


def tag_uri(item: ItemClass, serial: str, scheme: Scheme, filter_value: int) -> str:
    """`urn:epc:tag:{scheme}:{filter}.…`. Raises RuleViolation for what a tag cannot hold."""
    _require_serial(serial, scheme)
    _require_filter_value(filter_value)
    return f"urn:epc:tag:{scheme}:{filter_value}.{_body(item, serial)}"


def tag_hex(item: ItemClass, serial: str, scheme: Scheme, filter_value: int) -> str:
    """The EPC bank from its header on, in upper-case hexadecimal: 24 digits for 96 bits, 52 for 198.

    Raises RuleViolation for what a tag cannot hold.
    """
    _require_serial(serial, scheme)
    _require_filter_value(filter_value)
    partition = 12 - len(item.company_prefix)
    item_bits = _ITEM_CLASS_BITS - _COMPANY_PREFIX_BITS[partition]
    bits = ((_HEADERS[scheme] << 3) | filter_value) << 3 | partition
    bits = bits << _COMPANY_PREFIX_BITS[partition] | int(item.company_prefix)
    bits = bits << item_bits | int(item.item_reference)
    bits = bits << _SERIAL_BITS[scheme] | _serial_bits(serial, scheme)
    digits = _HEX_DIGITS[scheme]
    return f"{bits << (4 * digits - _BITS[scheme]):0{digits}X}"


def parse_tag_hex(text: str) -> Sgtin:
    """What a tag of these hexadecimal digits says, `tag_hex` undone.

    Raises RuleViolation for another header, length or partition, for numbers with too many digits, for
    a serial that is none, and for bits after its end.
    """
    scheme = _SCHEMES.get(int(text[:2], 16)) if _HEXADECIMAL.fullmatch(text) else None
    if scheme is None or len(text) != _HEX_DIGITS[scheme]:
        raise RuleViolation("not an SGTIN-96 or SGTIN-198", "24 digits from 30, or 52 from 36")
    bits = int(text, 16)
    bits, fill = divmod(bits, 1 << (4 * len(text) - _BITS[scheme]))
    bits, serial_bits = divmod(bits, 1 << _SERIAL_BITS[scheme])
    bits, item_bits = divmod(bits, 1 << _ITEM_CLASS_BITS)
    filter_value, partition = divmod(bits & 0b111111, 8)
    if partition >= len(_COMPANY_PREFIX_BITS):
        raise RuleViolation("no partition value of an SGTIN", "a number from 0 to 6")
    serial = str(serial_bits) if scheme == "sgtin-96" else _text_of(serial_bits)
    if fill or serial is None or serial_problem(serial, scheme) is not None:
        raise RuleViolation("no serial of an SGTIN", "characters of GS1 set 82, then zero bits")
    return Sgtin(_item_of(partition, item_bits), serial, scheme, filter_value)


def parse_uri(text: str) -> Sgtin:
    """What a tag URI or a pure identity URI says, `tag_uri` and `pure_identity_uri` undone.

    Raises RuleViolation for another form, and for a serial that its scheme cannot hold.
    """
    match = _URI.fullmatch(text)
    if match is None or len(match["company"]) + len(match["item"]) != _GTIN_DIGITS:
        raise RuleViolation(
            "not the URI of an SGTIN",
            "urn:epc:id:sgtin: or urn:epc:tag:sgtin-198:{filter}. and company prefix, item reference "
            "(13 digits together) and serial, between dots",
        )
    scheme: Scheme | None = None
    if match["scheme"] is not None:
        scheme = "sgtin-96" if match["scheme"] == "sgtin-96" else "sgtin-198"
    serial = _unescaped(match["serial"])
    _require_serial(serial, scheme or "sgtin-198")
    item = ItemClass(match["company"], match["item"])
    return Sgtin(item, serial, scheme, None if scheme is None else int(match["filter"]))


def _body(item: ItemClass, serial: str) -> str:
    return f"{item.company_prefix}.{item.item_reference}.{serial.translate(_ESCAPING)}"


def _serial_bits(serial: str, scheme: Scheme) -> int:
    if scheme == "sgtin-96":
        return int(serial)
    bits = 0
    for octet in serial.encode("ascii"):
        bits = bits << _CHARACTER_BITS | octet
    return bits << _CHARACTER_BITS * (SERIAL_198_CHARACTERS_MAX - len(serial))


def _text_of(bits: int) -> str | None:
    """The characters before the first zero; None where anything follows it."""
    places = range(SERIAL_198_CHARACTERS_MAX - 1, -1, -1)
    text = "".join(chr(bits >> _CHARACTER_BITS * place & 0x7F) for place in places).rstrip("\0")
    return None if "\0" in text else text


def _item_of(partition: int, bits: int) -> ItemClass:
    length = 12 - partition
    company, item = divmod(bits, 1 << (_ITEM_CLASS_BITS - _COMPANY_PREFIX_BITS[partition]))
    if company >= 10**length or item >= 10 ** (_GTIN_DIGITS - length):
        raise RuleViolation(
            "a company prefix or item reference with too many digits",
            f"{length} digits and {_GTIN_DIGITS - length} digits with this partition value",
        )
    return ItemClass(f"{company:0{length}}", f"{item:0{_GTIN_DIGITS - length}}")


def _unescaped(escaped: str) -> str:
    def character(match: re.Match[str]) -> str:
        found = _ESCAPED.get(match[0].upper())
        if found is None:
            raise RuleViolation(
                "a character of a serial that is not written so in a URI",
                'write " % & / < > ? as %22 %25 %26 %2F %3C %3E %3F and all others as they are',
            )
        return found

    return _UNESCAPED.sub(character, escaped)


def _require_serial(serial: str, scheme: Scheme) -> None:
    problem = serial_problem(serial, scheme)
    if problem is not None:
        raise RuleViolation("a serial that the tag cannot hold", problem)


def _require_filter_value(filter_value: int) -> None:
    if filter_value not in FILTER_VALUES:
        raise RuleViolation(
            "not a filter value", "a number from 0 to 7, 1 for a point of sale item"
        )
