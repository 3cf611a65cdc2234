"""Two SGTIN libraries that are not ours, and where each of them is known to be wrong.

epcpy 0.1.8 refuses a URI whose serial has %2F, %3C, %3E or %3F at its beginning or right behind %22,
%25 or %26: it takes the escapes apart by two digits. pyepc 0.5.0 writes no escapes into URIs, fills
198 bits up to 50 hexadecimal digits, where a tag has whole words, and for that keeps the last two bits
of a serial of 20 characters at the wrong end of the digit.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass

from mintage.rules.sgtin import Scheme

with warnings.catch_warnings():
    # Patterns with escapes that Python warns of when it compiles them.
    warnings.simplefilter("ignore")
    import epcpy.epc_schemes.sgtin as epcpy
    import pyepc
    from epcpy.utils.common import ConvertException

EpcpyRefusal = ConvertException
_EPCPY_REFUSES = re.compile(r"(?:^|%[0-9]{2})%[0-9][A-F]")


@dataclass(frozen=True)
class Reading:
    """What a library reads from a tag, and what it writes for the same SGTIN; None: it cannot."""

    gtin: str
    serial: str
    tag_hex: str
    pure_identity_uri: str | None
    tag_uri: str | None


def epcpy_refuses(escaped_serial: str) -> bool:
    """True where epcpy is known to refuse a right URI."""
    return _EPCPY_REFUSES.search(escaped_serial) is not None


def read_by_epcpy(tag_hex: str, scheme: Scheme, filter_value: int) -> Reading:
    read = epcpy.SGTIN.from_hex(tag_hex)
    coding = epcpy.SGTIN.BinaryCodingScheme(scheme)
    known_filter = epcpy.SGTINFilterValue(str(filter_value))
    element_string = read.gs1_element_string()
    return Reading(
        gtin=element_string[4:18],
        serial=element_string[22:],
        tag_hex=read.hex(binary_coding_scheme=coding, filter_value=known_filter),
        pure_identity_uri=read.epc_uri,
        tag_uri=read.tag_uri(coding, known_filter),
    )


def read_by_pyepc(tag_hex: str, scheme: Scheme, filter_value: int) -> Reading:
    read = pyepc.SGTIN.decode(tag_hex)
    terms = (pyepc.SGTIN.BinarySchemes(scheme), pyepc.SGTIN.FilterValues(str(filter_value)))
    written = read.encode(*terms)
    if scheme == "sgtin-198":
        if len(read.serial_number) == 20:
            written = written[:-1] + format(int(written[-1], 16) << 2, "X")
        written += "00"
    has_no_escapes = not re.search(r'["%&/<>?]', read.serial_number)
    return Reading(
        gtin=read.gtin,
        serial=read.serial_number,
        tag_hex=written,
        pure_identity_uri=read.pure_identity_uri if has_no_escapes else None,
        tag_uri=read.get_tag_uri(*terms) if has_no_escapes else None,
    )
