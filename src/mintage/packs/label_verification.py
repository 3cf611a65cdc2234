"""Reading labels back before their pack is closed: a sample of them, drawn by PDFium, read by zxing-cpp."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pypdfium2  # type: ignore[import-untyped]
import zxingcpp
from numpy.typing import NDArray

from mintage.packs.context import PackContext, PackUnreadable
from mintage.packs.label_layout import POINT_MM
from mintage.packs.label_options import LabelsPdfOptions
from mintage.packs.label_sheets import Sheet
from mintage.packs.labels_pdf import start_position
from mintage.packs.rows import UnitRow
from mintage.packs.samples import sample_of
from mintage.packs.symbols import SymbolKind, element_string, gs1_elements

VERIFIED_MAX: Final = 40
"""So many labels of a pack are read back."""
_PIXELS_A_MODULE: Final = 6
# PDFium is not made for several threads; in processes of their own packs do not wait for each other.
_PDFIUM: Final = threading.Lock()
_FORMATS: Final[dict[SymbolKind, zxingcpp.BarcodeFormats]] = {
    "qr": zxingcpp.barcode_formats_from_str("QRCode"),
    "gs1_datamatrix": zxingcpp.barcode_formats_from_str("DataMatrix"),
    "gs1_128": zxingcpp.barcode_formats_from_str("Code128"),
}


def verify_labels_pdf(context: PackContext, rows: Sequence[UnitRow], path: Path) -> None:
    """Raises `PackUnreadable` unless the file has the pages it should, and a sample reads as its units."""
    options = context.options_as(LabelsPdfOptions)
    sheet = options.measured()
    if isinstance(sheet, str):
        raise PackUnreadable(sheet)
    first = start_position(context, options) - 1
    with _PDFIUM, pypdfium2.PdfDocument(path) as document:
        if len(document) != sheet.pages(len(rows), first + 1):
            raise PackUnreadable(f"the file has {len(document)} pages")
        for place in sample_of(range(len(rows)), VERIFIED_MAX):
            page, position = divmod(first + place, sheet.labels)
            pixels = _label_pixels(document, sheet, page, position, options.module_mm)
            read = zxingcpp.read_barcodes(pixels, _FORMATS[options.symbol])
            if [each.text for each in read] != [_due(rows[place], options.symbol)]:
                raise PackUnreadable(f"the label of unit {rows[place].unit_no} does not read as it")


def _due(row: UnitRow, kind: SymbolKind) -> str:
    """What a reader says of the symbol."""
    return row.resolver_url if kind == "qr" else element_string(gs1_elements(row))


def _label_pixels(
    document: pypdfium2.PdfDocument, sheet: Sheet, page: int, position: int, module_mm: float
) -> NDArray[np.uint8]:
    """One label, in grey."""
    left, top = sheet.corner(position)
    crop_mm = (
        left,
        sheet.page_height_mm - top - sheet.label_height_mm,
        sheet.page_width_mm - left - sheet.label_width_mm,
        top,
    )
    bitmap = document[page].render(
        scale=_PIXELS_A_MODULE * POINT_MM / module_mm,
        crop=tuple(each / POINT_MM for each in crop_mm),
        grayscale=True,
    )
    pixels: NDArray[np.uint8] = bitmap.to_numpy()
    return np.ascontiguousarray(pixels.reshape(pixels.shape[0], pixels.shape[1]))
