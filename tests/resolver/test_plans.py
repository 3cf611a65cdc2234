"""Every look-up of a scan uses its index, as the resolver's role on a filled table."""

from __future__ import annotations

from uuid import UUID

import pytest

from mintage.db.connection import DatabaseRole, Identity
from mintage.db.queries import query
from mintage.rules.gs1 import check_digit
from tests.resolver.desk import Desk
from tests.support.world import GTIN_TABLE

GTIN14 = GTIN_TABLE.zfill(14)


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("unit_by_id", "mint_unit_pkey"),
        ("unit_by_serial", "mint_unit_serial"),
        ("lots_by_code", "mint_lot_gtin"),
        ("product_by_gtin", "product_identifier_value"),
    ],
)
async def test_a_look_up_uses_its_index(desk: Desk, name: str, index: str) -> None:
    world = desk.world
    serial = await world.minted(3000)
    lots = [{"lot_code": f"LOT-{number}", "qty": 20} for number in range(100)]
    await world.minted(2000, gtin=None, identity_mode="batch", lots=lots)
    for number in range(60):
        digits = f"{number:013}"
        await world.product(gtin=digits + check_digit(digits))
    [unit] = (await world.rpc("list_mint_units", mint_batch_id=serial["mint_batch_id"], limit=1))[
        "units"
    ]
    arguments: dict[str, tuple[object, ...]] = {
        "unit_by_id": (UUID(str(unit["id"])),),
        "unit_by_serial": (unit["serial_number"], GTIN14),
        "lots_by_code": (GTIN14, "LOT-7"),
        "product_by_gtin": (GTIN14,),
    }
    await _analyze(desk)
    identity = Identity(DatabaseRole.RESOLVER, world.brand_id)
    async with world.platform.database.transaction(identity) as connection:
        rows = await connection.fetch(
            f"explain {query('resolve', name)}", world.brand_id, *arguments[name]
        )
    plan = "\n".join(row[0] for row in rows)
    assert f" {index} " in plan
    assert "Seq Scan on mint_unit" not in plan


async def _analyze(desk: Desk) -> None:
    async with desk.world.platform.database.pool.acquire() as connection:
        await connection.execute("analyze")
