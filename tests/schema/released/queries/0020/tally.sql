-- name: brands_with_deltas
-- role: mintage_service
select distinct brand_id
from tally_delta
order by brand_id
limit 1000

-- name: lock_fold
-- role: mintage_service
-- One fold of a brand at a time; held until the transaction ends.
select pg_try_advisory_xact_lock(hashtextextended('mintage.fold ' || $1::text, 0)) as is_mine

-- name: fold
-- role: mintage_service
-- Moves up to $2 deltas of a brand into the tallies, under the brand's lock. All units of a voided batch are
-- revoked and none is active, whatever else is counted of them: of these two, a brand's total changes by what
-- the batches stand for after the fold (1), less what they stood for before (-1).
with moved as (
  delete from tally_delta
  where brand_id = $1
    and id in (
      select id
      from tally_delta
      where brand_id = $1
      order by id
      limit $2
    )
  returning day, metric, mint_batch_id, delta
),
brand_sums as (
  insert into brand_tally (brand_id, day, metric, value)
  select $1, day, metric, sum(delta)
  from moved
  where metric in ('units_minted', 'units_activated', 'scans')
  group by day, metric
  order by day, metric
  on conflict (brand_id, day, metric) do update set value = brand_tally.value + excluded.value
),
changes as (
  select mint_batch_id, metric, sum(delta) as value
  from moved
  where mint_batch_id is not null
    and metric in ('units_minted', 'units_activated', 'scans', 'units_active', 'units_revoked', 'batches_voided')
  group by mint_batch_id, metric
),
batch_sums as (
  insert into batch_tally (brand_id, mint_batch_id, metric, value)
  select $1, mint_batch_id, metric, value
  from changes
  order by mint_batch_id, metric
  on conflict (brand_id, mint_batch_id, metric) do update set value = batch_tally.value + excluded.value
),
before as (
  select mint_batch_id, metric, value
  from batch_tally
  where brand_id = $1
    and mint_batch_id in (select mint_batch_id from changes)
),
sides as (
  select
    side.sign,
    side.mint_batch_id,
    coalesce(sum(side.value) filter (where side.metric = 'units_minted'), 0) as minted,
    coalesce(sum(side.value) filter (where side.metric = 'units_active'), 0) as active,
    coalesce(sum(side.value) filter (where side.metric = 'units_revoked'), 0) as revoked,
    coalesce(sum(side.value) filter (where side.metric = 'batches_voided'), 0) > 0 as is_voided
  from (
    select -1 as sign, mint_batch_id, metric, value from before
    union all
    select 1, mint_batch_id, metric, value from before
    union all
    select 1, mint_batch_id, metric, value from changes
  ) as side
  group by side.sign, side.mint_batch_id
),
total_sums as (
  insert into brand_total (brand_id, metric, value)
  select $1, told.metric, sum(told.value)
  from (
    select metric, delta as value
    from moved
    where metric not in ('units_active', 'units_revoked')
    union all
    select 'units_active', case when is_voided then 0 else sign * active end
    from sides
    union all
    select 'units_revoked', sign * case when is_voided then minted else revoked end
    from sides
  ) as told
  group by told.metric
  order by told.metric
  on conflict (brand_id, metric) do update set value = brand_total.value + excluded.value
)
select count(*)::integer as folded
from moved

-- name: add_deltas
-- Changes of figures, in the transaction of what is counted.
insert into tally_delta (brand_id, day, metric, mint_batch_id, delta)
select $1, ($2::timestamptz at time zone 'UTC')::date, counted.metric, counted.mint_batch_id, counted.delta
from unnest($3::text[], $4::uuid[], $5::bigint[]) as counted (metric, mint_batch_id, delta)

-- name: read
-- All of a brand's totals, and those of the last seven UTC days, $2 the last of them. They are as of the
-- oldest delta that waits for the fold; without one as of now.
select
  coalesce(
    (
      select created_at
      from tally_delta
      where brand_id = $1
      order by id
      limit 1
    ),
    statement_timestamp()
  ) as as_of,
  (
    select coalesce(jsonb_object_agg(metric, value), '{}')
    from brand_total
    where brand_id = $1
  ) as totals,
  (
    select coalesce(jsonb_object_agg(recent.metric, recent.value), '{}')
    from (
      select metric, sum(value) as value
      from brand_tally
      where brand_id = $1
        and day between $2::date - 6 and $2::date
      group by metric
    ) as recent
  ) as last_7_days
