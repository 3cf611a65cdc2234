"""What the soak must find in the end: each acknowledged job once, exactly its units, each pack once."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from mintage.operations.checks import load_checks, run_check
from tests.packs.reading import columns_of
from tests.soak.submitters import Brand, Job, Ledger
from tests.support.minting import row, rows, transactions, value
from tests.support.world import World

UNITS = (
    "select batch.mint_job_id, job.status, batch.status as batch_status, batch.requested_quantity, "
    "count(unit.id) as units, count(distinct unit.unit_no) as numbers, max(unit.unit_no) as highest "
    "from mint_batch as batch join mint_job as job on job.id = batch.mint_job_id "
    "left join mint_unit as unit on unit.brand_id = batch.brand_id and unit.mint_batch_id = batch.id "
    "group by 1, 2, 3, 4"
)
# By their range of ids: units have no index of their batch. In two steps, as a plan of both in one may read
# every unit for each batch.
RANGE_OF_A_BATCH = (
    "select brand_id, unit_id_low, (left(unit_id_low::text, 19) || 'bfff-ffffffffffff')::uuid "
    "from mint_batch where id = $1"
)
UNITS_OF_A_RANGE = (
    "select id from mint_unit where brand_id = $1 and id between $2 and $3 order by id"
)
UNITS_OF_SOURCES = (
    "select batch.product_batch_id, count(unit.id) as units from mint_batch as batch "
    "left join mint_unit as unit on unit.brand_id = batch.brand_id and unit.mint_batch_id = batch.id "
    "where batch.status <> 'voided' and batch.product_batch_id is not null group by batch.id, 1"
)
ENDS = (
    "select mint_job_id, count(*) filter (where event_type = 'mint_job_completed') as completed, "
    "count(*) filter (where event_type = 'mint_job_started') as started from mint_event "
    "where mint_job_id is not null group by 1"
)


@dataclass
class Found:
    """Figures, and what is wrong: nothing, if all is well."""

    figures: dict[str, int] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    over_minted: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)

    @property
    def is_well(self) -> bool:
        return not (self.lost or self.doubled or self.over_minted or self.other)


async def count(world: World, brands: list[Brand], ledger: Ledger, folder: Path) -> Found:
    """Count everything, from the rows and from the files."""
    found = Found()
    await _count_jobs(world, ledger, found)
    await _count_sources(world, found)
    await _count_packs(world, folder, found)
    for check in load_checks():
        for brand in brands:
            broken = await run_check(transactions(world), check, brand.id)
            if broken:
                found.other.append(f"{check.name}: {broken[:3]}")
    return found


async def _count_jobs(world: World, ledger: Ledger, found: Found) -> None:
    minted = {each["mint_job_id"]: each for each in await rows(world, UNITS)}
    ends = {each["mint_job_id"]: each for each in await rows(world, ENDS)}
    known = {job.mint_job_id for job in ledger.jobs}
    found.lost += [f"job {job}" for job in known - set(minted)]
    found.doubled += [f"job {job}" for job in set(minted) - known]
    if len(known) != len(ledger.jobs):
        found.doubled.append("a job was acknowledged under two keys")
    for job in ledger.jobs:
        if job.mint_job_id in minted:
            _judge(job, minted[job.mint_job_id], ends[job.mint_job_id], ledger, found)
    found.figures["jobs"] = len(minted)
    found.figures["units"] = sum(each["units"] for each in minted.values())
    found.figures["voided"] = len(ledger.voided)


def _judge(
    job: Job, minted: dict[str, Any], ends: dict[str, Any], ledger: Ledger, found: Found
) -> None:
    name = f"units of {job.mint_job_id}: {minted}"
    if minted["units"] > job.quantity or minted["requested_quantity"] != job.quantity:
        found.over_minted.append(name)
    if minted["units"] != minted["numbers"] or ends["completed"] > 1 or ends["started"] > 1:
        found.doubled.append(name)
    if minted["units"] and minted["highest"] != minted["units"] - 1:
        found.lost.append(name)
    if job.mint_job_id in ledger.voided:
        if minted["batch_status"] != "voided":
            found.other.append(f"not voided: {minted}")
        return
    if minted["status"] != "COMPLETED" or minted["units"] < job.quantity or not ends["completed"]:
        found.lost.append(name)


async def _count_sources(world: World, found: Found) -> None:
    # By the units that are there: what the counters say of themselves a check of the schema holds already.
    sources = await rows(
        world, "select id, quantity from product_batch where quantity is not null and is_cumulative"
    )
    quantities = {each["id"]: each["quantity"] for each in sources}
    minted: Counter[UUID] = Counter()
    for each in await rows(world, UNITS_OF_SOURCES):
        minted[each["product_batch_id"]] += each["units"]
    for source, quantity in quantities.items():
        if minted[source] > quantity:
            found.over_minted.append(
                f"production batch {source}: {minted[source]} units of {quantity}"
            )
    found.figures["sources"] = len(quantities)


async def _count_packs(world: World, folder: Path, found: Found) -> None:
    groups = await rows(
        world,
        "select id, mint_batch_id, status from export_group where status = 'completed' order by id",
    )
    packs = await rows(world, "select * from payload_pack where status = 'completed'")
    by_group: dict[UUID, list[dict[str, Any]]] = {}
    for pack in packs:
        if pack["format"] != "group_manifest":
            by_group.setdefault(pack["export_group_id"], []).append(pack)
    for group in groups:
        await _judge_group(world, group, by_group[group["id"]], folder, found)
    paths = [pack["storage_path"] for pack in packs]
    if len(set(paths)) != len(paths):
        found.doubled.append("two packs state one file")
    told = await value(
        world, "select count(*) from mint_event where event_type = 'payload_pack_completed'"
    )
    if told != len(packs):
        found.other.append(f"{len(packs)} packs, {told} events")
    found.figures["groups"], found.figures["packs"] = len(groups), len(packs)


async def _judge_group(
    world: World, group: dict[str, Any], packs: list[dict[str, Any]], folder: Path, found: Found
) -> None:
    contents = []
    for pack in sorted(packs, key=lambda pack: int(pack["pack_index"])):
        content = (folder / "payload-packs" / pack["storage_path"]).read_bytes()
        facts = (len(content), hashlib.sha256(content).hexdigest())
        if (pack["byte_size"], pack["sha256"]) != facts:
            found.other.append(f"a file is not what its pack states: {pack['storage_path']}")
        contents.append(content)
    written = columns_of(*contents)["unit_id"]
    bounds = await row(world, RANGE_OF_A_BATCH, group["mint_batch_id"])
    units = await rows(world, UNITS_OF_A_RANGE, *bounds.values())
    if written != [str(unit["id"]) for unit in units]:
        found.other.append(f"the packs of {group['id']} are not the units of their batch")
