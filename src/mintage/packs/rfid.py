"""The `rfid` format: a line per unit with what a UHF tag's EPC bank holds (SPEC §7; GS1 TDS).

Not here: SGTINs (`rules.sgtin`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from pydantic import Field

from mintage.packs.context import PackContext, PackOptions, PackRefusal, PackSubject, UnitFacts
from mintage.packs.rows import UnitRow
from mintage.packs.tables import table
from mintage.rules.sgtin import (
    SERIAL_96_END,
    Scheme,
    item_class,
    pure_identity_uri,
    tag_hex,
    tag_uri,
)

COLUMNS: Final = (
    "unit_id",
    "epc_hex",
    "tag_uri",
    "pure_identity_uri",
    "gtin",
    "serial_number",
    "resolver_url",
)


class RfidOptions(PackOptions):
    """`scheme`: how long the EPC is. `filter_value`: what the tag is on, by TDS 10.2 (1: an item)."""

    scheme: Scheme = Field(default="sgtin-198", description='"sgtin-198" or "sgtin-96"')
    filter_value: int = Field(default=1, ge=0, le=7, description="an integer from 0 to 7")


def write_rfid(context: PackContext, rows: Iterable[UnitRow]) -> Iterator[bytes]:
    """A line per unit. Raises RuleViolation for a unit that no such tag can hold, ValueError for a
    batch without a GTIN or a brand without a company prefix: `refuse_rfid` has let none of them pass.
    """
    return table(COLUMNS, _fields(context, rows), context.profile)


def refuse_rfid(subject: PackSubject) -> list[PackRefusal]:
    """A batch without a GTIN, a brand without a company prefix, serials that 96 bits cannot hold."""
    reasons = []
    if subject.gtin is None:
        message = (
            "The mint batch has no GTIN, and an SGTIN is a GTIN with a serial: give the product a GTIN "
            "before minting, or use nfc, whose tags hold URLs."
        )
        reasons.append(PackRefusal("FORMAT_NOT_APPLICABLE", message))
    if subject.gcp_length is None:
        message = (
            "The brand has no gcp_length, the number of digits of its GS1 company prefix: set it by "
            "update_brand_settings."
        )
        reasons.append(PackRefusal("GCP_LENGTH_MISSING", message))
    if wants_serial_facts(subject.options):
        if subject.unit_facts is None:
            raise ValueError("facts of the units are due")
        reasons += _serials_refused(subject.unit_facts)
    return reasons


def wants_serial_facts(options: PackOptions) -> bool:
    """For SGTIN-96 alone: SGTIN-198 holds every serial that GS1 has."""
    return isinstance(options, RfidOptions) and options.scheme == "sgtin-96"


def _serials_refused(facts: UnitFacts) -> list[PackRefusal]:
    remedy = "ask for sgtin-198."
    if facts.not_numeric_count:
        message = (
            f"SGTIN-96 holds numbers without leading zeros; {facts.not_numeric_count:,} serials, such as "
            f"{facts.first_not_numeric}, are none: {remedy}"
        )
        return [PackRefusal("SERIAL_NOT_NUMERIC", message)]
    if facts.numeric_max is not None and facts.numeric_max >= SERIAL_96_END:
        message = (
            f"SGTIN-96 holds serials up to {SERIAL_96_END - 1}, and {facts.numeric_max} is greater: "
            f"{remedy}"
        )
        return [PackRefusal("SERIAL_NOT_NUMERIC", message)]
    return []


def _fields(context: PackContext, rows: Iterable[UnitRow]) -> Iterator[tuple[str, ...]]:
    if context.gtin is None or context.gcp_length is None:
        raise ValueError("an SGTIN needs a GTIN and the length of its company prefix")
    options = context.options_as(RfidOptions)
    terms = (options.scheme, options.filter_value)
    item = item_class(context.gtin, context.gcp_length)
    for row in rows:
        serial = row.serial_number or ""
        yield (
            str(row.unit_id),
            tag_hex(item, serial, *terms),
            tag_uri(item, serial, *terms),
            pure_identity_uri(item, serial),
            context.gtin,
            serial,
            row.resolver_url,
        )
