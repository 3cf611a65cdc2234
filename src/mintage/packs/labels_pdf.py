"""The `labels_pdf` format: sheets or rolls of labels with a symbol and text for each unit (SPEC §7).

Not here: the measures of sheets (`label_sheets`), where things stand (`label_layout`, `label_text`), the
file itself (`label_document`), and what is refused (`label_refusals`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from mintage.packs.context import PackContext
from mintage.packs.label_document import LabelDocument, symbol_frame, symbol_operators
from mintage.packs.label_fonts import REPLACEMENT, font_of
from mintage.packs.label_layout import POINT_MM, Box, Needs, TextAmount, lay_out
from mintage.packs.label_options import LabelsPdfOptions
from mintage.packs.label_sheets import Sheet
from mintage.packs.label_text import LabelText, SetLine, set_text
from mintage.packs.rows import UnitRow
from mintage.packs.symbols import Symbol, symbol_of

MARK_MM: Final = 3.0
MARK_OFFSET_MM: Final = 1.0
CROP_MARGIN_MM: Final = MARK_OFFSET_MM + MARK_MM
"""What crop marks need on every side."""
_MARK_PT: Final = 0.25
_NOTE_PT: Final = 6.0
_NOTE_DISTANCE_MM: Final = 6.5
_NOTE_EDGE_MM: Final = 4.0
_NOTE_LEAST_MM: Final = 4.5
_NOTE_GAP_MM: Final = 5.0
_NOTE_WIDTH_MIN_MM: Final = 90.0


def write_labels_pdf(context: PackContext, rows: Iterable[UnitRow]) -> Iterator[bytes]:
    """The PDF: a label per unit in their order, by rows from the top left.

    The first label of the first pack stands at `start_position`; later packs begin a new sheet. Raises
    `DoesNotFit` where `refuse` was not asked, or a URL has become longer since.
    """
    writer = _Writer(context)
    for row in rows:
        writer.add(row)
    return writer.finished()


def start_position(context: PackContext, options: LabelsPdfOptions) -> int:
    """Where the first label of this pack stands, from 1."""
    return options.start_position if context.pack_index == 1 else 1


@dataclass(frozen=True, slots=True)
class _PageMarks:
    """What every page has: crop marks, and notes below the labels if there is room."""

    crop: list[str]
    note_baseline_mm: float | None


@dataclass(frozen=True, slots=True)
class _Frame:
    """What many labels have in common: what comes before the symbol's modules, text above it, and what is
    set in the box below with each unit's details."""

    of_symbol: str
    above: list[str]
    headings_below: tuple[str, ...]
    below: Box | None


class _Writer:
    """Labels as they come, in pages; holds the pages' operators until the file is finished."""

    def __init__(self, context: PackContext) -> None:
        self._context = context
        self._options = options = context.options_as(LabelsPdfOptions)
        sheet = options.measured()
        if isinstance(sheet, str):
            raise ValueError(sheet)
        self._sheet = sheet
        self._text = LabelText(context, options)
        self._headings = self._text.headings()
        self._about = _about(context, self._text.common_texts)
        self._document = LabelDocument(
            sheet.page_width_mm,
            sheet.page_height_mm,
            _title(context),
            context.brand_name,
            context.generated_at,
        )
        self._frames: dict[tuple[tuple[int, ...], int], _Frame] = {}
        self._marks = _PageMarks(
            _crop_marks(sheet) if options.crop_marks else [], _note_baseline(sheet)
        )
        self._position = start_position(context, options) - 1
        self._pages = sheet.pages(context.unit_count, self._position + 1)
        self._page = 1
        self._added = 0
        self._first_on_page = 1
        self._operators: list[str] = [*self._marks.crop]
        self._corners = [_corner_operators(sheet, each) for each in range(sheet.labels)]

    def add(self, row: UnitRow) -> None:
        """One more label."""
        if self._position == self._sheet.labels:
            self._finish_page()
        symbol = symbol_of(row, self._options.symbol, self._options.error_correction)
        details = self._text.details(row)
        frame = self._frame(symbol, len(details))
        operators = self._operators
        operators.append(self._corners[self._position])
        operators += frame.above
        operators.append(symbol_operators(symbol, frame.of_symbol))
        if frame.below is not None:
            operators += self._text_operators(set_text(frame.below, frame.headings_below, details))
        operators.append("Q")
        self._position += 1
        self._added += 1

    def finished(self) -> Iterator[bytes]:
        """The file."""
        self._finish_page()
        return self._document.chunks()

    def _text_operators(self, lines: list[SetLine]) -> list[str]:
        height_mm = self._sheet.label_height_mm
        return [
            self._document.text(
                line.weight, line.size_pt, line.text, line.left_mm, height_mm - line.baseline_mm
            )
            for line in lines
        ]

    def _frame(self, symbol: Symbol, details: int) -> _Frame:
        """What labels with such a symbol and so many details have in common."""
        key = (symbol.modules.shape, details)
        found = self._frames.get(key)
        if found is not None:
            return found
        needs = Needs(
            self._options.symbol,
            symbol.width,
            symbol.height,
            self._options.module_mm,
            self._options.quiet_zone_modules,
            TextAmount(len(self._headings), details),
        )
        layout = lay_out(self._sheet, needs)
        bottom_mm = self._sheet.label_height_mm - layout.symbol_top_mm - layout.symbol_height_mm
        of_symbol = symbol_frame(
            symbol.width,
            symbol.height,
            layout.symbol_left_mm,
            bottom_mm,
            layout.symbol_width_mm,
            layout.symbol_height_mm,
        )
        if layout.above is None:
            frame = _Frame(of_symbol, [], self._headings, layout.below)
        else:
            above = self._text_operators(set_text(layout.above, self._headings, ()))
            frame = _Frame(of_symbol, above, (), layout.below)
        self._frames[key] = frame
        return frame

    def _finish_page(self) -> None:
        if self._marks.note_baseline_mm is not None:
            self._operators += self._notes(self._marks.note_baseline_mm)
        self._document.add_page(self._operators)
        self._operators = [*self._marks.crop]
        self._first_on_page = self._added + 1
        self._page += 1
        self._position = 0

    def _notes(self, baseline_mm: float) -> list[str]:
        """What stands in the margin: whose labels these are, on the left; which, on the right."""
        context, sheet, font = self._context, self._sheet, font_of("regular")
        first = context.first_unit_no + self._first_on_page
        which = (
            f"units {first:,}–{context.first_unit_no + self._added:,} · "
            f"pack {context.pack_index} of {context.pack_count} · page {self._page} of {self._pages}"
        )
        right = sheet.page_width_mm - sheet.margin_right_mm
        width = right - sheet.margin_left_mm
        which_left = right - font.width(which) * _NOTE_PT * POINT_MM
        room = (which_left - _NOTE_GAP_MM - sheet.margin_left_mm) / POINT_MM / _NOTE_PT
        notes = [self._document.text("regular", _NOTE_PT, which, which_left, baseline_mm)]
        if width >= _NOTE_WIDTH_MIN_MM:
            shown = font.cut(self._about, room)
            notes.append(
                self._document.text("regular", _NOTE_PT, shown, sheet.margin_left_mm, baseline_mm)
            )
        return notes


def _about(context: PackContext, common_texts: Iterable[str]) -> str:
    """Whose labels these are; and first, if anything of it cannot be shown, what stands in its place."""
    batch = context.product_batch_number or f"mint {context.mint_batch_id}"
    about = [context.brand_name, context.product_sku, context.product_name, f"batch {batch}"]
    shown = font_of("regular").shown(" · ".join(about))
    if any(REPLACEMENT in text for text in (shown, *common_texts)):
        return f"{REPLACEMENT} stands for characters that this font lacks · {shown}"
    return shown


def _title(context: PackContext) -> str:
    batch = context.product_batch_number or str(context.mint_batch_id)
    return (
        f"{context.product_sku} {context.product_name}, batch {batch}, "
        f"pack {context.pack_index} of {context.pack_count}"
    )


def _corner_operators(sheet: Sheet, position: int) -> str:
    """The origin moves to the bottom left corner of a label."""
    left, top = sheet.corner(position)
    bottom = sheet.page_height_mm - top - sheet.label_height_mm
    return f"q 1 0 0 1 {left / POINT_MM:.4f} {bottom / POINT_MM:.4f} cm"


def _note_baseline(sheet: Sheet) -> float | None:
    """How high notes stand above the page's bottom: clear of crop marks and of the page's edge."""
    distance = min(_NOTE_DISTANCE_MM, sheet.margin_bottom_mm - _NOTE_EDGE_MM)
    return sheet.margin_bottom_mm - distance if distance >= _NOTE_LEAST_MM else None


def _crop_marks(sheet: Sheet) -> list[str]:
    """Hairlines in the margins, in line with the edges of all labels; none between labels."""
    lines = []
    grid_left, grid_top = sheet.corner(0)
    last_left, last_top = sheet.corner(sheet.labels - 1)
    grid_right, grid_bottom = last_left + sheet.label_width_mm, last_top + sheet.label_height_mm
    for column in range(sheet.columns):
        left, _ = sheet.corner(column)
        for x in (left, left + sheet.label_width_mm):
            lines.append((x, grid_top - MARK_OFFSET_MM, x, grid_top - MARK_OFFSET_MM - MARK_MM))
            lines.append(
                (x, grid_bottom + MARK_OFFSET_MM, x, grid_bottom + MARK_OFFSET_MM + MARK_MM)
            )
    for row in range(sheet.rows):
        _, top = sheet.corner(row * sheet.columns)
        for y in (top, top + sheet.label_height_mm):
            lines.append((grid_left - MARK_OFFSET_MM, y, grid_left - MARK_OFFSET_MM - MARK_MM, y))
            lines.append((grid_right + MARK_OFFSET_MM, y, grid_right + MARK_OFFSET_MM + MARK_MM, y))
    height = sheet.page_height_mm
    operators = [f"q {_MARK_PT} w"]
    for x1, y1, x2, y2 in sorted(set(lines)):
        operators.append(
            f"{x1 / POINT_MM:.3f} {(height - y1) / POINT_MM:.3f} m "
            f"{x2 / POINT_MM:.3f} {(height - y2) / POINT_MM:.3f} l S"
        )
    return [*operators, "Q"]
