"""A million units in one job, and in packs: each exactly once. Run by make test-long."""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from mintage.operations.pack_execution import process_payload_pack
from mintage.rules.unit_ids import unit_no_of
from mintage.storage import open_pack_store
from tests.support.minting import (
    batch_of,
    broken_invariants,
    event_types_of,
    events_of,
    execute,
    job_of,
    row,
    transactions,
    value,
    with_limits,
)
from tests.support.world import World

MILLION = 1_000_000
CYCLES = 50
PACKS = 100

pytestmark = [pytest.mark.long, pytest.mark.timeout(580)]


@pytest.fixture
def world(world: World) -> World:
    """The leases and limits of production."""
    return with_limits(world, job_lease_s=60.0, pack_lease_s=600.0)


async def _minted(world: World, **more: Any) -> dict[str, Any]:
    submitted = await world.submit(await world.product(gtin="9506000134352"), MILLION, **more)
    answer = await world.run(submitted["mint_job_id"])
    assert (answer["status"], answer["minted_quantity"]) == ("COMPLETED", MILLION)
    await execute(world, "analyze")
    return submitted


async def _assert_exactly_a_million(world: World, submitted: dict[str, Any]) -> None:
    """Rows, ids, numbers, job, batch and events of the only job there is."""
    counted = await row(
        world,
        "select count(*) as units, count(distinct id) as ids, count(distinct unit_no) as numbers, "
        "min(unit_no) as lowest, max(unit_no) as highest from mint_unit",
    )
    assert counted == {
        "units": MILLION,
        "ids": MILLION,
        "numbers": MILLION,
        "lowest": 0,
        "highest": MILLION - 1,
    }
    assert (await job_of(world, submitted))["status"] == "COMPLETED"
    assert (await batch_of(world, submitted))["status"] == "minted"
    created = [
        event["payload"]
        for event in await events_of(world, submitted)
        if event["event_type"] == "mint_units_created"
    ]
    assert sum(payload["count"] for payload in created) == MILLION
    assert [payload["first_unit_no"] for payload in created] == list(range(0, MILLION, 20_000))
    types = await event_types_of(world, submitted)
    assert {name: types.count(name) for name in types if name != "mint_lots_confirmed"} == {
        "mint_requested": 1,
        "mint_job_started": 1,
        "mint_units_created": CYCLES,
        "mint_job_completed": 1,
    }
    assert await broken_invariants(world) == {}


async def test_a_million_serials_are_minted_and_packed_each_once(
    world: World, tmp_path: Path
) -> None:
    submitted = await _minted(world)
    await _assert_exactly_a_million(world, submitted)
    assert await value(world, "select count(distinct serial_number) from mint_unit") == MILLION

    requested = await world.rpc("request_payload_packs", mint_batch_id=submitted["mint_batch_id"])
    assert requested["pack_count"] == PACKS
    store = open_pack_store(None, tmp_path)
    for _ in range(PACKS + 1):
        outcome = await process_payload_pack(transactions(world), store)
        assert outcome.result == "completed"
    page = await world.rpc("list_payload_packs", limit=200)
    *packs, manifest = sorted(page["packs"], key=lambda pack: pack["pack_index"])
    assert [pack["pack_index"] for pack in packs] == list(range(1, PACKS + 1))
    assert manifest["format"] == "group_manifest"
    batch = await batch_of(world, submitted)
    assert batch["status"] == "exported"

    numbers, serials, urls = [], set(), set()
    for pack in packs:
        content = (tmp_path / "payload-packs" / pack["storage_path"]).read_bytes()
        assert len(content) == pack["byte_size"]
        assert hashlib.sha256(content).hexdigest() == pack["sha256"]
        lines = list(csv.DictReader(io.StringIO(content.decode("utf-8"), newline="")))
        assert len(lines) == pack["unit_count"] == MILLION // PACKS
        for line in lines:
            numbers.append(unit_no_of(batch["unit_id_low"], MILLION, UUID(line["unit_id"])))
            serials.add(line["serial_number"])
            urls.add(line["resolver_url"])
    assert np.array_equal(np.array(numbers), np.arange(MILLION))
    assert len(serials) == len(urls) == MILLION
    assert await broken_invariants(world) == {}


async def test_a_million_brought_serials_land_at_their_places(world: World) -> None:
    serials = [f"S{(number * 7919) % 1_000_003:07}" for number in range(MILLION)]
    submitted = await _minted(world, serials=serials)
    await _assert_exactly_a_million(world, submitted)
    stored = await value(world, "select array_agg(serial_number order by unit_no) from mint_unit")
    assert stored == serials


async def test_a_million_units_in_lots_are_minted_each_once(world: World) -> None:
    lots = [{"lot_code": f"LOT-{number}", "qty": MILLION // 100} for number in range(100)]
    submitted = await _minted(world, identity_mode="batch", lots=lots)
    await _assert_exactly_a_million(world, submitted)
    answer = await world.rpc("get_mint_batch_by_id", mint_batch_id=submitted["mint_batch_id"])
    told = {(lot["quantity"], lot["minted_quantity"]) for lot in answer["batch"]["lots"]}
    assert told == {(10_000, 10_000)}
    lot = answer["batch"]["lots"][70]
    page = await world.rpc("list_mint_units", mint_lot_id=lot["id"], limit=1)
    assert page["units"][0]["unit_no"] == 709_999
