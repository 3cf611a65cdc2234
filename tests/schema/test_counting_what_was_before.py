"""Migration 0002 counts what was before there were figures: its block, run on a database without them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mintage.db.migrate import load_migrations
from mintage.operations.pack_execution import process_payload_pack
from mintage.operations.resolving import LotId, UnitId
from mintage.operations.tallies import fold_tallies
from mintage.storage import open_pack_store
from tests.support.figures import folded_figures, recounted
from tests.support.minting import (
    broken_cycles,
    broken_invariants,
    cycle,
    execute,
    transactions,
    units_of,
    value,
    with_limits,
)
from tests.support.scans import scan
from tests.support.world import World

OF_BEFORE = "('units_minted', 'units_activated', 'scans')"
"""What 0001 counted."""


def counting_block() -> str:
    """The `do` block of the migration."""
    _, _, after = load_migrations()[1].text.partition("do $counting$")
    block, _, _ = after.partition("$counting$;")
    assert block
    return f"do $counting${block}$counting$"


async def _some_of_everything(world: World, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    await world.submit(await world.product(), 3)
    failed = await world.submit(await world.product(), 9, activation_mode="active_at_mint")
    await cycle(world, failed, batch_size=4)
    with broken_cycles(monkeypatch):
        await cycle(world, failed)
    voided = await world.minted(5, gtin=None)
    scanned = await world.minted(6, gtin=None)
    lotted = await world.minted(7, gtin=None, identity_mode="batch")
    for batch in (voided, scanned, lotted):
        for unit in (await units_of(world, batch))[:2]:
            await scan(world, UnitId(unit["id"]))
    await world.rpc(
        "revoke_mint_units",
        unit_ids=[(await units_of(world, batch))[1]["id"] for batch in (scanned, lotted)],
        reason="lost",
    )
    await scan(world, LotId(await value(world, "select id from mint_lot")))
    await world.rpc("request_payload_packs", mint_batch_id=scanned["mint_batch_id"])
    await process_payload_pack(transactions(world), open_pack_store(None, folder))
    await world.rpc("set_mint_batch_status", mint_batch_id=voided["mint_batch_id"], status="voided")


@pytest.mark.parametrize("is_folded", [False, True])
async def test_what_was_before_is_counted(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, is_folded: bool
) -> None:
    world = with_limits(world, attempts_max=1)
    await _some_of_everything(world, monkeypatch, tmp_path)
    expected = await recounted(world)
    assert all(expected.values()), "or it could not be missed"
    if is_folded:
        await fold_tallies(transactions(world))
    await execute(world, f"delete from tally_delta where metric not in {OF_BEFORE}")
    await execute(world, f"delete from batch_tally where metric not in {OF_BEFORE}")
    await execute(world, "delete from brand_total")
    await execute(world, counting_block())
    assert await broken_invariants(world) == {}
    assert await folded_figures(world) == expected
    assert await broken_invariants(world) == {}
