-- the tallies of scans are a recount of the scan events that are kept, by day
with told as (
  select day, sum(value) as value
  from (
    select day, value
    from brand_tally
    where brand_id = $1
      and metric = 'scans'
    union all
    select day, delta
    from tally_delta
    where brand_id = $1
      and metric = 'scans'
  ) as deltas
  group by day
),
counted as (
  select (scanned_at at time zone 'UTC')::date as day, count(*) as value
  from scan_event
  where brand_id = $1
    and outcome <> 'revoked'
  group by 1
),
kept as (
  select min((scanned_at at time zone 'UTC')::date) as first_day
  from scan_event
  where brand_id = $1
)
select
  coalesce(told.day, counted.day) as day,
  told.value as told,
  counted.value as recounted
from told
full join counted on counted.day = told.day
where coalesce(told.value, 0) <> coalesce(counted.value, 0)
  and coalesce(told.day, counted.day) >= (select first_day from kept)
order by 1
