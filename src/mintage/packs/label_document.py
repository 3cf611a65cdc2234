"""A PDF of labels: pages of operators, fonts embedded, the same bytes for the same pages (ISO 32000).

reportlab writes the file and its fonts; what is on a page is put together here, operator by operator:
drawing each label through a canvas takes longer than encoding its symbol. Not here: where things stand.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

import numpy as np

from mintage.packs.label_fonts import FILES, FontWeight, font_of
from mintage.packs.label_layout import POINT_MM
from mintage.packs.libraries import new_canvas
from mintage.packs.symbols import Symbol

_CHUNK_BYTES: Final = 256 * 1024
_KEPT_TEXTS: Final = 64
_ESCAPES: Final = str.maketrans({"\\": r"\\", "(": r"\(", ")": r"\)"})


class LabelDocument:
    """One file, page after page; lengths of its methods are millimetres from the bottom left corner."""

    def __init__(
        self, page_width_mm: float, page_height_mm: float, title: str, author: str, moment: datetime
    ) -> None:
        self._buffer = io.BytesIO()
        page_size_pt = (page_width_mm / POINT_MM, page_height_mm / POINT_MM)
        faces = [font_of(weight).face for weight in FILES]
        self._canvas = new_canvas(self._buffer, page_size_pt, faces)
        self._canvas.setTitle(title)
        self._canvas.setAuthor(author)
        self._canvas.setCreator("Mintage")
        self._canvas.setSubject("Labels")
        stamp = moment.astimezone(UTC).strftime("D:%Y%m%d%H%M%SZ")
        self._canvas.setDateFormatter(lambda *_: stamp)
        self._document = self._canvas._doc
        # Most of what is not ASCII stands on every label.
        self._in_subsets = lru_cache(_KEPT_TEXTS)(self._split)
        # The first 128 characters are a subset of their own, each in its own place.
        self._ascii_names: dict[FontWeight, str] = {}
        for weight in FILES:
            font_of(weight).face.splitString("", self._document)
            name = font_of(weight).face.getSubsetInternalName(0, self._document)
            self._ascii_names[weight] = name

    def add_page(self, operators: list[str]) -> None:
        """A page that draws these operators."""
        self._canvas.addLiteral("\n".join(operators))
        self._canvas.showPage()

    def text(
        self, weight: FontWeight, size_pt: float, text: str, left_mm: float, bottom_mm: float
    ) -> str:
        """Operators that show `text` from `left_mm` on, its baseline at `bottom_mm`."""
        if text.isascii():
            shown = f"{self._ascii_names[weight]} {size_pt:g} Tf ({text.translate(_ESCAPES)}) Tj"
        else:
            shown = self._in_subsets(weight, size_pt, text)
        return f"BT {left_mm / POINT_MM:.2f} {bottom_mm / POINT_MM:.2f} Td {shown} ET"

    def chunks(self) -> Iterator[bytes]:
        """The finished file, in chunks of 256 KB. Nothing can be added after it."""
        self._canvas.save()
        content = self._buffer.getbuffer()
        for start in range(0, len(content), _CHUNK_BYTES):
            yield bytes(content[start : start + _CHUNK_BYTES])

    def _split(self, weight: FontWeight, size_pt: float, text: str) -> str:
        """Text beyond ASCII: a font has a subset for every 256 characters that are met."""
        face = font_of(weight).face
        parts = [
            f"{face.getSubsetInternalName(subset, self._document)} {size_pt:g} Tf <{codes.hex()}> Tj"
            for subset, codes in face.splitString(text, self._document)
        ]
        return " ".join(parts)


def symbol_frame(
    width: int, height: int, left_mm: float, bottom_mm: float, width_mm: float, height_mm: float
) -> str:
    """What comes before the modules of every symbol of that many, which is drawn there and so large."""
    return (
        f"q {width_mm / POINT_MM:.4f} 0 0 {height_mm / POINT_MM:.4f} {left_mm / POINT_MM:.4f} "
        f"{bottom_mm / POINT_MM:.4f} cm BI /W {width} /H {height} /IM true /BPC 1 /F /AHx ID "
    )


def symbol_operators(symbol: Symbol, frame: str) -> str:
    """A symbol as a mask of one bit a module, in its `symbol_frame`."""
    return f"{frame}{np.packbits(~symbol.modules, axis=1).tobytes().hex()}> EI Q"
