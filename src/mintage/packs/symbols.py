"""Bar codes as arrays of modules: QR Code of a URL, GS1 DataMatrix and GS1-128 of a GTIN and a serial or lot.

The encoder of square symbols is zxing-cpp's (ISO/IEC 18004, 16022; GS1 General Specifications 5.6). It takes
unknown keyword arguments in silence, so what was asked for is read back from each symbol. Not here: the bars
of a GS1-128 (`code128`), how a symbol is drawn (`symbol_svg`, `symbol_png`, `label_document`), and what a
unit's URL is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

import numpy as np
import zxingcpp
from numpy.typing import NDArray

from mintage.packs.code128 import gs1_128_modules
from mintage.packs.rows import UnitRow

ErrorCorrection = Literal["L", "M", "Q", "H"]
SymbolKind = Literal["qr", "gs1_datamatrix", "gs1_128"]
QUIET_ZONE_MODULES: Final[dict[SymbolKind, int]] = {"qr": 4, "gs1_datamatrix": 1, "gs1_128": 10}
"""The least that the standards ask for on every side (GS1-128: left and right alone)."""

# The units of a lot have one URL, and most packs go through few lots at a time.
_KEPT_SYMBOLS: Final = 64


class SymbolFault(Exception):
    """The encoder did not make what it was asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class Symbol:
    """A symbol without its quiet zone. `modules`: rows from the top, True is dark; GS1-128 has one row."""

    modules: NDArray[np.bool_]

    @property
    def width(self) -> int:
        """In modules."""
        return int(self.modules.shape[1])

    @property
    def height(self) -> int:
        """In modules; 1 for GS1-128, whose bars are as high as they are drawn."""
        return int(self.modules.shape[0])

    def with_quiet_zone(self, modules: int) -> NDArray[np.bool_]:
        """The modules with so many light ones on every side."""
        return np.pad(self.modules, modules)


@lru_cache(_KEPT_SYMBOLS)
def qr_symbol(url: str, error_correction: ErrorCorrection) -> Symbol:
    """A QR Code (model 2) of `url`, of the smallest version that holds it at this level.

    Raises `SymbolFault` for a URL that no version holds.
    """
    barcode = _encoded(url, zxingcpp.BarcodeFormat.QRCode, ec_level=error_correction)
    if barcode.ec_level != error_correction or barcode.bytes != url.encode():
        raise SymbolFault(f"a QR code of level {error_correction} was asked for")
    return Symbol(_modules(barcode))


@lru_cache(_KEPT_SYMBOLS)
def gs1_datamatrix_symbol(elements: tuple[tuple[str, str], ...]) -> Symbol:
    """A square GS1 DataMatrix (ECC 200, FNC1 in first position) of (AI, value) pairs."""
    barcode = _encoded(
        _bracketed(elements), zxingcpp.BarcodeFormat.DataMatrix, gs1=True, force_square=True
    )
    modules = _modules(barcode)
    if barcode.symbology_identifier != "]d2" or modules.shape[0] != modules.shape[1]:
        raise SymbolFault("a square GS1 DataMatrix was asked for")
    return Symbol(modules)


@lru_cache(_KEPT_SYMBOLS)
def gs1_128_symbol(elements: tuple[tuple[str, str], ...]) -> Symbol:
    """A GS1-128 (Code 128 with FNC1 in first position) of (AI, value) pairs, as one row of modules.

    The first is a GTIN, and none but the last has a value of variable length: there is no separator.
    """
    content = "".join(f"{identifier}{value}" for identifier, value in elements)
    try:
        return Symbol(gs1_128_modules(content))
    except ValueError as fault:
        raise SymbolFault(str(fault)) from fault


def symbol_of(row: UnitRow, kind: SymbolKind, error_correction: ErrorCorrection) -> Symbol:
    """The symbol of a unit; `error_correction` matters to QR alone.

    Raises `ValueError` for a GS1 symbol of a unit without GTIN.
    """
    if kind == "qr":
        return qr_symbol(row.resolver_url, error_correction)
    if kind == "gs1_datamatrix":
        return gs1_datamatrix_symbol(gs1_elements(row))
    return gs1_128_symbol(gs1_elements(row))


def gs1_elements(row: UnitRow) -> tuple[tuple[str, str], ...]:
    """(01) GTIN and (21) serial, or (10) lot in batch mode: the element string of a unit.

    Raises `ValueError` for a unit without GTIN, or with neither serial nor lot.
    """
    if row.gtin is None:
        raise ValueError("a GS1 symbol needs a GTIN")
    if row.serial_number is not None:
        return (("01", row.gtin), ("21", row.serial_number))
    if row.lot_code is None:
        raise ValueError("a GS1 symbol needs a serial or a lot")
    return (("01", row.gtin), ("10", row.lot_code))


def element_string(elements: tuple[tuple[str, str], ...]) -> str:
    """What a reader says of such a symbol, in the bracketed form that people read."""
    return "".join(f"({identifier}){value}" for identifier, value in elements)


def _bracketed(elements: tuple[tuple[str, str], ...]) -> str:
    # Square brackets: set 82 has round ones, so a serial could look like an AI between them.
    return "".join(f"[{identifier}]{value}" for identifier, value in elements)


def _encoded(
    content: str, barcode_format: zxingcpp.BarcodeFormat, **options: str | bool
) -> zxingcpp.Barcode:
    try:
        return zxingcpp.create_barcode(content, barcode_format, **options)
    except ValueError as fault:
        raise SymbolFault(str(fault)) from fault


def _modules(barcode: zxingcpp.Barcode) -> NDArray[np.bool_]:
    pixels: NDArray[np.uint8] = np.asarray(barcode.to_image(scale=1, add_quiet_zones=False))
    return np.equal(pixels, 0)
