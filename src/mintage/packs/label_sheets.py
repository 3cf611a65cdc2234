"""Sheets of labels: shipped templates as data, and sheets and rolls by their measures (SPEC §7).

A sheet is a grid of equal labels on a page; a roll is a page that is no larger than its one row of labels.
All lengths are millimetres, from the top left corner. Not here: what is on a label (`label_layout`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from pydantic import Field

from mintage.packs.context import PackOptions

SheetName = Literal["avery_l7160", "avery_l4732", "avery_5160", "custom"]
PageName = Literal["a4", "letter", "roll"]
PAGES: Final[dict[PageName, tuple[float, float]]] = {"a4": (210, 297), "letter": (215.9, 279.4)}
_TOLERANCE_MM: Final = 0.005
_LENGTH: Final = "in millimetres"


@dataclass(frozen=True, slots=True)
class Sheet:
    """A page with `columns` × `rows` labels. `module_mm` is what suits square symbols on it."""

    title: str
    page_width_mm: float
    page_height_mm: float
    label_width_mm: float
    label_height_mm: float
    columns: int
    rows: int
    column_gap_mm: float
    row_gap_mm: float
    margin_left_mm: float
    margin_top_mm: float
    module_mm: float = 0.5

    @property
    def labels(self) -> int:
        """Labels a page."""
        return self.columns * self.rows

    @property
    def margin_bottom_mm(self) -> float:
        """What is left below the last row."""
        used = _span(self.rows, self.label_height_mm, self.row_gap_mm)
        return self.page_height_mm - self.margin_top_mm - used

    @property
    def margin_right_mm(self) -> float:
        """What is left beside the last column."""
        used = _span(self.columns, self.label_width_mm, self.column_gap_mm)
        return self.page_width_mm - self.margin_left_mm - used

    def corner(self, position: int) -> tuple[float, float]:
        """The top left corner of a label, from that of the page. Positions count from 0, by rows."""
        row, column = divmod(position, self.columns)
        return (
            self.margin_left_mm + column * (self.label_width_mm + self.column_gap_mm),
            self.margin_top_mm + row * (self.label_height_mm + self.row_gap_mm),
        )

    def pages(self, labels: int, start_position: int) -> int:
        """How many pages so many labels take when the first stands at `start_position`, from 1."""
        return -(-(labels + start_position - 1) // self.labels)


SHEETS: Final[dict[SheetName, Sheet]] = {
    "avery_l7160": Sheet("Avery L7160", 210, 297, 63.5, 38.1, 3, 7, 2.54, 0, 7.21, 15.15),
    "avery_l4732": Sheet("Avery L4732", 210, 297, 35.6, 16.9, 5, 16, 2.5, 0, 11, 13.3, 0.4),
    "avery_5160": Sheet("Avery 5160", 215.9, 279.4, 66.675, 25.4, 3, 10, 3.175, 0, 4.7625, 12.7),
}
"""Measures of the makers' own templates; each grid is in the middle of its page."""


class CustomSheet(PackOptions):
    """A sheet by its measures. What is null follows from the rest: as many as fit, in the middle."""

    page: PageName = Field(
        default="a4",
        description="a4, letter, or roll: a page of one row, no larger than its labels",
    )
    label_width_mm: float = Field(ge=5, le=300, description=f"5 to 300, {_LENGTH}")
    label_height_mm: float = Field(ge=5, le=300, description=f"5 to 300, {_LENGTH}")
    column_gap_mm: float = Field(default=0, ge=0, le=100, description=f"0 to 100, {_LENGTH}")
    row_gap_mm: float = Field(default=0, ge=0, le=100, description=f"0 to 100, {_LENGTH}")
    columns: int | None = Field(
        default=None, ge=1, le=50, description="1 to 50, or null: as many as fit (on a roll, 1)"
    )
    rows: int | None = Field(
        default=None, ge=1, le=100, description="1 to 100, or null: as many as fit (on a roll, 1)"
    )
    margin_left_mm: float | None = Field(
        default=None, ge=0, le=300, description=f"0 to 300, {_LENGTH}, or null: as on the right"
    )
    margin_top_mm: float | None = Field(
        default=None, ge=0, le=300, description=f"0 to 300, {_LENGTH}, or null: as at the bottom"
    )


def custom_sheet(custom: CustomSheet) -> Sheet | str:
    """The sheet that such measures make; or, where they do not fit, a sentence that says what would."""
    if custom.page == "roll":
        return _roll(custom)
    page_width, page_height = PAGES[custom.page]
    across = _line(
        "columns",
        "wide",
        page_width,
        custom.label_width_mm,
        custom.column_gap_mm,
        custom.columns,
        custom.margin_left_mm,
    )
    down = _line(
        "rows",
        "high",
        page_height,
        custom.label_height_mm,
        custom.row_gap_mm,
        custom.rows,
        custom.margin_top_mm,
    )
    if isinstance(across, str) or isinstance(down, str):
        return " ".join(fault for fault in (across, down) if isinstance(fault, str))
    return Sheet(
        title="Custom sheet",
        page_width_mm=page_width,
        page_height_mm=page_height,
        label_width_mm=custom.label_width_mm,
        label_height_mm=custom.label_height_mm,
        columns=across[0],
        rows=down[0],
        column_gap_mm=custom.column_gap_mm,
        row_gap_mm=custom.row_gap_mm,
        margin_left_mm=across[1],
        margin_top_mm=down[1],
    )


def _roll(custom: CustomSheet) -> Sheet | str:
    if custom.rows not in (None, 1):
        return "A roll has one row of labels a page: leave rows out, or take another page."
    columns = custom.columns or 1
    left, top = custom.margin_left_mm or 0, custom.margin_top_mm or 0
    return Sheet(
        title="Roll",
        page_width_mm=_span(columns, custom.label_width_mm, custom.column_gap_mm) + 2 * left,
        page_height_mm=custom.label_height_mm + 2 * top,
        label_width_mm=custom.label_width_mm,
        label_height_mm=custom.label_height_mm,
        columns=columns,
        rows=1,
        column_gap_mm=custom.column_gap_mm,
        row_gap_mm=0,
        margin_left_mm=left,
        margin_top_mm=top,
    )


def _line(
    noun: str,
    side: str,
    page_mm: float,
    label_mm: float,
    gap_mm: float,
    asked: int | None,
    margin_mm: float | None,
) -> tuple[int, float] | str:
    """How many labels stand in one direction, and the margin before the first."""
    room = page_mm - (margin_mm or 0) + _TOLERANCE_MM
    fitting = int((room + gap_mm) // (label_mm + gap_mm))
    count = asked or fitting
    if count < 1 or count > fitting:
        needed = _span(max(count, 1), label_mm, gap_mm) + (margin_mm or 0)
        most = f"at most {fitting} fit" if fitting else f"a label may be {room:.1f} mm {side}"
        return (
            f"{max(count, 1)} {noun} of {label_mm:g} mm with gaps and margin take {needed:g} mm, the page "
            f"is {page_mm:g} mm {side}: {most}."
        )
    if margin_mm is None:
        margin_mm = (page_mm - _span(count, label_mm, gap_mm)) / 2
    return count, margin_mm


def _span(count: int, label_mm: float, gap_mm: float) -> float:
    return count * label_mm + (count - 1) * gap_mm
