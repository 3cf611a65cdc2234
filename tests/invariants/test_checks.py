"""Every check of sql/checks/ holds on data of all kinds, and fails when what it says is made untrue.

The rows are broken past row-level security and without triggers of foreign keys: what no call can do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from mintage.operations.checks import load_checks, run_check
from mintage.operations.pack_execution import process_payload_pack
from mintage.operations.tallies import fold_tallies
from mintage.storage import open_pack_store
from tests.invariants.breaks import BREAKS
from tests.support.minting import (
    broken_invariants,
    claimed,
    cycle,
    drained,
    execute,
    let_leases_lapse,
    production_batch,
    rows,
    transactions,
    with_limits,
)
from tests.support.world import GTIN_TABLE, World

pytestmark = pytest.mark.long

SCAN = (
    """
    insert into unit_state (brand_id, unit_id, activated_at)
    select $1, id, now() from mint_unit where brand_id = $1 and mint_batch_id = $2 and unit_no = 0
    """,
    """
    insert into scan_event (brand_id, id, scanned_at, mint_batch_id, outcome, traffic_class)
    values ($1, gen_random_uuid(), now(), $2, 'activated', 'human')
    """,
    """
    insert into tally_delta (brand_id, day, metric, mint_batch_id, delta)
    select $1, (now() at time zone 'UTC')::date, metric, $2, 1
    from unnest(array['scans', 'units_activated', 'units_active']) as metric
    """,
)
LOTS = [{"lot_code": "A", "qty": 3}, {"lot_code": "B", "qty": 7}]


@dataclass(frozen=True)
class Busy:
    """A world with data of all kinds, and the ids that `breaks` speaks of."""

    world: World
    ids: Mapping[str, UUID]

    async def break_by(self, statement: str) -> None:
        """Run `statement` without foreign keys."""
        for name, identifier in self.ids.items():
            statement = re.sub(rf"\b{name}\b", f"'{identifier}'::uuid", statement)
        tag = await execute(self.world, f"set session_replication_role = replica; {statement}")
        assert not tag.endswith(" 0"), f"nothing was broken by {statement}"


@pytest.fixture
async def busy(world: World, tmp_path: Path) -> Busy:
    """Jobs of all modes and states, packs, a scan; half of the tallies are folded."""
    world = with_limits(world, pack_units=4, job_lease_s=3600.0)
    product_id = await world.product(gtin=GTIN_TABLE)
    asked: dict[str, Any] = {"product_batch_id": await production_batch(world, product_id)}
    serial = await world.submit(product_id, 10, **asked)
    lotted = await world.submit(product_id, 10, identity_mode="batch", lots=LOTS)
    brought = await world.submit(
        product_id,
        10,
        serials=[f"S{number}" for number in range(10)],
        activation_mode="active_at_mint",
    )
    await drained(world, batch_size=6)
    failing = await world.submit(product_id, 20, **asked)
    await cycle(world, failing, batch_size=5)
    for _ in range(3):
        await claimed(world)
        await let_leases_lapse(world)
    await cycle(world, failing)
    await fold_tallies(transactions(world))
    under_way = await world.submit(product_id, 10, serials=[f"T{number}" for number in range(10)])
    await cycle(world, under_way, batch_size=4)
    await claimed(world, under_way)
    queued = await world.submit(product_id, 10, identity_mode="batch")
    await world.rpc("request_payload_packs", mint_batch_id=serial["mint_batch_id"])
    store = open_pack_store(None, tmp_path)
    while (await process_payload_pack(transactions(world), store)).result != "idle":
        pass
    await world.rpc("request_payload_packs", mint_batch_id=brought["mint_batch_id"])
    for statement in SCAN:
        await execute(world, statement, world.brand_id, serial["mint_batch_id"])
    return Busy(
        world,
        {
            "SERIAL": serial["mint_batch_id"],
            "LOTTED": lotted["mint_batch_id"],
            "BROUGHT": brought["mint_batch_id"],
            "QUEUED": queued["mint_job_id"],
            "DONE": serial["mint_job_id"],
        },
    )


async def test_all_checks_hold_on_data_of_all_kinds(busy: Busy) -> None:
    statuses = await rows(busy.world, "select distinct status from mint_job order by 1")
    assert [each["status"] for each in statuses] == ["COMPLETED", "FAILED", "PROCESSING", "QUEUED"]
    assert await broken_invariants(busy.world) == {}


@pytest.mark.parametrize(
    ("name", "statement"),
    [(name, statement) for name, statements in BREAKS.items() for statement in statements],
    ids=lambda value: value if value in BREAKS else "",
)
async def test_a_check_fails_when_what_it_says_is_made_untrue(
    busy: Busy, name: str, statement: str
) -> None:
    await busy.break_by(statement)
    broken = await broken_invariants(busy.world)
    assert name in broken, f"{name} still holds; broken were {sorted(broken)}"


def test_every_check_is_broken_here() -> None:
    names = {check.name for check in load_checks()}
    assert names == set(BREAKS), "a new check needs statements in BREAKS that make it untrue"


def test_a_check_begins_with_what_holds() -> None:
    for check in load_checks():
        assert check.sentence
        assert check.sentence[0].islower()
        assert "\n" not in check.sentence
        assert "$1" in check.statement


async def test_a_check_sees_one_brand_only(busy: Busy) -> None:
    await busy.break_by("delete from brand_tally")
    (check,) = [each for each in load_checks() if each.name == "tallies_of_minting_add_up"]
    world = busy.world
    assert await run_check(transactions(world), check, world.brand_id)
    assert await run_check(transactions(world), check, world.other_brand_id) == []
