"""get_mint_kpis: what each figure counts, and as of when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from mintage.operations.pack_execution import process_payload_pack
from mintage.operations.resolving import LotId, UnitId
from mintage.operations.tallies import METRICS, fold_tallies
from mintage.storage import open_pack_store
from tests.schema.catalog import connected, values_allowed
from tests.support.figures import figures, folded_figures, recounted
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

KEYS = [
    "batches_total",
    "batches_in_progress",
    "batches_minted",
    "batches_failed",
    "batches_voided",
    "units_requested",
    "units_minted",
    "units_active",
    "units_revoked",
    "activation_rate",
    "units_minted_7d",
    "scans_7d",
    "jobs_queued",
    "jobs_failed",
    "packs_completed",
    "scans_total",
    "units_scanned",
    "as_of",
]


async def _unit_ids(world: World, submitted: dict[str, Any]) -> list[UUID]:
    return [unit["id"] for unit in await units_of(world, submitted)]


async def _void(world: World, submitted: dict[str, Any]) -> None:
    await world.rpc(
        "set_mint_batch_status", mint_batch_id=submitted["mint_batch_id"], status="voided"
    )


async def _kept(world: World, **expected: object) -> None:
    """The figures named are these, and all figures are a recount of the rows."""
    told = await folded_figures(world)
    assert {name: told[name] for name in expected} == expected
    assert told == await recounted(world)
    assert await broken_invariants(world) == {}


async def test_a_new_brand_has_nothing_but_zeros(world: World) -> None:
    answer = await world.rpc("get_mint_kpis", "viewer")
    assert list(answer) == ["ok", "kpis"]
    assert list(answer["kpis"]) == KEYS
    assert isinstance(answer["kpis"].pop("as_of"), datetime)
    assert answer["kpis"].pop("activation_rate") is None
    assert set(answer["kpis"].values()) == {0}


async def test_the_metrics_in_sql_are_those_of_python(dsn: str) -> None:
    async with connected(dsn) as connection:
        assert await values_allowed(connection, "tally_delta", "metric") == set(METRICS)


async def test_a_request_is_in_progress_until_it_is_minted(world: World) -> None:
    submitted = await world.submit(await world.product(), 10)
    waiting = {"batches_in_progress": 1, "units_requested": 10, "jobs_queued": 1}
    await _kept(world, batches_total=1, batches_minted=0, units_minted=0, **waiting)
    await cycle(world, submitted, batch_size=4)
    await _kept(world, batches_in_progress=1, jobs_queued=0, units_minted=4, units_minted_7d=4)
    await cycle(world, submitted)
    await _kept(world, batches_total=1, batches_in_progress=0, batches_minted=1, units_minted=10)
    for status in ("exported", "printed", "applied"):
        await world.rpc(
            "set_mint_batch_status", mint_batch_id=submitted["mint_batch_id"], status=status
        )
    await _kept(world, batches_total=1, batches_minted=1, units_requested=10)


async def test_a_preflight_is_no_queued_job_until_it_is_made_a_batch_of(world: World) -> None:
    preflight = await world.rpc(
        "preflight_mint_batch", product_id=await world.product(), requested_quantity=5
    )
    await _kept(world, jobs_queued=0, batches_total=0, units_requested=0)
    await world.rpc("create_mint_batch_from_job", mint_job_id=preflight["id"])
    await _kept(world, jobs_queued=1, batches_in_progress=1, units_requested=5)


async def test_a_failed_batch_counts_what_it_minted_until_it_is_retried(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = with_limits(world, attempts_max=1)
    submitted = await world.submit(await world.product(), 10)
    await cycle(world, submitted, batch_size=4)
    with broken_cycles(monkeypatch):
        await cycle(world, submitted)
    await _kept(world, batches_failed=1, jobs_failed=1, units_requested=4, units_minted=4)
    await world.rpc("retry_mint_job", mint_job_id=submitted["mint_job_id"])
    await _kept(world, batches_failed=0, batches_in_progress=1, jobs_failed=0, jobs_queued=1)
    await _kept(world, units_requested=10)
    await cycle(world, submitted)
    await _kept(world, batches_minted=1, units_minted=10, jobs_queued=0)


async def test_units_that_are_active_at_mint_are_active_in_each_cycle(world: World) -> None:
    submitted = await world.submit(
        await world.product(), 10, activation_mode="active_at_mint", identity_mode="batch"
    )
    await cycle(world, submitted, batch_size=4)
    await _kept(world, units_active=4, activation_rate=1.0)
    await cycle(world, submitted)
    await _kept(world, units_active=10, activation_rate=1.0)


async def test_scans_of_units_and_lots_make_units_active_once(world: World) -> None:
    lots = [{"lot_code": "A", "qty": 6}, {"lot_code": "B", "qty": 2}]
    minted = await world.minted(8, gtin=None, identity_mode="batch", lots=lots)
    ids = await _unit_ids(world, minted)
    lot_id = await value(world, "select id from mint_lot where lot_code = 'A'")
    for key in (UnitId(ids[0]), UnitId(ids[0]), UnitId(ids[7])):
        await scan(world, key)
    await _kept(world, units_active=2, units_scanned=2, scans_total=3, scans_7d=3)
    await scan(world, LotId(lot_id))
    await scan(world, LotId(lot_id))
    await _kept(world, units_active=7, units_scanned=2, scans_total=5, activation_rate=7 / 8)


async def test_a_unit_that_was_revoked_before_its_lot_was_activated_is_not_active(
    world: World,
) -> None:
    minted = await world.minted(4, gtin=None, identity_mode="batch")
    ids = await _unit_ids(world, minted)
    await world.rpc("revoke_mint_units", unit_ids=ids[:1], reason="lost")
    await scan(world, LotId(await value(world, "select id from mint_lot")))
    await _kept(world, units_active=3, units_revoked=1, activation_rate=1.0)
    await world.rpc("revoke_mint_units", unit_ids=ids[:2], reason="lost")
    await _kept(world, units_active=2, units_revoked=2, activation_rate=1.0)


async def test_a_scan_answered_410_is_no_scan_in_total_but_one_of_its_unit(world: World) -> None:
    minted = await world.minted(2)
    ids = await _unit_ids(world, minted)
    await world.rpc("revoke_mint_units", unit_ids=ids[:1], reason="lost")
    assert await scan(world, UnitId(ids[0])) == "revoked"
    await _kept(world, scans_total=0, scans_7d=0, units_scanned=1, units_active=0)


@pytest.mark.parametrize("is_folded", [False, True])
async def test_voiding_revokes_all_that_was_minted_whatever_it_was(
    world: World, is_folded: bool
) -> None:
    minted = await world.minted(10)
    ids = await _unit_ids(world, minted)
    for unit_id in ids[:3]:
        await scan(world, UnitId(unit_id))
    await world.rpc("revoke_mint_units", unit_ids=[ids[0], ids[9]], reason="lost")
    await world.minted(5, gtin=None)
    if is_folded:
        await _kept(world, units_active=2, units_revoked=2)
    deltas = await value(world, "select count(*) from tally_delta")
    await _void(world, minted)
    assert await value(world, "select count(*) from tally_delta") == deltas + 3
    await _kept(world, units_minted=15, units_active=0, units_revoked=10, batches_voided=1)
    await _kept(world, units_requested=5, activation_rate=0.0)


async def test_what_comes_in_late_for_a_voided_batch_changes_nothing(world: World) -> None:
    """An activation that was under way when its batch was voided is committed after it."""
    minted = await world.minted(4)
    (unit_id, *_) = await _unit_ids(world, minted)
    await _void(world, minted)
    await _kept(world, units_active=0, units_revoked=4)
    await execute(
        world,
        "insert into unit_state (brand_id, unit_id, activated_at) values ($1, $2, now())",
        world.brand_id,
        unit_id,
    )
    for metric in ("units_activated", "units_active"):
        await execute(
            world,
            "insert into tally_delta (brand_id, day, metric, mint_batch_id, delta) "
            "values ($1, current_date, $2, $3, 1)",
            world.brand_id,
            metric,
            minted["mint_batch_id"],
        )
    await _kept(world, units_active=0, units_revoked=4)


async def test_voiding_a_job_that_waits_makes_it_a_failed_one(world: World) -> None:
    submitted = await world.submit(await world.product(), 10)
    await _void(world, submitted)
    await _kept(world, jobs_queued=0, jobs_failed=1, batches_voided=1, units_requested=0)
    await _kept(world, activation_rate=None)


async def test_seven_days_are_today_and_the_six_before_in_utc(world: World) -> None:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    minted = await world.minted(2)
    ids = await _unit_ids(world, minted)
    await execute(world, "select ensure_scan_event_partitions($1, 2)", today - timedelta(days=31))
    last_left_out = today - timedelta(days=6, microseconds=1)
    for moment in (today, today - timedelta(days=6), last_left_out):
        await scan(world, UnitId(ids[0]), scanned_at=moment)
    await _kept(world, scans_7d=2, scans_total=3, units_minted_7d=2)


async def test_completed_packs_are_counted_even_of_a_voided_batch(
    world: World, tmp_path: Path
) -> None:
    world = with_limits(world, pack_units=4)
    minted = await world.minted(10)
    await world.rpc("request_payload_packs", mint_batch_id=minted["mint_batch_id"])
    store = open_pack_store(None, tmp_path)
    for _ in range(2):
        await process_payload_pack(transactions(world), store)
    await _void(world, minted)
    await _kept(world, packs_completed=2)


async def test_figures_are_as_of_the_oldest_delta_that_waits(world: World) -> None:
    before = await figures(world)
    await world.submit(await world.product(), 10)
    await world.submit(await world.product(), 10)
    waiting = (await world.rpc("get_mint_kpis"))["kpis"]
    oldest = await value(world, "select min(created_at) from tally_delta")
    assert waiting.pop("as_of") == oldest
    assert waiting == before
    await fold_tallies(transactions(world))
    earlier = await value(world, "select clock_timestamp()")
    folded = (await world.rpc("get_mint_kpis"))["kpis"]
    assert earlier < folded["as_of"] < await value(world, "select clock_timestamp()")
    assert folded["batches_in_progress"] == 2


async def test_each_brand_has_its_own(world: World) -> None:
    await world.submit(await world.product(), 10)
    await folded_figures(world)
    assert (await figures(world, "stranger"))["batches_total"] == 0
