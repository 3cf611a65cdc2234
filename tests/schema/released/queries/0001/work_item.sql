-- name: enqueue
insert into work_item (kind, brand_id, ref_id, enqueued_at, runnable_at)
values ($1, $2, $3, clock_timestamp(), clock_timestamp() + make_interval(secs => $4::double precision))

-- name: wake
select pg_notify('mintage_work', $1::text)

-- name: claim
-- role: mintage_service
-- A few brands with runnable work, the one served longest ago first; of it the oldest item that nobody
-- holds. A lapsed lease counts as an attempt. The turn is stamped in the same statement. "chosen" walks the
-- brands in their order and stops at the first item it could lock: sorting there would lock one of each.
with brands as (
  select runnable.brand_id, turn.last_claimed_at
  from (
    select distinct brand_id
    from work_item
    where kind = $1
      and runnable_at <= clock_timestamp()
      and (lease_until is null or lease_until <= clock_timestamp())
  ) as runnable
  left join brand_turn as turn on turn.kind = $1 and turn.brand_id = runnable.brand_id
  order by turn.last_claimed_at nulls first, runnable.brand_id
  limit 8
),
chosen as (
  select item.brand_id, item.ref_id, item.lease_until is not null as has_lapsed
  from brands
  cross join lateral (
    select brand_id, ref_id, lease_until
    from work_item
    where kind = $1
      and brand_id = brands.brand_id
      and runnable_at <= clock_timestamp()
      and (lease_until is null or lease_until <= clock_timestamp())
    order by enqueued_at, ref_id
    limit 1
    for update skip locked
  ) as item
  limit 1
),
claimed as (
  update work_item
  set lease_owner = $2,
    lease_until = clock_timestamp() + make_interval(secs => $3::double precision),
    lease_epoch = lease_epoch + 1,
    attempts = attempts + chosen.has_lapsed::integer
  from chosen
  where work_item.kind = $1
    and work_item.brand_id = chosen.brand_id
    and work_item.ref_id = chosen.ref_id
  returning work_item.brand_id, work_item.ref_id, work_item.lease_epoch, work_item.attempts, chosen.has_lapsed
),
turn as (
  insert into brand_turn (kind, brand_id, last_claimed_at)
  select $1, brand_id, clock_timestamp()
  from claimed
  on conflict (kind, brand_id) do update set last_claimed_at = excluded.last_claimed_at
)
select brand_id, ref_id, lease_epoch, attempts, has_lapsed, clock_timestamp() as now
from claimed

-- name: claim_one
-- role: mintage_service
with chosen as (
  select brand_id, ref_id, lease_until is not null as has_lapsed
  from work_item
  where kind = $1
    and ref_id = $2
    and (lease_until is null or lease_until <= clock_timestamp())
  for update skip locked
),
claimed as (
  update work_item
  set lease_owner = $3,
    lease_until = clock_timestamp() + make_interval(secs => $4::double precision),
    lease_epoch = lease_epoch + 1,
    attempts = attempts + chosen.has_lapsed::integer
  from chosen
  where work_item.kind = $1
    and work_item.brand_id = chosen.brand_id
    and work_item.ref_id = chosen.ref_id
  returning work_item.brand_id, work_item.ref_id, work_item.lease_epoch, work_item.attempts, chosen.has_lapsed
),
turn as (
  insert into brand_turn (kind, brand_id, last_claimed_at)
  select $1, brand_id, clock_timestamp()
  from claimed
  on conflict (kind, brand_id) do update set last_claimed_at = excluded.last_claimed_at
)
select brand_id, ref_id, lease_epoch, attempts, has_lapsed, clock_timestamp() as now
from claimed

-- name: attempt_failed
-- role: mintage_service
-- $5 is 1 for a failed attempt, 0 for a lease given back; $6 the pauses after the first, second, … failure.
update work_item
set lease_owner = null,
  lease_until = null,
  attempts = attempts + $5::integer,
  runnable_at = clock_timestamp()
    + make_interval(secs => coalesce(($6::double precision[])[attempts + 1], 0))
where kind = $1
  and brand_id = $2
  and ref_id = $3
  and lease_epoch = $4
returning attempts

-- name: remove
-- role: mintage_service
delete from work_item
where kind = $1
  and brand_id = $2
  and ref_id = $3
  and lease_epoch = $4

-- name: next_runnable_s
-- role: mintage_service
-- Seconds until something of this kind is runnable; null when nothing is queued.
select extract(epoch from min(greatest(runnable_at, coalesce(lease_until, runnable_at))) - clock_timestamp())::double precision as wait_s
from work_item
where kind = $1
