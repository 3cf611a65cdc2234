"""The fonts of labels: which characters they have, how wide a text is, where it is cut.

DejaVu Sans Condensed, embedded in every file: Latin, Greek, Cyrillic, Armenian, Georgian and more. Not
here: where a text stands (`label_layout`) and how it gets into a file (`label_document`).
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Final, Literal

from mintage.packs.libraries import font_face

if TYPE_CHECKING:
    from reportlab.pdfbase.ttfonts import TTFont

FontWeight = Literal["regular", "bold"]
FILES: Final[dict[FontWeight, str]] = {
    "regular": "DejaVuSansCondensed.ttf",
    "bold": "DejaVuSansCondensed-Bold.ttf",
}
REPLACEMENT: Final = "\u25a1"
"""A white square, in place of a character that the font lacks."""
ELLIPSIS: Final = "\u2026"
LINE_HEIGHT: Final = 1.2
"""Of a line, in font sizes."""
_UNITS_AN_EM: Final = 1000
_ASCII_END: Final = 128
_KEPT_WIDTHS: Final = 256
# Scripts that are written from right to left, or whose characters change with their neighbours: set one
# after another they would be wrong, not only plain.
_UNSET_DIRECTIONS: Final = frozenset({"R", "AL", "AN"})


@dataclass(frozen=True, slots=True)
class Font:
    """One weight. `face` is reportlab's; `ascii_widths` are in thousandths of the font size."""

    weight: FontWeight
    face: TTFont
    ascii_widths: tuple[float, ...]

    def width(self, text: str) -> float:
        """In font sizes: 1.0 is as wide as the font is high."""
        try:
            widths = self.ascii_widths
            return sum([widths[octet] for octet in text.encode("ascii")]) / _UNITS_AN_EM
        except UnicodeEncodeError:
            return _width_of_any(self.weight, text)

    def shown(self, text: str) -> str:
        """`text` in one line, with `REPLACEMENT` for what this font cannot show."""
        if text.isascii() and text.isprintable():
            return text
        composed = unicodedata.normalize("NFC", " ".join(text.split()))
        return "".join(each if self._has(each) else REPLACEMENT for each in composed)

    def cut(self, text: str, width: float) -> str:
        """`text`, or as much of its beginning as fits `width` font sizes with an ellipsis after it."""
        if self.width(text) <= width:
            return text
        kept = text
        while kept and self.width(kept + ELLIPSIS) > width:
            kept = kept[:-1].rstrip()
        return kept + ELLIPSIS

    def _has(self, character: str) -> bool:
        return (
            ord(character) in self.face.face.charToGlyph
            and character.isprintable()
            and unicodedata.bidirectional(character) not in _UNSET_DIRECTIONS
        )


@cache
def font_of(weight: FontWeight) -> Font:
    """The font of a weight, read once a process."""
    file = resources.files("mintage.packs").joinpath("fonts", FILES[weight])
    with resources.as_file(file) as path:
        face = font_face(f"Mintage{weight.title()}", path)
    widths = tuple(float(face.face.getCharWidth(code)) for code in range(_ASCII_END))
    return Font(weight, face, widths)


@lru_cache(_KEPT_WIDTHS)
def _width_of_any(weight: FontWeight, text: str) -> float:
    return float(font_of(weight).face.stringWidth(text, 1))
