"""Why labels cannot be made of a batch: said when they are asked for, with figures (SPEC §7).

The largest symbol that a batch can have is encoded, not estimated. Not here: the layout that says what
fits (`label_layout`), and sheets that are none (`label_sheets`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from string import ascii_uppercase, digits
from typing import Final
from uuid import UUID

from mintage.packs.context import PackOptions, PackRefusal, PackSubject, UnitFacts
from mintage.packs.label_fonts import font_of
from mintage.packs.label_layout import (
    LEAST_PT,
    POINT_MM,
    DoesNotFit,
    Layout,
    Needs,
    TextAmount,
    lay_out,
)
from mintage.packs.label_options import LabelsPdfOptions, TextField
from mintage.packs.label_sheets import Sheet
from mintage.packs.label_text import uncut_lines, width_of_random
from mintage.packs.labels_pdf import CROP_MARGIN_MM
from mintage.packs.rows import UnitRow
from mintage.packs.symbols import QUIET_ZONE_MODULES, SymbolFault, symbol_of
from mintage.rules.gs1 import VALUE_LENGTH_MAX
from mintage.rules.serials import ALPHABET

# What takes the most room in every symbology: no digits, and no two neighbours of one case.
_WIDEST: Final = "aB;"
_CAPITALS: Final = "AZ"
# Of which brought serials and lot codes are mostly made.
_CODE_CHARACTERS: Final = digits + ascii_uppercase
_ELLIPSIS: Final = "…"
_NEVER: Final = datetime(2000, 1, 1, tzinfo=UTC)
_SERIAL_MODE_LACKS: Final[frozenset[TextField]] = frozenset({"lot"})
_BATCH_MODE_LACKS: Final[frozenset[TextField]] = frozenset({"serial"})


def refuse_labels_pdf(subject: PackSubject) -> list[PackRefusal]:
    """Every reason at once: measures of the sheet, the symbol and its data, what does not fit a label."""
    options = subject.options_as(LabelsPdfOptions)
    sheet = options.measured()
    reasons = []
    if isinstance(sheet, str):
        reasons.append(sheet)
    else:
        reasons += _sheet_reasons(sheet, options)
    least = QUIET_ZONE_MODULES[options.symbol]
    if options.quiet_zone_modules < least:
        reasons.append(
            f"The quiet zone of {options.symbol} has at least {least} modules: quiet_zone_modules may not be "
            f"{options.quiet_zone_modules}."
        )
    if options.symbol != "qr" and subject.gtin is None:
        reasons.append(
            f"The symbol {options.symbol} holds a GTIN, and the batch has none: give the product its GTIN "
            "before minting, or ask for qr."
        )
    elif isinstance(sheet, Sheet):
        try:
            reasons += _cut_reasons(subject, options, lay_out(sheet, _needs(subject, options)))
        except (DoesNotFit, SymbolFault) as fault:
            reasons.append(str(fault))
    return [PackRefusal("FORMAT_NOT_APPLICABLE", reason) for reason in reasons]


def wants_all_lengths(_options: PackOptions) -> bool:
    """Always: whether a symbol fits its label depends on the longest URL or serial."""
    return True


def largest_row(subject: PackSubject) -> UnitRow:
    """A unit whose URL, serial and lot are as long, and take as much room, as any of the batch may."""
    facts = subject.unit_facts
    if facts is None:
        raise ValueError("facts of the units are due")
    # Encoders of DataMatrix switch modes as they go: capitals with digits between may take more room
    # than capitals alone. Those of QR take no more for any mixture.
    fill = _CAPITALS if _is_generated(facts) else _WIDEST
    serial = _filled(_WIDEST, facts.longest_serial_characters) or None
    lot = None
    base = facts.resolver_base_url
    if subject.gtin is None:
        head = f"{base}/mu/"
    elif subject.identity_mode == "serial":
        head = f"{base}/01/{subject.gtin}/21/"
    else:
        head = f"{base}/01/{subject.gtin}/10/"
    rest = facts.longest_url_characters - len(head)
    if subject.identity_mode == "batch":
        # Of an encoded lot code: longer than the code itself, if anything.
        lot = _filled(_WIDEST, min(rest, VALUE_LENGTH_MAX))
    return UnitRow(
        unit_id=UUID(int=0),
        unit_no=0,
        resolver_url=head + _filled(fill, rest),
        serial_number=serial,
        gtin=subject.gtin,
        status="minted",
        created_at=_NEVER,
        lot_code=lot,
    )


def _needs(subject: PackSubject, options: LabelsPdfOptions) -> Needs:
    symbol = symbol_of(largest_row(subject), options.symbol, options.error_correction)
    lacking = set(_SERIAL_MODE_LACKS if subject.identity_mode == "serial" else _BATCH_MODE_LACKS)
    if subject.gtin is None:
        lacking.add("gtin")
    fields = [field for field in options.text if field not in lacking]
    headings = fields.count("product_name")
    details = len(fields) - headings
    if options.symbol == "gs1_128":
        # What the bars say stands in one line.
        said = sum(field in ("gtin", "serial", "lot") for field in fields)
        details -= max(said - 1, 0)
    return Needs(
        options.symbol,
        symbol.width,
        symbol.height,
        options.module_mm,
        options.quiet_zone_modules,
        TextAmount(headings, details),
    )


def _cut_reasons(subject: PackSubject, options: LabelsPdfOptions, layout: Layout) -> list[str]:
    """Why a GTIN, serial or lot would not be whole at the smallest size."""
    if layout.below is None:
        return []
    reasons = []
    left_mm = layout.below.width_mm
    for fields, width in uncut_lines(options, _widths(subject)):
        taken_mm = width * LEAST_PT * POINT_MM
        if taken_mm > left_mm:
            reasons.append(
                f"The text of {' and '.join(fields)} takes {taken_mm:.1f} mm at {LEAST_PT:g} pt, and "
                f"{left_mm:.1f} mm are left for it: a label that is {taken_mm - left_mm:.1f} mm wider would "
                "fit, or ask for text without it."
            )
    return reasons


def _widths(subject: PackSubject) -> dict[TextField, float]:
    row = largest_row(subject)
    facts = subject.unit_facts
    widths: dict[TextField, float] = {}
    if row.gtin is not None:
        widths["gtin"] = font_of("regular").width(row.gtin)
    if row.serial_number is not None and facts is not None:
        alphabet = _CODE_CHARACTERS
        if _is_generated(facts):
            alphabet = ALPHABET
        elif facts.not_numeric_count == 0:
            alphabet = digits
        widths["serial"] = width_of_random(alphabet, len(row.serial_number))
    if row.lot_code is not None:
        widths["lot"] = width_of_random(_CODE_CHARACTERS, len(row.lot_code))
    return widths


def _sheet_reasons(sheet: Sheet, options: LabelsPdfOptions) -> list[str]:
    reasons = []
    if options.start_position > sheet.labels:
        reasons.append(
            f"The sheet has {sheet.labels} labels: start_position must be 1 to {sheet.labels}, not "
            f"{options.start_position}."
        )
    margins = (
        sheet.margin_left_mm,
        sheet.margin_top_mm,
        sheet.margin_right_mm,
        sheet.margin_bottom_mm,
    )
    if options.crop_marks and min(margins) < CROP_MARGIN_MM:
        reasons.append(
            f"Crop marks need a margin of {CROP_MARGIN_MM:g} mm on every side, and the narrowest one of this "
            f"sheet has {min(margins):.1f} mm: ask for crop_marks false, or for wider margins."
        )
    return reasons


def _is_generated(facts: UnitFacts) -> bool:
    # Generated serials are told by their prefix and an ellipsis, which no serial can have.
    return facts.first_not_numeric is not None and facts.first_not_numeric.endswith(_ELLIPSIS)


def _filled(fill: str, characters: int) -> str:
    return (fill * characters)[: max(characters, 0)]
