"""Symbols are read back by the reader, and say what was asked for."""

from __future__ import annotations

import pytest
import zxingcpp
from hypothesis import given
from hypothesis import strategies as st

from mintage.packs.symbols import (
    ErrorCorrection,
    SymbolFault,
    SymbolKind,
    element_string,
    gs1_128_symbol,
    gs1_datamatrix_symbol,
    gs1_elements,
    qr_symbol,
    symbol_of,
)
from mintage.rules.gs1 import SET_82
from tests.packs.building import GTIN, row
from tests.packs.symbol_reading import drawn, read_all

URL = f"https://id.example.com/01/{GTIN}/21/J9WXRCH3QS2CSRND"
GROUP_SEPARATOR = "\x1d"
LEVELS: tuple[ErrorCorrection, ...] = ("L", "M", "Q", "H")


@pytest.mark.parametrize("level", LEVELS)
def test_a_qr_code_has_the_level_that_was_asked_for(level: ErrorCorrection) -> None:
    (read,) = read_all(drawn(qr_symbol(URL, level).modules))
    assert (read.format, read.text, read.ec_level) == (zxingcpp.BarcodeFormat.QRCode, URL, level)


def test_more_error_correction_takes_more_modules() -> None:
    sizes = [qr_symbol(URL, level).width for level in LEVELS]
    assert sizes == sorted(set(sizes))
    assert all((size - 17) % 4 == 0 for size in sizes)


def test_an_url_that_no_version_holds_is_a_fault() -> None:
    assert qr_symbol("https://a.de/" + "a" * 1250, "H").width == 177
    with pytest.raises(SymbolFault):
        qr_symbol("https://a.de/" + "a" * 1300, "H")


@given(st.text("abcXYZ0123456789-._~%/", min_size=1, max_size=150), st.sampled_from(LEVELS))
def test_any_url_reads_as_itself(tail: str, level: ErrorCorrection) -> None:
    url = f"https://id.example.com/{tail}"
    (read,) = read_all(drawn(qr_symbol(url, level).modules))
    assert read.text == url


@given(st.text(SET_82, min_size=1, max_size=20))
def test_any_serial_reads_as_itself_after_the_function_character(serial: str) -> None:
    elements = gs1_elements(row(serial_number=serial))
    (matrix,) = read_all(drawn(gs1_datamatrix_symbol(elements).modules))
    (linear,) = read_all(drawn(gs1_128_symbol(elements).modules, height=40))
    # ]d2 and ]C1: a DataMatrix and a Code 128 with FNC1 first, which is what makes them GS1's.
    assert (matrix.symbology_identifier, linear.symbology_identifier) == ("]d2", "]C1")
    assert matrix.content_type == linear.content_type == zxingcpp.ContentType.GS1
    data = f"01{GTIN}21{serial}".encode()
    assert matrix.bytes == linear.bytes == data


def test_a_serial_that_looks_like_an_identifier_stays_a_serial() -> None:
    elements = gs1_elements(row(serial_number="A(10)B"))
    (read,) = read_all(drawn(gs1_datamatrix_symbol(elements).modules))
    assert GROUP_SEPARATOR.encode() not in read.bytes
    assert read.bytes == f"01{GTIN}21A(10)B".encode()


def test_a_lot_stands_where_there_is_no_serial() -> None:
    elements = gs1_elements(row(serial_number=None, lot_code="L-2026"))
    assert element_string(elements) == f"(01){GTIN}(10)L-2026"
    (read,) = read_all(drawn(gs1_128_symbol(elements).modules, height=40))
    assert read.text == f"(01){GTIN}(10)L-2026"


@pytest.mark.parametrize("length", range(1, 21))
def test_a_datamatrix_is_square(length: int) -> None:
    symbol = gs1_datamatrix_symbol((("01", GTIN), ("10", "A" * length)))
    assert symbol.width == symbol.height


@pytest.mark.parametrize("kind", ["gs1_datamatrix", "gs1_128"])
def test_a_unit_without_gtin_has_no_gs1_symbol(kind: SymbolKind) -> None:
    with pytest.raises(ValueError, match="GTIN"):
        symbol_of(row(gtin=None), kind, "M")


def test_a_unit_without_serial_and_lot_has_no_gs1_symbol() -> None:
    with pytest.raises(ValueError, match="serial or a lot"):
        gs1_elements(row(serial_number=None))
