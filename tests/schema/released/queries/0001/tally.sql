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
-- Moves up to $2 deltas of a brand into the tallies, under the brand's lock.
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
  group by day, metric
  order by day, metric
  on conflict (brand_id, day, metric) do update set value = brand_tally.value + excluded.value
),
batch_sums as (
  insert into batch_tally (brand_id, mint_batch_id, metric, value)
  select $1, mint_batch_id, metric, sum(delta)
  from moved
  where mint_batch_id is not null
  group by mint_batch_id, metric
  order by mint_batch_id, metric
  on conflict (brand_id, mint_batch_id, metric) do update set value = batch_tally.value + excluded.value
)
select count(*)::integer as folded
from moved
