"""Where things stand on one label: the symbol with its quiet zone, and the boxes of text around it.

Millimetres from the label's top left corner. A symbol is never moved or scaled to make room for text; text
gets what is left. Not here: setting text in a box (`label_text`), and drawing (`labels_pdf`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from mintage.packs.label_fonts import LINE_HEIGHT
from mintage.packs.label_sheets import Sheet
from mintage.packs.symbols import SymbolKind

POINT_MM: Final = 25.4 / 72
EDGE_MM: Final = 1.0
"""Nothing but a quiet zone is nearer to the edge of a label: that far a printer may be off."""
GAP_MM: Final = 1.0
COMFORTABLE_MM: Final = 3.0
"""Margins of labels that are large enough for them."""
HEADING_PT: Final = 9.0
DETAIL_PT: Final = 7.0
LEAST_PT: Final = 4.0
BAR_HEIGHT_MAX_MM: Final = 25.0
BAR_HEIGHT_MIN_MM: Final = 5.0
TEXT_WIDTH_MIN_MM: Final = 10.0
_TEXT_WIDTH_GOOD_MM: Final = 30.0
# Text of full size suits labels of this size, and grows with larger ones.
_SMALL_LABEL_MM: Final = (63.5, 38.1)
_SCALE_MAX: Final = 3.0
_WIDE_LABEL_MM: Final = 50.0
HEADING_SPACE: Final = 0.35
"""Between headings and details, in font sizes of the former."""
HEADING_LINES_MAX: Final = 3
_HEADING_LINES: Final = 2

Alignment = Literal["left", "centre"]


@dataclass(frozen=True, slots=True)
class TextAmount:
    """How many lines a label has: headings in bold, and details."""

    headings: int
    details: int

    def height_mm(self, heading_pt: float, detail_pt: float, heading_lines: int = 1) -> float:
        """Of all lines at these sizes, when each heading takes so many."""
        points = (
            self.headings * heading_lines * heading_pt + self.details * detail_pt
        ) * LINE_HEIGHT
        if self.headings and self.details:
            points += heading_pt * HEADING_SPACE
        return points * POINT_MM

    def wanted_mm(self, scale: float) -> float:
        """At full size, headings in two lines."""
        return self.height_mm(HEADING_PT * scale, DETAIL_PT * scale, _HEADING_LINES)

    @property
    def least_mm(self) -> float:
        """At the smallest size that can be read."""
        return self.height_mm(LEAST_PT, LEAST_PT)


@dataclass(frozen=True, slots=True)
class Box:
    """A place for text. `is_middle`: text stands in the middle of its height, else at its top. `scale`:
    of the full sizes of text, 1 on small labels."""

    left_mm: float
    top_mm: float
    width_mm: float
    height_mm: float
    alignment: Alignment
    is_middle: bool
    scale: float


@dataclass(frozen=True, slots=True)
class Layout:
    """Of one label. The symbol's measures are those of its dark and light modules without quiet zone.

    `above` and `below` are boxes for headings and details of a GS1-128; square symbols have `below`
    alone, for all text, wherever it stands.
    """

    symbol_left_mm: float
    symbol_top_mm: float
    symbol_width_mm: float
    symbol_height_mm: float
    above: Box | None
    below: Box | None


@dataclass(frozen=True, slots=True)
class Needs:
    """What a label has to hold: a symbol of so many modules, and text."""

    kind: SymbolKind
    width: int
    height: int
    module_mm: float
    quiet_zone_modules: int
    text: TextAmount

    @property
    def quiet_mm(self) -> float:
        return self.quiet_zone_modules * self.module_mm


class DoesNotFit(Exception):
    """A label cannot hold it; the sentence has the figures and what would fit."""


def lay_out(sheet: Sheet, needs: Needs) -> Layout:
    """The layout of every label of `sheet` with such a symbol. Raises `DoesNotFit`."""
    if needs.kind == "gs1_128":
        return _lay_out_bars(sheet, needs)
    return _lay_out_square(sheet, needs)


def _lay_out_square(sheet: Sheet, needs: Needs) -> Layout:
    size = needs.width * needs.module_mm
    # The quiet zone is light, and so is what lies between labels: it may reach their edge.
    edge = max(needs.quiet_mm, EDGE_MM)
    width, height = sheet.label_width_mm, sheet.label_height_mm
    if size + 2 * edge > min(width, height) + 1e-6:
        raise DoesNotFit(_square_sentence(sheet, needs))
    amount = needs.text
    if amount.headings + amount.details == 0:
        return Layout((width - size) / 2, (height - size) / 2, size, size, None, None)
    away = max(needs.quiet_mm, GAP_MM)
    beside_width = width - edge - size - away - EDGE_MM
    beside_height = height - 2 * EDGE_MM
    below_height = height - edge - size - away - EDGE_MM
    side = _side(sheet)
    below_width = width - 2 * side
    least = amount.least_mm - 1e-6
    fits_beside = beside_height >= least and beside_width >= TEXT_WIDTH_MIN_MM
    fits_below = below_height >= least and below_width >= TEXT_WIDTH_MIN_MM
    if not fits_beside and not fits_below:
        raise DoesNotFit(_text_sentence(needs, beside_width, beside_height, below_height))
    is_wider = min(beside_width, beside_height) >= min(below_width, below_height)
    is_beside = fits_beside and (is_wider or not fits_below)
    if is_beside:
        return _beside(sheet, size, edge, away)
    # Symbol and text stand in the middle of the label together.
    scale = _scale(sheet)
    text_height = min(amount.wanted_mm(scale), below_height)
    top = max(edge, (height - size - away - text_height) / 2)
    text_top = top + size + away
    text_height = height - text_top - EDGE_MM
    box = Box(side, text_top, below_width, text_height, "centre", False, scale)
    return Layout((width - size) / 2, top, size, size, None, box)


def _beside(sheet: Sheet, size: float, edge: float, away: float) -> Layout:
    """Symbol on the left, text on the right of it; with wider margins if there is room."""
    width, height = sheet.label_width_mm, sheet.label_height_mm
    left = max(edge, min((height - size) / 2, COMFORTABLE_MM))
    wide = max(away, COMFORTABLE_MM)
    right = COMFORTABLE_MM
    if width - left - size - wide - right < _TEXT_WIDTH_GOOD_MM:
        left, wide, right = edge, away, EDGE_MM
    text_left = left + size + wide
    text_width, text_height = width - text_left - right, height - 2 * EDGE_MM
    box = Box(text_left, EDGE_MM, text_width, text_height, "left", True, _scale(sheet))
    return Layout(left, (height - size) / 2, size, size, None, box)


def _side(sheet: Sheet) -> float:
    """The margins of text that has the whole width of a label."""
    return COMFORTABLE_MM if sheet.label_width_mm >= _WIDE_LABEL_MM else EDGE_MM


def _scale(sheet: Sheet) -> float:
    across, down = _SMALL_LABEL_MM
    scale = min(sheet.label_width_mm / across, sheet.label_height_mm / down)
    return min(max(scale, 1.0), _SCALE_MAX)


def _lay_out_bars(sheet: Sheet, needs: Needs) -> Layout:
    bars_width = needs.width * needs.module_mm
    edge = max(needs.quiet_mm, EDGE_MM)
    width, height = sheet.label_width_mm, sheet.label_height_mm
    if bars_width + 2 * edge > width + 1e-6:
        fitting = min(
            width / (needs.width + 2 * needs.quiet_zone_modules),
            (width - 2 * EDGE_MM) / needs.width,
        )
        raise DoesNotFit(
            f"A GS1-128 of {needs.width} modules takes {bars_width + 2 * edge:.1f} mm with its quiet zones "
            f"at {needs.module_mm:g} mm a module, and the label is {width:g} mm wide: module_mm "
            f"{_floor(fitting)} would fit, a wider label, or gs1_datamatrix."
        )
    headings = TextAmount(needs.text.headings, 0)
    details = TextAmount(0, needs.text.details)
    gaps = GAP_MM * sum(amount != TextAmount(0, 0) for amount in (headings, details))
    room = height - 2 * EDGE_MM - gaps
    least = headings.least_mm + details.least_mm + BAR_HEIGHT_MIN_MM
    if least > room + 1e-6:
        raise DoesNotFit(
            f"Bars of {BAR_HEIGHT_MIN_MM:g} mm and {headings.headings + details.details} lines of text "
            f"take {least + gaps + 2 * EDGE_MM:.1f} mm, and the label is {height:g} mm high: ask for "
            "fewer fields in text, or a higher label."
        )
    scale = _scale(sheet)
    wanted_above, wanted_below = headings.wanted_mm(scale), details.wanted_mm(scale)
    wanted = wanted_above + wanted_below
    share = 1.0 if wanted == 0 else min(1.0, (room - BAR_HEIGHT_MIN_MM) / wanted)
    above_height, below_height = wanted_above * share, wanted_below * share
    bars_height = min(room - above_height - below_height, BAR_HEIGHT_MAX_MM)
    top = (height - gaps - above_height - bars_height - below_height) / 2
    above = below = None
    side = _side(sheet)
    text_width = width - 2 * side
    if headings.headings:
        above = Box(side, top, text_width, above_height, "centre", True, scale)
        top += above_height + GAP_MM
    if details.details:
        below_top = top + bars_height + GAP_MM
        below = Box(side, below_top, text_width, below_height, "centre", False, scale)
    return Layout((width - bars_width) / 2, top, bars_width, bars_height, above, below)


def _square_sentence(sheet: Sheet, needs: Needs) -> str:
    label = min(sheet.label_width_mm, sheet.label_height_mm)
    whole = needs.width + 2 * needs.quiet_zone_modules
    taken = needs.width * needs.module_mm + 2 * max(needs.quiet_mm, EDGE_MM)
    fitting = min(label / whole, (label - 2 * EDGE_MM) / needs.width)
    name = "QR code" if needs.kind == "qr" else "GS1 DataMatrix"
    return (
        f"A {name} of {needs.width} × {needs.width} modules takes {taken:.1f} mm with its quiet zone of "
        f"{needs.quiet_zone_modules} at {needs.module_mm:g} mm a module, and the label has "
        f"{sheet.label_width_mm:g} × {sheet.label_height_mm:g} mm: module_mm {_floor(fitting)} would fit, "
        "or a larger label."
    )


def _text_sentence(
    needs: Needs, beside_width: float, beside_height: float, below_height: float
) -> str:
    lines = needs.text.headings + needs.text.details
    return (
        f"{lines} lines of text take {needs.text.least_mm:.1f} mm at {LEAST_PT:g} pt, and beside the symbol "
        f"{max(beside_width, 0):.1f} × {beside_height:.1f} mm are left ({TEXT_WIDTH_MIN_MM:g} mm is the "
        f"least width), below it {max(below_height, 0):.1f} mm: ask for fewer fields in text (none: []), "
        "a smaller module_mm, or a larger label."
    )


def _floor(module_mm: float) -> str:
    return f"{int(module_mm * 1000) / 1000:g}"
