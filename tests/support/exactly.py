"""Exactly what was asked for, once: a job's units and events, a group's packs and their files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from tests.packs.reading import columns_of
from tests.support.minting import batch_of, item_of, job_of, rows, units_of, value
from tests.support.world import World


async def assert_minted_exactly(world: World, job: dict[str, Any], quantity: int) -> None:
    """`job` is COMPLETED, its units are 0 … quantity − 1 once each, and its events tell them once each."""
    assert (await batch_of(world, job))["status"] in {"minted", "exported"}
    assert (await job_of(world, job))["status"] == "COMPLETED"
    assert await item_of(world, job) is None
    numbers = await value(
        world,
        "select array_agg(unit_no order by unit_no) from mint_unit where mint_batch_id = $1",
        job["mint_batch_id"],
    )
    assert numbers == list(range(quantity))
    events = await rows(
        world,
        "select event_type, payload from mint_event where mint_batch_id = $1 order by created_at, id",
        job["mint_batch_id"],
    )
    chunks = [each["payload"] for each in events if each["event_type"] == "mint_units_created"]
    assert sum(chunk["count"] for chunk in chunks) == quantity
    ends = [chunk["last_unit_no"] + 1 for chunk in chunks]
    assert [chunk["first_unit_no"] for chunk in chunks] == [0, *ends[:-1]]
    assert ends[-1] == quantity
    types = [each["event_type"] for each in events]
    assert types.count("mint_job_started") == types.count("mint_job_completed") == 1


async def assert_packed_exactly(
    world: World, job: dict[str, Any], folder: Path, pack_count: int
) -> None:
    """The batch's packs and their manifest are complete, each once and told once; their files are what the
    rows state."""
    packs = await rows(
        world,
        "select * from payload_pack where mint_batch_id = $1 order by pack_index",
        job["mint_batch_id"],
    )
    assert [pack["status"] for pack in packs] == ["completed"] * (pack_count + 1)
    assert [pack["format"] for pack in packs] == ["csv"] * pack_count + ["group_manifest"]
    contents = []
    for pack in packs:
        content = (folder / "payload-packs" / pack["storage_path"]).read_bytes()
        assert (pack["byte_size"], pack["sha256"]) == (
            len(content),
            hashlib.sha256(content).hexdigest(),
        )
        contents.append(content)
    manifest = json.loads(contents.pop())
    assert [entry["sha256"] for entry in manifest["packs"]] == [
        pack["sha256"] for pack in packs[:-1]
    ]
    units = await units_of(world, job)
    assert columns_of(*contents)["unit_id"] == [str(unit["id"]) for unit in units]
    told = await rows(
        world,
        "select event_type, count(*) as times from mint_event where mint_batch_id = $1 "
        "and event_type in ('payload_pack_completed', 'payload_pack_failed', 'mint_batch_status_changed') "
        "group by 1",
        job["mint_batch_id"],
    )
    assert {each["event_type"]: each["times"] for each in told} == {
        "payload_pack_completed": pack_count + 1,
        "mint_batch_status_changed": 1,
    }
    assert (await batch_of(world, job))["status"] == "exported"
    assert await value(world, "select count(*) from work_item where kind = 'payload_pack'") == 0
