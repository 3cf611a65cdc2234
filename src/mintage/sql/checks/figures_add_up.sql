-- a brand's figures, folded and not yet folded, are a recount of its batches, jobs, packs and units
with told as (
  select metric, sum(value) as value
  from (
    select metric, value
    from brand_total
    where brand_id = $1
    union all
    select metric, delta
    from tally_delta
    where brand_id = $1
  ) as deltas
  where metric not in ('units_active', 'units_revoked', 'units_activated', 'scans')
  group by metric
),
recount as (
  select
    case
      when status in ('draft', 'queued', 'processing') then 'batches_in_progress'
      when status in ('failed', 'voided') then 'batches_' || status
      else 'batches_minted'
    end as metric,
    count(*) as value
  from mint_batch
  where brand_id = $1
  group by 1
  union all
  select
    'units_requested',
    sum(case status when 'voided' then 0 when 'failed' then minted_quantity else requested_quantity end)
  from mint_batch
  where brand_id = $1
  union all
  select 'units_minted', count(*)
  from mint_unit
  where brand_id = $1
  union all
  select 'units_scanned', count(*)
  from unit_state
  where brand_id = $1
    and scan_count > 0
  union all
  select 'jobs_' || lower(status), count(*)
  from mint_job
  where brand_id = $1
    and status in ('QUEUED', 'FAILED')
  group by status
  union all
  select 'packs_completed', count(*)
  from payload_pack
  where brand_id = $1
    and status = 'completed'
    and format <> 'group_manifest'
)
select
  metric,
  told.value as told,
  recount.value as recounted
from told
full join recount using (metric)
where coalesce(told.value, 0) <> coalesce(recount.value, 0)
order by metric
