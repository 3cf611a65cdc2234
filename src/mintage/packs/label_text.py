"""The text of a label: which lines a unit has, and how they are set in a box.

Text shrinks to its box, down to 4 pt, and is cut with an ellipsis after that: it never leaves the box. GTINs,
serials and lots are never cut: labels that have no room for them are refused. Not here: where the box is
(`label_layout`), and refusals (`label_refusals`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from statistics import fmean, pstdev
from typing import Final, NamedTuple

from mintage.packs.context import PackContext
from mintage.packs.label_fonts import LINE_HEIGHT, Font, FontWeight, font_of
from mintage.packs.label_layout import (
    DETAIL_PT,
    HEADING_LINES_MAX,
    HEADING_PT,
    HEADING_SPACE,
    LEAST_PT,
    POINT_MM,
    Box,
)
from mintage.packs.label_options import LabelsPdfOptions, TextField
from mintage.packs.rows import UnitRow

_HEADINGS: Final[frozenset[TextField]] = frozenset({"product_name"})
_UNIT_FIELDS: Final[frozenset[TextField]] = frozenset({"serial", "lot", "url"})
# What stands before a value: an AI in brackets beside a GS1 symbol (GS1 General Specifications 4.14),
# else the name that people know.
_IDENTIFIERS: Final[dict[TextField, str]] = {"gtin": "(01) ", "serial": "(21) ", "lot": "(10) "}
_NAMES: Final[dict[TextField, str]] = {
    "gtin": "GTIN ",
    "serial": "SN ",
    "lot": "LOT ",
    "sku": "SKU ",
    "product_batch": "BATCH ",
}
_NEVER_CUT: Final[tuple[TextField, ...]] = ("gtin", "serial", "lot")
_UNCUT_STARTS: Final = tuple(
    start
    for names in (_NAMES, _IDENTIFIERS)
    for field, start in names.items()
    if field in _NEVER_CUT
)
# Of a text of random characters, so many deviations from the mean are allowed for. What is wider still, one
# in a thousand, is set a little smaller than the least size.
_DEVIATIONS: Final = 3.0
_STEP_PT: Final = 0.5
_LEAST_WIDTH: Final = 0.01
_BASELINE: Final = 0.92
_HEADING_COMFORTABLE_PT: Final = 6.0
_HEADING_SHARE: Final = 0.7
_DETAIL_COMFORTABLE_PT: Final = 5.0


class SetLine(NamedTuple):
    """A line where it stands: `baseline_mm` from the label's top. A tuple: every label has a few new ones."""

    weight: FontWeight
    size_pt: float
    text: str
    left_mm: float
    baseline_mm: float


class LabelText:
    """The lines of one pack's labels. What all units have in common is worked out once."""

    def __init__(self, context: PackContext, options: LabelsPdfOptions) -> None:
        self._fields = options.text
        self._names = _NAMES if options.symbol == "qr" else _NAMES | _IDENTIFIERS
        self._is_linear = options.symbol == "gs1_128"
        values: dict[TextField, str | None] = {
            "product_name": context.product_name,
            "brand_name": context.brand_name,
            "sku": context.product_sku,
            "gtin": context.gtin,
            "product_batch": context.product_batch_number,
        }
        self._common = {field: self._line(field, value) for field, value in values.items() if value}
        # Serials, lots and URLs are ASCII: every font has them.
        self._details = [
            (field, self._names.get(field, ""), self._common.get(field))
            for field in options.text
            if field not in _HEADINGS and (field in _UNIT_FIELDS or field in self._common)
        ]

    @property
    def common_texts(self) -> tuple[str, ...]:
        """What all labels say, as far as it is shown."""
        return tuple(self._common[field] for field in self._fields if field in self._common)

    def headings(self) -> tuple[str, ...]:
        """The lines in bold; the same for all units."""
        return tuple(
            self._common[field]
            for field in self._fields
            if field in _HEADINGS and field in self._common
        )

    def details(self, row: UnitRow) -> tuple[str, ...]:
        """The other lines of a unit, without those that it has no value for."""
        lines = []
        for field, before, common in self._details:
            if common is not None:
                lines.append(common)
            elif value := _value(row, field):
                lines.append(before + value)
        if not self._is_linear:
            return tuple(lines)
        # Under bars, what they say is one line.
        said = [line for line in lines if line[0] == "("]
        rest = [line for line in lines if line[0] != "("]
        return (" ".join(said), *rest) if said else tuple(rest)

    def _line(self, field: TextField, value: str) -> str:
        weight: FontWeight = "bold" if field in _HEADINGS else "regular"
        return self._names.get(field, "") + font_of(weight).shown(value)


def uncut_lines(
    options: LabelsPdfOptions, values: Mapping[TextField, float]
) -> list[tuple[tuple[TextField, ...], float]]:
    """The lines that are never cut: the fields of each, and its width in font sizes.

    `values`: how wide the value of each field may be, for those that the batch has.
    """
    names = _NAMES if options.symbol == "qr" else _NAMES | _IDENTIFIERS
    font = font_of("regular")
    lines: list[tuple[tuple[TextField, ...], float]] = [
        ((field,), font.width(names[field]) + values[field])
        for field in options.text
        if field in _NEVER_CUT and field in values
    ]
    if options.symbol != "gs1_128" or not lines:
        return lines
    fields = tuple(field for (field,), _ in lines)
    spaces = font.width(" ") * (len(lines) - 1)
    return [(fields, sum(width for _, width in lines) + spaces)]


def width_of_random(alphabet: str, characters: int) -> float:
    """In font sizes, what a text of so many random characters hardly ever exceeds."""
    widths = [font_of("regular").width(each) for each in alphabet]
    spread = pstdev(widths) * _DEVIATIONS * math.sqrt(characters)
    return min(fmean(widths) * characters + spread, max(widths) * characters)


def set_text(box: Box, headings: Sequence[str], details: Sequence[str]) -> list[SetLine]:
    """All lines in their places in `box`, which is high enough for them at the least size."""
    room_pt = box.height_mm / POINT_MM
    width_pt = box.width_mm / POINT_MM
    set_headings, heading_pt = _set_headings(
        tuple(headings), len(details), width_pt, room_pt, box.scale
    )
    heading_height = len(set_headings) * heading_pt * LINE_HEIGHT
    if set_headings and details:
        heading_height += heading_pt * HEADING_SPACE
    detail_pt = full_pt = _stepped(DETAIL_PT * box.scale)
    regular, bold = font_of("regular"), font_of("bold")
    widths = [regular.width(text) for text in details]
    if details:
        by_height = (room_pt - heading_height) / (len(details) * LINE_HEIGHT)
        # A mark that stands on no letter has no width.
        by_width = width_pt / max(*widths, _LEAST_WIDTH)
        # A line that is longer than the rest by far does not make all of them small.
        detail_pt = _stepped(
            min(
                heading_pt or full_pt,
                full_pt,
                by_height,
                max(by_width, _DETAIL_COMFORTABLE_PT * box.scale),
            )
        )
    used = heading_height + len(details) * detail_pt * LINE_HEIGHT
    top_pt = max((room_pt - used) / 2, 0) if box.is_middle else 0.0
    lines = []
    for text in set_headings:
        lines.append(_placed(box, bold, heading_pt, text, top_pt))
        top_pt += heading_pt * LINE_HEIGHT
    if set_headings and details:
        top_pt += heading_pt * HEADING_SPACE
    for text, width in zip(details, widths, strict=True):
        size, shown = detail_pt, text
        if width * size > width_pt:
            if text.startswith(_UNCUT_STARTS):
                size = min(detail_pt, width_pt / width, max(_stepped(width_pt / width), LEAST_PT))
            else:
                size = min(detail_pt, _stepped(width_pt / width))
                shown = regular.cut(text, width_pt / size)
        lines.append(_placed(box, regular, size, shown, top_pt))
        top_pt += detail_pt * LINE_HEIGHT
    return lines


@lru_cache(256)
def _set_headings(
    headings: tuple[str, ...], details: int, width_pt: float, room_pt: float, scale: float
) -> tuple[tuple[str, ...], float]:
    """The lines of the headings and their size: at most three lines each, fewer where room is short."""
    if not headings:
        return (), 0.0
    details_pt = details * LINE_HEIGHT * min(DETAIL_PT, _HEADING_COMFORTABLE_PT)
    whole = _whole_headings(headings, width_pt, room_pt - details_pt, _stepped(HEADING_PT * scale))
    if whole is not None:
        return whole
    bold, size = font_of("bold"), _HEADING_COMFORTABLE_PT
    # No room for whole headings at a good size: as many lines as fit, the last one cut.
    fitting = (room_pt - details_pt - size * HEADING_SPACE) / (len(headings) * size * LINE_HEIGHT)
    lines_max = min(max(int(fitting), 1), HEADING_LINES_MAX)
    least_details = details * LINE_HEIGHT * LEAST_PT
    by_height = (room_pt - least_details) / (
        lines_max * len(headings) * LINE_HEIGHT + HEADING_SPACE * bool(details)
    )
    size = _stepped(min(size, by_height))
    shown: list[str] = []
    for text in headings:
        wrapped = _wrapped(bold, text, width_pt / size)
        first, rest = wrapped[: lines_max - 1], " ".join(wrapped[lines_max - 1 :])
        shown += first
        if rest:
            shown.append(bold.cut(rest, width_pt / size))
    return tuple(shown), size


def _whole_headings(
    headings: tuple[str, ...], width_pt: float, room_pt: float, full_pt: float
) -> tuple[tuple[str, ...], float] | None:
    """Headings that need not be cut: in as few lines as there are at 0.7 of the full size or more, and as
    large as that allows; smaller only if they must be. None if there is no room at a good size.
    """
    bold = font_of("bold")
    best: tuple[tuple[str, ...], float] | None = None
    size = full_pt
    while size > _HEADING_COMFORTABLE_PT and (best is None or size >= full_pt * _HEADING_SHARE):
        wrapped = [_wrapped(bold, text, width_pt / size) for text in headings]
        lines = tuple(line for each in wrapped for line in each)
        height = (len(lines) * LINE_HEIGHT + HEADING_SPACE) * size
        is_whole = all(
            len(each) <= HEADING_LINES_MAX and " ".join(each) == " ".join(text.split())
            for each, text in zip(wrapped, headings, strict=True)
        )
        if is_whole and height <= room_pt and (best is None or len(lines) < len(best[0])):
            best = lines, size
        size -= _STEP_PT
    return best


def _wrapped(font: Font, text: str, width: float) -> list[str]:
    """`text` in lines of at most `width` font sizes; a word that is longer has its own, and is cut."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.width(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return [font.cut(line, width) for line in lines]


def _placed(box: Box, font: Font, size_pt: float, text: str, top_pt: float) -> SetLine:
    left = box.left_mm
    if box.alignment == "centre":
        left += (box.width_mm - font.width(text) * size_pt * POINT_MM) / 2
    baseline = box.top_mm + (top_pt + _BASELINE * size_pt) * POINT_MM
    return SetLine(font.weight, size_pt, text, left, baseline)


def _stepped(size_pt: float) -> float:
    """A size in half points, so that labels side by side look alike; not below the least one."""
    stepped = math.floor(size_pt / _STEP_PT) * _STEP_PT
    return stepped if stepped > LEAST_PT else LEAST_PT


def _value(row: UnitRow, field: TextField) -> str | None:
    match field:
        case "serial":
            return row.serial_number
        case "lot":
            return row.lot_code
        case _:
            return row.resolver_url.removeprefix("https://")
