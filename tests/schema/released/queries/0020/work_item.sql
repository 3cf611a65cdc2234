-- name: enqueue
insert into work_item (kind, brand_id, ref_id, enqueued_at, runnable_at)
values ($1, $2, $3, clock_timestamp(), clock_timestamp() + make_interval(secs => $4::double precision))

-- name: wake
select pg_notify('mintage_work', $1::text)

-- name: claim
-- role: mintage_service
-- A few brands with runnable work, the one served longest ago first; of it the oldest item that nobody
-- holds. A lapsed lease counts as an attempt, unless it had ended before the server started: then its holder
-- could not have kept it. The turn is stamped in the same statement. "chosen" walks the
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
  select
    item.brand_id,
    item.ref_id,
    coalesce(item.lease_until > pg_postmaster_start_time(), false) as has_lapsed
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
    attempts = attempts + chosen.has_lapsed::integer,
    lapsed_epochs = case
      when not chosen.has_lapsed then lapsed_epochs
      when attempts = 0 then array[lease_epoch]
      else lapsed_epochs || lease_epoch
    end
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
  select brand_id, ref_id, coalesce(lease_until > pg_postmaster_start_time(), false) as has_lapsed
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
    attempts = attempts + chosen.has_lapsed::integer,
    lapsed_epochs = case
      when not chosen.has_lapsed then lapsed_epochs
      when attempts = 0 then array[lease_epoch]
      else lapsed_epochs || lease_epoch
    end
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
-- $5: the pauses after the first, second, … failure.
update work_item
set lease_owner = null,
  lease_until = null,
  attempts = attempts + 1,
  runnable_at = clock_timestamp()
    + make_interval(secs => coalesce(($5::double precision[])[attempts + 1], 0))
where kind = $1
  and brand_id = $2
  and ref_id = $3
  and lease_epoch = $4
returning attempts

-- name: renew
-- role: mintage_service
update work_item
set lease_until = clock_timestamp() + make_interval(secs => $6::double precision)
where kind = $1
  and brand_id = $2
  and ref_id = $3
  and lease_epoch = $4
  and lease_owner = $5
returning lease_epoch

-- name: postpone
-- role: mintage_service
-- What cannot be done yet waits, without an attempt: $6 seconds, each time twice as long, $7 at most.
update work_item
set lease_owner = null,
  lease_until = null,
  postponed = postponed + 1,
  runnable_at = clock_timestamp()
    + make_interval(secs => least($6::double precision * power(2, least(postponed, 16)), $7::double precision))
where kind = $1
  and brand_id = $2
  and ref_id = $3
  and lease_epoch = $4
  and lease_owner = $5
returning postponed

-- name: give_back
-- role: mintage_service
-- The lease of epoch $4 ends without an attempt. Where it has lapsed and was claimed by another since, that
-- claim has counted it: it is taken off again, once, unless a chunk was committed since (the job had minted $6
-- then), which began the count anew. An epoch that the server has forgotten and given to another owner than $5 stays.
update work_item
set lease_owner = case when lease_epoch = $4 then null else lease_owner end,
  lease_until = case when lease_epoch = $4 then null else lease_until end,
  runnable_at = case when lease_epoch = $4 then clock_timestamp() else runnable_at end,
  attempts = case when lease_epoch = $4 then attempts else greatest(attempts - 1, 0) end,
  lapsed_epochs = array_remove(lapsed_epochs, $4)
where kind = $1
  and brand_id = $2
  and ref_id = $3
  and (
    (lease_epoch = $4 and lease_owner = $5)
    or (lease_epoch > $4 and $4 = any (lapsed_epochs) and not exists (
      select from mint_batch
      where brand_id = $2
        and mint_job_id = $3
        and minted_quantity > $6
    ))
  )

-- name: remove
-- role: mintage_service
delete from work_item
where kind = $1
  and brand_id = $2
  and ref_id = $3
  and lease_epoch = $4

-- name: remove_of_batch
-- The items of a batch's job and of its open packs, whoever holds them: a claim or a closing is waited for.
with held as (
  select kind, ref_id
  from work_item
  where brand_id = $1
    and (
      (kind = 'mint_job' and ref_id = $2)
      or (kind = 'payload_pack' and ref_id in (
        select id
        from payload_pack
        where brand_id = $1
          and mint_batch_id = $3
          and status in ('pending', 'generating')
      ))
    )
  order by kind, ref_id
  for update
)
delete from work_item
using held
where work_item.brand_id = $1
  and work_item.kind = held.kind
  and work_item.ref_id = held.ref_id
returning work_item.ref_id

-- name: state
-- role: mintage_service
-- For each kind of $1: items ($2 are counted at most), how many are leased, and how long the oldest that could run
-- has waited: the first such of each brand, found by its index, one brand after the other.
with recursive wanted as (
  select unnest($1::text[]) as kind
),
queue as (
  select wanted.kind, first.brand_id
  from wanted
  cross join lateral (
    select brand_id
    from work_item
    where kind = wanted.kind
    order by brand_id
    limit 1
  ) as first
  union all
  select queue.kind, next.brand_id
  from queue
  cross join lateral (
    select brand_id
    from work_item
    where kind = queue.kind
      and brand_id > queue.brand_id
    order by brand_id
    limit 1
  ) as next
),
oldest as (
  select queue.kind, min(item.enqueued_at) as enqueued_at
  from queue
  cross join lateral (
    select enqueued_at
    from work_item
    where kind = queue.kind
      and brand_id = queue.brand_id
      and runnable_at <= clock_timestamp()
      and (lease_until is null or lease_until <= clock_timestamp())
    order by enqueued_at, ref_id
    limit 1
  ) as item
  group by queue.kind
)
select
  wanted.kind,
  counted.items,
  counted.leased,
  coalesce(greatest(extract(epoch from clock_timestamp() - oldest.enqueued_at), 0), 0)::double precision
    as oldest_waiting_s
from wanted
cross join lateral (
  select
    count(*) as items,
    count(*) filter (where item.lease_until > clock_timestamp()) as leased
  from (
    select lease_until
    from work_item
    where kind = wanted.kind
    order by brand_id, ref_id
    limit $2
  ) as item
) as counted
left join oldest on oldest.kind = wanted.kind
order by wanted.kind
