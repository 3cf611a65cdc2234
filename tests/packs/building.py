"""Rows and contexts for tests of a format by itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from mintage.packs.context import PackContext, PackOptions, PackSubject
from mintage.packs.rows import UnitRow

MOMENT = datetime(2026, 11, 24, 13, 14, 15, 16, UTC)
GTIN = "09506000134352"


def row(unit_no: int = 0, **changes: object) -> UnitRow:
    """A unit in serial mode."""
    plain = UnitRow(
        unit_id=UUID(int=0x0190_0000_0000_7000_8000_0000_0000_0000 + unit_no),
        unit_no=unit_no,
        resolver_url=f"https://id.example.com/01/{GTIN}/21/A{unit_no}",
        serial_number=f"A{unit_no}",
        gtin=GTIN,
        status="minted",
        created_at=MOMENT,
        lot_code=None,
    )
    return plain._replace(**changes)  # type: ignore[arg-type]


def context(**changes: Any) -> PackContext:
    """The only pack of a group, of as many units as are said, without profile and options."""
    plain = PackContext(
        brand_id=UUID(int=1),
        brand_name="Acme",
        gcp_length=7,
        biz_location=None,
        read_point=None,
        product_id=UUID(int=2),
        product_sku="OAK-1",
        product_name="Oak table",
        gtin=GTIN,
        mint_batch_id=UUID(int=3),
        product_batch_number="PB-1",
        identity_mode="serial",
        activation_mode="first_scan",
        export_group_id=UUID(int=4),
        pack_index=1,
        pack_count=1,
        first_unit_no=0,
        unit_count=1,
        generated_at=MOMENT,
        profile=None,
        options=PackOptions(),
    )
    return replace(plain, **changes)


def subject(**changes: Any) -> PackSubject:
    """A batch in serial mode of a brand whose settings are complete; no facts of units."""
    plain = PackSubject(
        identity_mode="serial",
        gtin=GTIN,
        gcp_length=7,
        unit_count=1,
        options=PackOptions(),
        unit_facts=None,
    )
    return replace(plain, **changes)
