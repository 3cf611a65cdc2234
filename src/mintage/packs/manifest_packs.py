"""The `full_manifest` and `qr_manifest` formats: a table of units for people, and one for printers (SPEC §7).

Free text in them is guarded: a spreadsheet takes no name for a formula (SECURITY). Not here: the form of
the file, which a print profile may change (`packs.tables`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from mintage.packs.context import PackContext
from mintage.packs.rows import UnitRow
from mintage.packs.tables import guarded, table, utc_text

FULL_COLUMNS: Final = (
    "unit_id",
    "unit_no",
    "mint_batch_id",
    "lot_code",
    "product_sku",
    "product_name",
    "product_batch_number",
    "gtin",
    "serial_number",
    "status",
    "resolver_url",
    "created_at",
)
QR_COLUMNS: Final = ("unit_id", "resolver_url")


def write_full_manifest(context: PackContext, rows: Iterable[UnitRow]) -> Iterator[bytes]:
    """All of a unit in twelve columns; empty for what there is not."""
    batch_id = str(context.mint_batch_id)
    product = (
        guarded(context.product_sku),
        guarded(context.product_name),
        guarded(context.product_batch_number or ""),
    )
    fields = (
        (
            str(row.unit_id),
            str(row.unit_no),
            batch_id,
            row.lot_code or "",
            *product,
            row.gtin or "",
            row.serial_number or "",
            row.status,
            row.resolver_url,
            utc_text(row.created_at),
        )
        for row in rows
    )
    return table(FULL_COLUMNS, fields, context.profile)


def write_qr_manifest(context: PackContext, rows: Iterable[UnitRow]) -> Iterator[bytes]:
    """What a printer of QR codes needs: the unit and what its code says."""
    fields = ((str(row.unit_id), row.resolver_url) for row in rows)
    return table(QR_COLUMNS, fields, context.profile)
