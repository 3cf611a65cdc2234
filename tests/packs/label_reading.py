"""Label sheets as PDFium draws them: pages as grey pixels, labels cut out by the measures of their sheet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pypdfium2
from numpy.typing import NDArray

from mintage.packs.label_sheets import Sheet

INCH_MM = 25.4
DARK = 128


@dataclass(frozen=True)
class Extent:
    """Where something dark is, in millimetres from the left and the top."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top


class Drawn:
    """A PDF, page by page, at so many pixels an inch."""

    def __init__(self, content: bytes, dpi: int = 300) -> None:
        self.document: Any = pypdfium2.PdfDocument(content)
        self.dpi = dpi

    def __len__(self) -> int:
        return len(self.document)

    def page(self, index: int) -> NDArray[np.uint8]:
        bitmap = self.document[index].render(scale=self.dpi / 72, grayscale=True)
        pixels: NDArray[np.uint8] = bitmap.to_numpy()
        return np.ascontiguousarray(pixels.reshape(pixels.shape[:2]))

    def text(self, index: int) -> str:
        return str(self.document[index].get_textpage().get_text_range())

    def label(self, page: NDArray[np.uint8], sheet: Sheet, position: int) -> NDArray[np.uint8]:
        """One label of a drawn page."""
        left, top = sheet.corner(position)
        x, y = self.pixels(left), self.pixels(top)
        width, height = self.pixels(sheet.label_width_mm), self.pixels(sheet.label_height_mm)
        return np.ascontiguousarray(page[y : y + height, x : x + width])

    def pixels(self, length_mm: float) -> int:
        return round(length_mm * self.dpi / INCH_MM)

    def extent(self, pixels: NDArray[np.uint8]) -> Extent:
        """Of all that is dark."""
        rows, columns = np.nonzero(pixels < DARK)
        scale = INCH_MM / self.dpi
        return Extent(
            float(columns.min() * scale),
            float(rows.min() * scale),
            float((columns.max() + 1) * scale),
            float((rows.max() + 1) * scale),
        )
