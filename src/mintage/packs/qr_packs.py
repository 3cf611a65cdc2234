"""The `qr_svg` and `qr_png` formats: a ZIP of a symbol per unit and `codes.csv` that names them (SPEC §7).

Not here: symbols (`symbols`) and how one is drawn (`symbol_svg`, `symbol_png`); sheets of labels
(`labels_pdf`).
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import zxingcpp
from numpy.typing import NDArray
from pydantic import Field

from mintage.packs.context import (
    PackContext,
    PackOptions,
    PackRefusal,
    PackSubject,
    PackUnreadable,
)
from mintage.packs.libraries import grey_pixels
from mintage.packs.rows import UnitRow
from mintage.packs.samples import sample_of
from mintage.packs.symbol_png import INCH_MM, symbol_png
from mintage.packs.symbol_svg import read_symbol_svg, symbol_svg
from mintage.packs.symbols import QUIET_ZONE_MODULES, ErrorCorrection, qr_symbol
from mintage.packs.tables import table
from mintage.packs.zip_stream import ZipEntry, zip_stream

CODES: Final = "codes.csv"
COLUMNS: Final = ("file_name", "unit_id", "serial_number", "resolver_url")
VERIFIED_MAX: Final = 50
"""So many symbols of a pack are read back before it is closed."""
_ERROR_CORRECTION: Final = "L, M, Q or H: some 7, 15, 25 or 30 % of the symbol may be lost"
_QUIET_ZONE: Final = (
    "0 to 16: light modules on every side, less than 4 only where the artwork has them"
)
_MODULE_MM: Final = "0.1 to 10: the width of one module in millimetres"
# The file of a URL is drawn once for all units of a lot.
_KEPT_FILES: Final = 16
_MARGIN_MODULES: Final = 4
_DEVIATION_MAX: Final = 0.05
_QR: Final = zxingcpp.barcode_formats_from_str("QRCode")

_Draw = Callable[[str], bytes]


class QrSvgOptions(PackOptions):
    """`module_mm` is exact: an SVG has no pixels."""

    error_correction: ErrorCorrection = Field(default="M", description=_ERROR_CORRECTION)
    module_mm: float = Field(default=0.5, ge=0.1, le=10, description=_MODULE_MM)
    quiet_zone_modules: int = Field(
        default=QUIET_ZONE_MODULES["qr"], ge=0, le=16, description=_QUIET_ZONE
    )


class QrPngOptions(PackOptions):
    """A module is `module_px` pixels, or as many as `module_mm` are at `dpi`, which the file states."""

    error_correction: ErrorCorrection = Field(default="M", description=_ERROR_CORRECTION)
    module_px: int = Field(
        default=10, ge=1, le=100, description="1 to 100: the width of one module in pixels"
    )
    module_mm: float | None = Field(
        default=None, ge=0.1, le=10, description=f"{_MODULE_MM}, taken before module_px"
    )
    dpi: int = Field(
        default=600, ge=72, le=4800, description="72 to 4,800: pixels an inch, stated in the file"
    )
    quiet_zone_modules: int = Field(
        default=QUIET_ZONE_MODULES["qr"], ge=0, le=16, description=_QUIET_ZONE
    )

    def pixels(self) -> int:
        """The width of one module in whole pixels."""
        if self.module_mm is None:
            return self.module_px
        return max(round(self.module_mm * self.dpi / INCH_MM), 1)


def write_qr_svg(context: PackContext, rows: Iterable[UnitRow]) -> Iterator[bytes]:
    """The ZIP, streamed: `{unit_id}.svg` for each unit, `codes.csv` last."""
    options = context.options_as(QrSvgOptions)

    def draw(url: str) -> bytes:
        symbol = qr_symbol(url, options.error_correction)
        return symbol_svg(symbol, options.module_mm, options.quiet_zone_modules)

    return zip_stream(_entries(rows, draw, "svg"), context.generated_at)


def write_qr_png(context: PackContext, rows: Iterable[UnitRow]) -> Iterator[bytes]:
    """The ZIP, streamed: `{unit_id}.png` for each unit, `codes.csv` last."""
    options = context.options_as(QrPngOptions)
    module_px = options.pixels()

    def draw(url: str) -> bytes:
        symbol = qr_symbol(url, options.error_correction)
        return symbol_png(symbol, module_px, options.dpi, options.quiet_zone_modules)

    return zip_stream(_entries(rows, draw, "png"), context.generated_at)


def refuse_qr_png(subject: PackSubject) -> list[PackRefusal]:
    """A module in millimetres that whole pixels of this resolution miss by more than 5 %."""
    options = subject.options_as(QrPngOptions)
    if options.module_mm is None:
        return []
    exact = options.module_mm * options.dpi / INCH_MM
    if abs(options.pixels() - exact) <= _DEVIATION_MAX * exact:
        return []
    fitting = [
        f"{pixels * INCH_MM / options.dpi:.3f}" for pixels in (int(exact), int(exact) + 1) if pixels
    ]
    message = (
        f"A module of {options.module_mm:g} mm is {exact:.2f} pixels at {options.dpi} dpi, and pixels are "
        f"whole. Ask for module_mm {' or '.join(fitting)}, or for another dpi."
    )
    return [PackRefusal("FORMAT_NOT_APPLICABLE", message)]


def verify_qr_svg(_context: PackContext, rows: Sequence[UnitRow], path: Path) -> None:
    """Raises `PackUnreadable` unless the ZIP has a symbol for each unit and a sample reads as its URL."""
    _verify(rows, path, "svg", lambda content: _pixels(read_symbol_svg(content)))


def verify_qr_png(_context: PackContext, rows: Sequence[UnitRow], path: Path) -> None:
    """Raises `PackUnreadable` unless the ZIP has a symbol for each unit and a sample reads as its URL."""
    _verify(rows, path, "png", grey_pixels)


def _entries(rows: Iterable[UnitRow], draw: _Draw, extension: str) -> Iterator[ZipEntry]:
    drawn = lru_cache(_KEPT_FILES)(draw)
    codes = []
    for row in rows:
        name = f"{row.unit_id}.{extension}"
        codes.append((name, str(row.unit_id), row.serial_number or "", row.resolver_url))
        yield ZipEntry(name, drawn(row.resolver_url), is_deflated=extension == "svg")
    yield ZipEntry(CODES, b"".join(table(COLUMNS, codes, None)), is_deflated=True)


def _verify(
    rows: Sequence[UnitRow],
    path: Path,
    extension: str,
    pixels_of: Callable[[bytes], NDArray[np.uint8]],
) -> None:
    with zipfile.ZipFile(path) as archive:
        due = [f"{row.unit_id}.{extension}" for row in rows] + [CODES]
        if archive.namelist() != due:
            raise PackUnreadable("the ZIP has other files than its units")
        for row in sample_of(rows, VERIFIED_MAX):
            pixels = pixels_of(archive.read(f"{row.unit_id}.{extension}"))
            read = zxingcpp.read_barcode(pixels, _QR, is_pure=True)
            if read is None or read.text != row.resolver_url:
                raise PackUnreadable(f"the symbol of unit {row.unit_no} does not read as its URL")


def _pixels(modules: NDArray[np.bool_]) -> NDArray[np.uint8]:
    dark = np.kron(np.pad(modules, _MARGIN_MODULES), np.ones((3, 3), dtype=np.bool_))
    return np.where(dark, 0, 255).astype(np.uint8)
