"""Labels of a PDF as pixels, by PDFium: for reading them back, and for looking at one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mintage.packs.label_layout import POINT_MM
from mintage.packs.label_sheets import Sheet
from mintage.packs.libraries import open_pdf

# PDFium is not made for several threads; in processes of their own packs do not wait for each other.
_PDFIUM: Final = threading.Lock()


class RenderedLabels:
    """The pages of an open file."""

    def __init__(self, document: Any, sheet: Sheet) -> None:
        self._document = document
        self._sheet = sheet

    @property
    def pages(self) -> int:
        """How many there are."""
        return len(self._document)

    def label(self, page: int, position: int, pixels_a_mm: float) -> NDArray[np.uint8]:
        """One label in grey, rows from the top; pages and positions count from 0."""
        sheet = self._sheet
        left, top = sheet.corner(position)
        crop_mm = (
            left,
            sheet.page_height_mm - top - sheet.label_height_mm,
            sheet.page_width_mm - left - sheet.label_width_mm,
            top,
        )
        bitmap = self._document[page].render(
            scale=pixels_a_mm * POINT_MM,
            crop=tuple(each / POINT_MM for each in crop_mm),
            grayscale=True,
        )
        pixels: NDArray[np.uint8] = bitmap.to_numpy()
        return np.ascontiguousarray(pixels.reshape(pixels.shape[0], pixels.shape[1]))


@contextmanager
def rendered(file: Path | bytes, sheet: Sheet) -> Iterator[RenderedLabels]:
    """The labels of a file, or of its content, one user at a time."""
    with _PDFIUM, open_pdf(file) as document:
        yield RenderedLabels(document, sheet)
