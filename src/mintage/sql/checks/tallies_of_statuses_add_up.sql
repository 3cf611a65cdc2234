-- the tallies of active and revoked units of each batch are a recount of its units, as if none were voided
with told as (
  select mint_batch_id, metric, sum(value) as value
  from (
    select mint_batch_id, metric, value
    from batch_tally
    where brand_id = $1
    union all
    select mint_batch_id, metric, delta
    from tally_delta
    where brand_id = $1
  ) as deltas
  where metric in ('units_active', 'units_revoked')
  group by mint_batch_id, metric
),
counted as (
  select
    batch.id as mint_batch_id,
    count(*) filter (
      where state.revoked_at is null
        and (batch.activation_mode = 'active_at_mint' or state.activated_at is not null or lot.id is not null)
    ) as active,
    count(*) filter (where state.revoked_at is not null) as revoked
  from mint_unit as unit
  join mint_batch as batch on batch.brand_id = $1 and batch.id = unit.mint_batch_id
  left join unit_state as state on state.brand_id = $1 and state.unit_id = unit.id
  left join mint_lot as lot
    on lot.brand_id = $1
    and lot.mint_batch_id = unit.mint_batch_id
    and lot.activated_at is not null
    and unit.unit_no >= lot.first_unit_no
    and unit.unit_no < lot.first_unit_no + lot.quantity
  where unit.brand_id = $1
  group by batch.id
),
recount as (
  select mint_batch_id, 'units_active' as metric, active as value
  from counted
  union all
  select mint_batch_id, 'units_revoked', revoked
  from counted
)
select
  mint_batch_id,
  metric,
  told.value as told,
  recount.value as recounted
from told
full join recount using (mint_batch_id, metric)
where coalesce(told.value, 0) <> coalesce(recount.value, 0)
order by mint_batch_id, metric
