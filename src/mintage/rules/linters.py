"""The linters that the GS1 Barcode Syntax Dictionary names: one check of one component each.

Every linter is a function from a component to a sentence about what is wrong with it, or None.
Coupon codes are in `coupons`, the code lists in `code_lists`; which component needs which linter
is said by the dictionary (`ai_table`). Source: GS1 Barcode Syntax Dictionary, syntax tests.
"""

import calendar
import re
from collections.abc import Callable
from typing import Final, Literal

from mintage.rules import coupons, gs1
from mintage.rules.code_lists import CodeList, codes_of

Linter = Callable[[str], str | None]
# What a register of GS1 Company Prefixes says of a value that begins with one.
GcpVerdict = Literal["valid", "invalid", "offline"]
GcpLookup = Callable[[str], GcpVerdict]

GCP_LENGTH_MIN: Final = 4
ALPHA_CHECKED_LENGTH_MAX: Final = 97
IBAN_LENGTH_MIN: Final = 11
IBAN_LENGTH_MAX: Final = 34

_DIGITS = frozenset("0123456789")
_SET_39 = frozenset(gs1.SET_39)
_SET_64 = frozenset(gs1.SET_64)
_IMPORTER_INDEXES = frozenset(gs1.SET_64)
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_POSITION_IN_SEQUENCE = re.compile(r"([1-9][0-9]*)/([1-9][0-9]*)")
_SET_82_VALUES = {character: value for value, character in enumerate(gs1.SET_82)}


def no_register(_: str) -> GcpVerdict:
    """The lookup of an installation without a register of company prefixes: all are valid."""
    return "valid"


def lint(name: str, component: str, gcp_lookup: GcpLookup = no_register) -> str | None:
    """What the linter of that name finds wrong with the component, or None.

    Raises LookupError for a name that no linter has.
    """
    if name in _LINTERS:
        return _LINTERS[name](component)
    return _GCP_LINTERS[name](component, gcp_lookup)


def _csetnumeric(component: str) -> str | None:
    return None if _DIGITS.issuperset(component) else "only digits are allowed"


def _cset82(component: str) -> str | None:
    return None if gs1.is_set_82(component) else "a character is not in GS1 set 82"


def _cset39(component: str) -> str | None:
    return None if _SET_39.issuperset(component) else "a character is not in GS1 set 39"


def _cset64(component: str) -> str | None:
    text = component.rstrip("=")
    pads = len(component) - len(text)
    if pads > 2 or (pads and len(component) % 3):
        return "the base64 padding is wrong"
    return None if _SET_64.issuperset(text) else "a character is not in GS1 set 64"


def _csum(component: str) -> str | None:
    if not component or not _DIGITS.issuperset(component):
        return "digits with a check digit are needed"
    right = gs1.check_digit(component[:-1])
    return None if component[-1] == right else f"the check digit is wrong, {right} would be right"


def _primes(count: int) -> list[int]:
    primes: list[int] = []
    candidate = 2
    while len(primes) < count:
        if all(candidate % prime for prime in primes):
            primes.append(candidate)
        candidate += 1
    return primes


_PRIMES = _primes(ALPHA_CHECKED_LENGTH_MAX)


def _csumalpha(component: str) -> str | None:
    """GS1 General Specifications, check character calculation for alphanumeric keys."""
    data, pair = component[:-2], component[-2:]
    if len(component) < 2 or len(data) > ALPHA_CHECKED_LENGTH_MAX:
        return "the length is wrong for a pair of check characters"
    if not gs1.is_set_82(data):
        return "a character is not in GS1 set 82"
    weighted = (
        _SET_82_VALUES[character] * prime
        for character, prime in zip(reversed(data), _PRIMES, strict=False)
    )
    total = sum(weighted) % 1021
    right = gs1.SET_32[total >> 5] + gs1.SET_32[total & 31]
    return None if pair == right else f"the check characters are wrong, {right} would be right"


def _gcppos1(component: str, gcp_lookup: GcpLookup) -> str | None:
    prefix = component[:GCP_LENGTH_MIN]
    if len(prefix) < GCP_LENGTH_MIN or not _DIGITS.issuperset(prefix):
        return "it does not begin with a GS1 Company Prefix"
    match gcp_lookup(component):
        case "valid":
            return None
        case "invalid":
            return "its GS1 Company Prefix is not in the register"
        case "offline":
            return "the register of GS1 Company Prefixes cannot be asked"


def _gcppos2(component: str, gcp_lookup: GcpLookup) -> str | None:
    return _gcppos1(component[1:], gcp_lookup)


def _couponcode(component: str, gcp_lookup: GcpLookup) -> str | None:
    return coupons.coupon_code_problem(
        component, lambda prefix: _gcppos1(prefix, gcp_lookup), _yymmdd
    )


def _date_problem(digits: str, year_length: int, *, day_may_be_zero: bool) -> str | None:
    if len(digits) != year_length + 4 or not _DIGITS.issuperset(digits):
        return f"a date has {year_length + 4} digits"
    # Two-digit years are of 2000 to 2099 as far as leap years go.
    year = int(digits[:year_length]) + (2000 if year_length == 2 else 0)
    month, day = int(digits[-4:-2]), int(digits[-2:])
    if not 1 <= month <= 12:
        return f"there is no month {month:02}"
    if day == 0 and day_may_be_zero:
        return None
    # Year 0 is no year of the calendar module, but a leap year like 2000.
    days = calendar.monthrange(year or 2000, month)[1]
    return None if 1 <= day <= days else f"month {month:02} has no day {day:02}"


def _yymmdd(component: str) -> str | None:
    return _date_problem(component, 2, day_may_be_zero=False)


def _yymmd0(component: str) -> str | None:
    return _date_problem(component, 2, day_may_be_zero=True)


def _yyyymmdd(component: str) -> str | None:
    return _date_problem(component, 4, day_may_be_zero=False)


def _yyyymmd0(component: str) -> str | None:
    return _date_problem(component, 4, day_may_be_zero=True)


def _two_digits_below(component: str, limit: int, noun: str) -> str | None:
    if len(component) != 2 or not _DIGITS.issuperset(component) or int(component) >= limit:
        return f"{noun} is 00 to {limit - 1}"
    return None


def _hh(component: str) -> str | None:
    return _two_digits_below(component, 24, "an hour")


def _mi(component: str) -> str | None:
    return _two_digits_below(component, 60, "a minute")


def _ss(component: str) -> str | None:
    return _two_digits_below(component, 60, "a second")


def _hhmi(component: str) -> str | None:
    return _hh(component[:2]) or _mi(component[2:])


def _coordinate_problem(component: str, limit: int, noun: str) -> str | None:
    if len(component) != 10 or not _DIGITS.issuperset(component) or int(component) > limit:
        return f"a {noun} is ten digits, at most {limit:010}"
    return None


def _latitude(component: str) -> str | None:
    return _coordinate_problem(component, 1_800_000_000, "latitude")


def _longitude(component: str) -> str | None:
    return _coordinate_problem(component, 3_600_000_000, "longitude")


def _hasnondigit(component: str) -> str | None:
    return "a character that is no digit is needed" if _DIGITS.issuperset(component) else None


def _hyphen(component: str) -> str | None:
    return None if component and not component.strip("-") else "only a hyphen is allowed"


def _iban(component: str) -> str | None:
    """ISO 13616-1: a country, two check digits, at most 34 characters, 1 modulo 97."""
    if component[:2] not in codes_of("iso3166alpha2"):
        return "an IBAN begins with a country of ISO 3166"
    if not IBAN_LENGTH_MIN <= len(component) <= IBAN_LENGTH_MAX:
        return f"an IBAN has {IBAN_LENGTH_MIN} to {IBAN_LENGTH_MAX} characters"
    if not re.fullmatch(r"[0-9A-Z]+", component):
        return "an IBAN has digits and capital letters only"
    digits = "".join(str(int(character, 36)) for character in component[4:] + component[:4])
    return None if int(digits) % 97 == 1 else "the IBAN's check digits are wrong"


def _importeridx(component: str) -> str | None:
    if len(component) == 1 and component in _IMPORTER_INDEXES:
        return None
    return "an importer index is one letter, digit, - or _"


def _in_list(name: CodeList, sentence: str) -> Linter:
    return lambda component: None if component in codes_of(name) else sentence


_iso3166 = _in_list("iso3166", "not a numeric country code of ISO 3166-1")


def _iso3166999(component: str) -> str | None:
    return None if component == "999" else _iso3166(component)


def _one_of(allowed: str, sentence: str) -> Linter:
    return lambda component: None if len(component) == 1 and component in allowed else sentence


def _nonzero(component: str) -> str | None:
    if not component or not _DIGITS.issuperset(component) or not component.strip("0"):
        return "a number above zero is needed"
    return None


def _nozeroprefix(component: str) -> str | None:
    if component.startswith("0") or not _DIGITS.issuperset(component):
        return "a number without leading zeros is needed"
    return None


def _pcenc(component: str) -> str | None:
    return "a % is not followed by two hex digits" if _BAD_ESCAPE.search(component) else None


def _pieceoftotal(component: str) -> str | None:
    half = len(component) // 2
    if not component or len(component) % 2 or not _DIGITS.issuperset(component):
        return "a piece and a total of equally many digits are needed"
    if not 1 <= int(component[:half]) <= int(component[half:]):
        return "a piece is 1 to the total of pieces"
    return None


def _posinseqslash(component: str) -> str | None:
    parts = _POSITION_IN_SEQUENCE.fullmatch(component)
    if parts is None or int(parts[1]) > int(parts[2]):
        return "a position, a slash and the number of all are needed, such as 2/3"
    return None


def _zero(component: str) -> str | None:
    return None if component and not component.strip("0") else "only zero is allowed"


_LINTERS: Final[dict[str, Linter]] = {
    "couponposoffer": coupons.positive_offer_problem,
    "cset39": _cset39,
    "cset64": _cset64,
    "cset82": _cset82,
    "csetnumeric": _csetnumeric,
    "csum": _csum,
    "csumalpha": _csumalpha,
    "hasnondigit": _hasnondigit,
    "hh": _hh,
    "hhmi": _hhmi,
    "hyphen": _hyphen,
    "iban": _iban,
    "importeridx": _importeridx,
    "iso3166": _iso3166,
    "iso3166999": _iso3166999,
    "iso3166alpha2": _in_list("iso3166alpha2", "not a two-letter country code of ISO 3166-1"),
    "iso4217": _in_list("iso4217", "not a numeric currency code of ISO 4217"),
    "iso5218": _one_of("0129", "a sex is 0, 1, 2 or 9 (ISO 5218)"),
    "latitude": _latitude,
    "longitude": _longitude,
    "mediatype": _in_list("mediatype", "not a GS1 AIDC media type"),
    "mi": _mi,
    "nonzero": _nonzero,
    "nozeroprefix": _nozeroprefix,
    "packagetype": _in_list("packagetype", "not a GS1 package type"),
    "pcenc": _pcenc,
    "pieceoftotal": _pieceoftotal,
    "posinseqslash": _posinseqslash,
    "ss": _ss,
    "winding": _one_of("019", "a winding direction is 0, 1 or 9"),
    "yesno": _one_of("01", "0 (no) or 1 (yes) is needed"),
    "yymmd0": _yymmd0,
    "yymmdd": _yymmdd,
    "yyyymmd0": _yyyymmd0,
    "yyyymmdd": _yyyymmdd,
    "zero": _zero,
}
_GCP_LINTERS: Final[dict[str, Callable[[str, GcpLookup], str | None]]] = {
    "couponcode": _couponcode,
    "gcppos1": _gcppos1,
    "gcppos2": _gcppos2,
}
LINTER_NAMES: Final = frozenset(_LINTERS) | frozenset(_GCP_LINTERS)
