"""Reading labels back before a pack is closed: a sample of them, drawn by PDFium and read by zxing-cpp."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import zxingcpp

from mintage.packs.context import PackContext, PackUnreadable
from mintage.packs.label_options import LabelsPdfOptions
from mintage.packs.label_rendering import rendered
from mintage.packs.labels_pdf import start_position
from mintage.packs.rows import UnitRow
from mintage.packs.samples import sample_of
from mintage.packs.symbols import SymbolKind, element_string, gs1_elements

VERIFIED_MAX: Final = 40
"""So many labels of a pack are read back."""
_PIXELS_A_MODULE: Final = 6
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
    with rendered(path, sheet) as labels:
        if labels.pages != sheet.pages(len(rows), first + 1):
            raise PackUnreadable(f"the file has {labels.pages} pages")
        for place in sample_of(range(len(rows)), VERIFIED_MAX):
            page, position = divmod(first + place, sheet.labels)
            pixels = labels.label(page, position, _PIXELS_A_MODULE / options.module_mm)
            read = zxingcpp.read_barcodes(pixels, _FORMATS[options.symbol])
            if [each.text for each in read] != [_due(rows[place], options.symbol)]:
                raise PackUnreadable(f"the label of unit {rows[place].unit_no} does not read as it")


def _due(row: UnitRow, kind: SymbolKind) -> str:
    """What a reader says of the symbol."""
    return row.resolver_url if kind == "qr" else element_string(gs1_elements(row))
