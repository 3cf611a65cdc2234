"""The bars of `mintage mint` and `mintage export`: what they end with, in success and in failure."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from mintage.operations.call import SERVICE
from mintage.storage import open_pack_store
from mintage.watch import Api, WorkFailed, watch_minting, watch_packs
from tests.packs.desk import Desk
from tests.support.minting import execute
from tests.support.world import World


async def test_bars_end_with_all_units_and_with_the_failure_of_a_pack(
    world: World, tmp_path: Path
) -> None:
    api = Api(world.platform, SERVICE, world.brand_id)
    shown = io.StringIO()
    console = Console(file=shown, width=100)
    batch_id = (await world.minted(3))["mint_batch_id"]
    assert (await watch_minting(api, batch_id, console))["minted_quantity"] == 3
    assert "3/3 units" in shown.getvalue()
    desk = Desk(world, open_pack_store(None, tmp_path), tmp_path / "payload-packs")
    group = await desk.request(batch_id)
    await desk.process_all()
    packs = await watch_packs(api, group["export_group_id"], console)
    assert [each["format"] for each in packs] == ["csv", "group_manifest"]
    assert shown.getvalue().count("3/3 units") == 2
    other = await desk.request(batch_id)
    await execute(
        world,
        "update payload_pack set status = 'failed', error = 'INTERNAL' where status = 'pending'",
    )
    with pytest.raises(WorkFailed, match="failed: INTERNAL"):
        await watch_packs(api, other["export_group_id"], console)
