"""What a scanner says of a symbol: an AIM symbology identifier and the data after it.

A symbol's own content is written as in `elements`: `^01…` is GS1 data with `^` for FNC1, anything
else is plain, with a backslash before a plain `^`; `|` parts a composite component. Which symbols
Mintage prints is not decided here. Sources: ISO/IEC 15424, GS1 General Specifications 5 and 7.8,
the behaviour of the GS1 Barcode Syntax Engine.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal, get_args

from mintage.rules import digital_link, gs1
from mintage.rules.elements import FNC1, parse_element_string
from mintage.rules.violation import RuleViolation

Symbology = Literal[
    "QR",
    "DM",
    "DotCode",
    "GS1_128_CCA",
    "GS1_128_CCC",
    "DataBarExpanded",
    "DataBarOmni",
    "DataBarTruncated",
    "DataBarStacked",
    "DataBarStackedOmni",
    "DataBarLimited",
    "UPCA",
    "UPCE",
    "EAN13",
    "EAN8",
]
SYMBOLOGIES: Final[tuple[Symbology, ...]] = get_args(Symbology)

GROUP_SEPARATOR: Final = "\x1d"
COMPOSITE_SEPARATOR: Final = "|"
COMPOSITE_IDENTIFIER: Final = "]e0"
DATABAR_LIMITED_MAX: Final = "19999999999999"

# Identifier for plain data, identifier for GS1 data.
_MATRIX_IDENTIFIERS: Final[dict[Symbology, tuple[str, str]]] = {
    "QR": ("]Q1", "]Q3"),
    "DM": ("]d1", "]d2"),
    "DotCode": ("]J0", "]J1"),
}
# Identifier, digits of the symbol, what the scanner puts before them.
_RETAIL_SYMBOLS: Final[dict[Symbology, tuple[str, int, str]]] = {
    "EAN13": ("]E0", 13, ""),
    "UPCA": ("]E0", 12, "0"),
    "UPCE": ("]E0", 12, "0"),
    "EAN8": ("]E4", 8, ""),
}
_GS1_IDENTIFIERS: Final[dict[str, Symbology]] = {
    "]C1": "GS1_128_CCA",
    COMPOSITE_IDENTIFIER: "DataBarExpanded",
    "]d2": "DM",
    "]Q3": "QR",
    "]J1": "DotCode",
}
_PLAIN_IDENTIFIERS: Final[dict[str, Symbology]] = {"]d1": "DM", "]Q1": "QR", "]J0": "DotCode"}
_RETAIL_IDENTIFIERS: Final[dict[str, Symbology]] = {"]E0": "EAN13", "]E4": "EAN8"}
_WEB_URI = re.compile(r"(https?|HTTPS?)://")


@dataclass(frozen=True, slots=True)
class Scan:
    """A symbol as read; of several symbologies with one identifier the commonest."""

    symbology: Symbology
    data: str


def read_scan(text: str) -> Scan:
    """What the scanner's text says; GS1 data, GTINs and Digital Link URIs in it are checked.

    Raises RuleViolation for an unknown identifier and for data that breaks their rules.
    """
    identifier, data = text[:3], text[3:]
    if identifier in _RETAIL_IDENTIFIERS:
        return _read_retail(_RETAIL_IDENTIFIERS[identifier], data)
    if identifier in _GS1_IDENTIFIERS:
        return Scan(_GS1_IDENTIFIERS[identifier], _read_gs1(data))
    if identifier in _PLAIN_IDENTIFIERS:
        if _WEB_URI.match(data):
            digital_link.parse(data)
        return Scan(_PLAIN_IDENTIFIERS[identifier], _escape_plain(data))
    raise RuleViolation("there is no known symbology identifier", "such as ]Q1, ]d2, ]C1, ]E0")


def _read_retail(symbology: Symbology, data: str) -> Scan:
    length = _RETAIL_SYMBOLS[symbology][1]
    primary, separator, composite = data.partition(COMPOSITE_SEPARATOR)
    _require_primary(primary, length)
    if not separator:
        return Scan(symbology, primary)
    if not composite.startswith(COMPOSITE_IDENTIFIER):
        raise RuleViolation("the composite component has no identifier", "it begins with ]e0")
    return Scan(symbology, f"{primary}|{_read_gs1(composite.removeprefix(COMPOSITE_IDENTIFIER))}")


def _read_gs1(data: str) -> str:
    if FNC1 in data:
        raise RuleViolation("a ^ stands in the data", "GS1 data has no such character")
    element_string = FNC1 + data.replace(GROUP_SEPARATOR, FNC1)
    parse_element_string(element_string)
    return element_string


def _require_primary(primary: str, length: int) -> None:
    if len(primary) != length or not gs1.has_valid_check_digit(primary):
        raise RuleViolation(
            "the primary number is wrong", f"{length} digits, the last one a check digit"
        )


def _escape_plain(data: str) -> str:
    return "\\" + data if data.lstrip("\\").startswith(FNC1) else data


def write_scan(symbology: Symbology, data: str, *, adds_check_digit: bool = False) -> str:
    """What a scanner says of a symbol with this content; `read_scan` undoes it.

    `adds_check_digit`: the number of an EAN, UPC or GS1 DataBar lacks its check digit.
    Raises RuleViolation for content that the symbology cannot carry.
    """
    if symbology in _MATRIX_IDENTIFIERS:
        plain, gs1_data = _MATRIX_IDENTIFIERS[symbology]
        if data.startswith(FNC1):
            return gs1_data + _write_gs1(data)
        is_escaped = data.startswith("\\") and data.lstrip("\\").startswith(FNC1)
        return plain + (data[1:] if is_escaped else data)
    linear, separator, composite = data.partition(COMPOSITE_SEPARATOR)
    tail = _write_gs1(composite) if separator else ""
    if symbology in _RETAIL_SYMBOLS:
        identifier, length, padding = _RETAIL_SYMBOLS[symbology]
        zeros = f"{FNC1}01" + "0" * (14 - length)
        primary = _primary(linear.removeprefix(zeros), length, adds_check_digit=adds_check_digit)
        composite_message = f"|{COMPOSITE_IDENTIFIER}{tail}" if separator else ""
        return identifier + padding + primary + composite_message
    if symbology in ("GS1_128_CCA", "GS1_128_CCC", "DataBarExpanded"):
        is_linear_128 = symbology != "DataBarExpanded" and not separator
        return ("]C1" if is_linear_128 else COMPOSITE_IDENTIFIER) + _joined(linear, tail)
    primary = _primary(linear.removeprefix(f"{FNC1}01"), 14, adds_check_digit=adds_check_digit)
    if symbology == "DataBarLimited" and primary > DATABAR_LIMITED_MAX:
        raise RuleViolation("too large for GS1 DataBar Limited", f"at most {DATABAR_LIMITED_MAX}")
    return f"{COMPOSITE_IDENTIFIER}01{primary}{tail}"


def _write_gs1(data: str) -> str:
    parse_element_string(data)
    return data[1:].replace(FNC1, GROUP_SEPARATOR)


def _joined(linear: str, tail: str) -> str:
    """GS1 data of a linear and a composite component, a separator between where one is needed."""
    text = _write_gs1(linear)
    last = parse_element_string(linear)[-1]
    needs_separator = tail and not last.identifier.has_predefined_length
    return text + (GROUP_SEPARATOR if needs_separator else "") + tail


def _primary(digits: str, length: int, *, adds_check_digit: bool) -> str:
    if adds_check_digit and digits.isascii() and digits.isdigit():
        digits += gs1.check_digit(digits)
    _require_primary(digits, length)
    return digits
