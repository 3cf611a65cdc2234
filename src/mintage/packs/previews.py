"""One label or symbol of a format with its options, to look at before packs are asked for (SPEC §7).

It is made by the format's own writer, so it looks as the packs will. Not here: which unit is shown, and
whether the format fits the batch (`refuse`).
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, replace
from typing import Final

from mintage.packs.context import PackContext
from mintage.packs.label_options import LabelsPdfOptions
from mintage.packs.label_rendering import rendered
from mintage.packs.labels_pdf import start_position, write_labels_pdf
from mintage.packs.libraries import png_of
from mintage.packs.qr_packs import write_qr_png, write_qr_svg
from mintage.packs.rows import UnitRow

PREVIEWED_FORMATS: Final = frozenset({"labels_pdf", "qr_png", "qr_svg"})
PIXELS_MAX: Final = 2000


@dataclass(frozen=True, slots=True)
class Preview:
    """A picture for a browser."""

    media_type: str
    content: bytes


def preview(format_name: str, context: PackContext, row: UnitRow, width_px: int = 640) -> Preview:
    """What the format makes of `row`: a PNG of the whole label, `width_px` wide, or the symbol's own file.

    Raises `KeyError` for a format that makes no pictures, `DoesNotFit` for a label that cannot hold it,
    `ValueError` for a width that is not 1 to 2,000 pixels.
    """
    if format_name not in PREVIEWED_FORMATS:
        raise KeyError(format_name)
    if not 1 <= width_px <= PIXELS_MAX:
        raise ValueError(f"a preview is 1 to {PIXELS_MAX} pixels wide, not {width_px}")
    alone = replace(context, pack_index=1, pack_count=1, unit_count=1)
    if format_name == "labels_pdf":
        return Preview("image/png", _label_png(alone, row, width_px))
    if format_name == "qr_svg":
        return Preview("image/svg+xml", _first_file(b"".join(write_qr_svg(alone, [row]))))
    return Preview("image/png", _first_file(b"".join(write_qr_png(alone, [row]))))


def _label_png(context: PackContext, row: UnitRow, width_px: int) -> bytes:
    options = context.options_as(LabelsPdfOptions)
    sheet = options.measured()
    if isinstance(sheet, str):
        raise ValueError(sheet)
    content = b"".join(write_labels_pdf(context, [row]))
    with rendered(content, sheet) as labels:
        position = start_position(context, options) - 1
        pixels = labels.label(0, position, width_px / sheet.label_width_mm)
    return png_of(pixels)


def _first_file(archive: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return opened.read(opened.namelist()[0])
