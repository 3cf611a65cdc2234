-- the tallies of minted units, folded and not yet folded, are a recount of the units: by batch and by day
with told as (
  select day, null::uuid as mint_batch_id, value
  from brand_tally
  where brand_id = $1
    and metric = 'units_minted'
  union all
  select day, null, delta
  from tally_delta
  where brand_id = $1
    and metric = 'units_minted'
  union all
  select null, mint_batch_id, value
  from batch_tally
  where brand_id = $1
    and metric = 'units_minted'
  union all
  select null, mint_batch_id, delta
  from tally_delta
  where brand_id = $1
    and metric = 'units_minted'
),
counted as (
  select (created_at at time zone 'UTC')::date as day, mint_batch_id, count(*) as units
  from mint_unit
  where brand_id = $1
  group by 1, 2
),
recount as (
  select day, null::uuid as mint_batch_id, sum(units) as value
  from counted
  group by day
  union all
  select null, mint_batch_id, sum(units)
  from counted
  group by mint_batch_id
)
select
  coalesce(told.day, recount.day) as day,
  coalesce(told.mint_batch_id, recount.mint_batch_id) as mint_batch_id,
  told.value as told,
  recount.value as recounted
from (select day, mint_batch_id, sum(value) as value from told group by day, mint_batch_id) as told
full join recount
  on coalesce(told.day::text, told.mint_batch_id::text) = coalesce(recount.day::text, recount.mint_batch_id::text)
where coalesce(told.value, 0) <> coalesce(recount.value, 0)
order by 1, 2
