"""Bars of GS1-128, held against those of the library and read by its reader."""

from __future__ import annotations

import numpy as np
import pytest
import zxingcpp
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mintage.packs.code128 import gs1_128_modules
from mintage.rules.gs1 import SET_82
from tests.packs.building import GTIN
from tests.packs.symbol_reading import drawn, read_all

# Serials as they are: of any character, generated ones, and runs of digits among letters.
serials = st.one_of(
    st.text(SET_82, min_size=1, max_size=20),
    st.text("0123456789ABCDEFGHJKMNPQRSTVWXYZ", min_size=16, max_size=16),
    st.text("0123456789", min_size=1, max_size=20),
    st.from_regex(r"[A-Z]{0,2}[0-9]{0,8}[A-Z]{1,2}[0-9]{0,8}", fullmatch=True),
)


def of_library(serial: str) -> NDArray[np.bool_]:
    barcode = zxingcpp.create_barcode(
        f"[01]{GTIN}[21]{serial}", zxingcpp.BarcodeFormat.Code128, gs1=True
    )
    pixels: NDArray[np.uint8] = np.asarray(barcode.to_image(scale=1, add_quiet_zones=False))
    return np.equal(pixels[:1], 0)


@given(serials)
def test_bars_say_what_was_asked_for_and_are_no_wider_than_the_librarys(serial: str) -> None:
    modules = gs1_128_modules(f"01{GTIN}21{serial}")
    assert modules.shape == of_library(serial).shape
    (read,) = read_all(drawn(modules, height=40))
    assert read.symbology_identifier == "]C1"
    assert read.bytes == f"01{GTIN}21{serial}".encode()


@pytest.mark.parametrize("value", range(100))
def test_a_pair_of_digits_has_the_librarys_bars(value: int) -> None:
    serial = f"{value:02}" * 3
    assert np.array_equal(gs1_128_modules(f"01{GTIN}21{serial}"), of_library(serial))


@pytest.mark.parametrize("character", SET_82)
def test_a_character_has_the_librarys_bars(character: str) -> None:
    serial = f"A{character}A"
    assert np.array_equal(gs1_128_modules(f"01{GTIN}21{serial}"), of_library(serial))


@pytest.mark.parametrize("content", ["", "AB12", "123", "0109\x1d", "0109\n", "0109é", "٠١٠٩"])
def test_what_cannot_be_said_so_is_refused(content: str) -> None:
    with pytest.raises(ValueError, match="begins with digits"):
        gs1_128_modules(content)
