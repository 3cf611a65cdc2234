-- a brand's folded totals follow from its folded batches and days: a voided batch's units are revoked ones
with batch as (
  select
    mint_batch_id,
    coalesce(sum(value) filter (where metric = 'units_minted'), 0) as minted,
    coalesce(sum(value) filter (where metric = 'units_active'), 0) as active,
    coalesce(sum(value) filter (where metric = 'units_revoked'), 0) as revoked,
    coalesce(sum(value) filter (where metric = 'batches_voided'), 0) > 0 as is_voided
  from batch_tally
  where brand_id = $1
  group by mint_batch_id
),
following as (
  select 'units_active' as metric, sum(case when is_voided then 0 else active end) as value
  from batch
  union all
  select 'units_revoked', sum(case when is_voided then minted else revoked end)
  from batch
  union all
  select metric, sum(value)
  from brand_tally
  where brand_id = $1
    and metric in ('units_minted', 'units_activated', 'scans')
  group by metric
),
told as (
  select metric, value
  from brand_total
  where brand_id = $1
    and metric in ('units_minted', 'units_activated', 'scans', 'units_active', 'units_revoked')
)
select
  metric,
  told.value as told,
  following.value as following
from told
full join following using (metric)
where coalesce(told.value, 0) <> coalesce(following.value, 0)
order by metric
