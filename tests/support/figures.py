"""The figures of get_mint_kpis counted anew, row by row: what the tallies must come to."""

from __future__ import annotations

from typing import Any

from mintage.operations.tallies import fold_tallies
from tests.support.minting import row, transactions
from tests.support.world import World

RECOUNT = """
with unit as (
  select
    mint_unit.created_at,
    case
      when batch.status = 'voided' or state.revoked_at is not null then 'revoked'
      when batch.activation_mode = 'active_at_mint' or state.activated_at is not null or exists (
        select
        from mint_lot as lot
        where lot.mint_batch_id = batch.id
          and lot.activated_at is not null
          and mint_unit.unit_no between lot.first_unit_no and lot.first_unit_no + lot.quantity - 1
      ) then 'active'
      else 'minted'
    end as status,
    exists (select from scan_event where scan_event.unit_id = mint_unit.id) as is_scanned
  from mint_unit
  join mint_batch as batch on batch.id = mint_unit.mint_batch_id
  left join unit_state as state on state.unit_id = mint_unit.id
  where mint_unit.brand_id = $1
),
units as (
  select
    count(*) as units_minted,
    count(*) filter (where status = 'active') as units_active,
    count(*) filter (where status = 'revoked') as units_revoked,
    (count(*) filter (where status = 'active'))::float
      / nullif(count(*) filter (where status <> 'revoked'), 0) as activation_rate,
    count(*) filter (where (created_at at time zone 'UTC')::date > today.day - 7) as units_minted_7d,
    count(*) filter (where is_scanned) as units_scanned
  from unit
  cross join (select (clock_timestamp() at time zone 'UTC')::date as day) as today
),
batches as (
  select
    count(*) as batches_total,
    count(*) filter (where status in ('draft', 'queued', 'processing')) as batches_in_progress,
    count(*) filter (where status in ('minted', 'exported', 'printed', 'applied')) as batches_minted,
    count(*) filter (where status = 'failed') as batches_failed,
    count(*) filter (where status = 'voided') as batches_voided,
    coalesce(sum(requested_quantity) filter (where status not in ('voided', 'failed')), 0)
      + coalesce(sum(minted_quantity) filter (where status = 'failed'), 0) as units_requested
  from mint_batch
  where brand_id = $1
),
jobs as (
  select
    count(*) filter (where status = 'QUEUED') as jobs_queued,
    count(*) filter (where status = 'FAILED') as jobs_failed
  from mint_job
  where brand_id = $1
),
packs as (
  select count(*) as packs_completed
  from payload_pack
  where brand_id = $1
    and status = 'completed'
    and format <> 'group_manifest'
),
scans as (
  select
    count(*) as scans_total,
    count(*) filter (
      where (scanned_at at time zone 'UTC')::date > (clock_timestamp() at time zone 'UTC')::date - 7
    ) as scans_7d
  from scan_event
  where brand_id = $1
    and outcome <> 'revoked'
)
select *
from units, batches, jobs, packs, scans
"""


async def recounted(world: World) -> dict[str, Any]:
    """The figures of the brand under test, but `as_of`, from the rows."""
    counted = await row(world, RECOUNT, world.brand_id)
    return {
        name: value if value is None or name == "activation_rate" else int(value)
        for name, value in counted.items()
    }


async def figures(world: World, caller: str = "owner") -> dict[str, Any]:
    """What get_mint_kpis tells of the caller's brand, but `as_of`."""
    kpis = dict((await world.rpc("get_mint_kpis", caller))["kpis"])
    kpis.pop("as_of")
    return kpis


async def folded_figures(world: World) -> dict[str, Any]:
    """The same once everything is folded."""
    while await fold_tallies(transactions(world)):
        pass
    return await figures(world)
