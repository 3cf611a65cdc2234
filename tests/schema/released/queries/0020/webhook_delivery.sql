-- name: announce
-- A delivery of each event for each webhook that wants it, in the transaction that makes it happen.
with told as (
  insert into webhook_delivery (
    brand_id, id, webhook_id, event_id, event_type, data, status, next_try_at, created_at, request_id, traceparent
  )
  select $1, gen_random_uuid(), webhook.id, event.id, event.event_type, event.data, 'pending', $5, $5, $6, $7
  from unnest($2::uuid[], $3::text[], $4::jsonb[]) as event (id, event_type, data)
  join webhook on webhook.brand_id = $1
    and webhook.status = 'active'
    and event.event_type = any (webhook.event_types)
  returning id
)
select pg_notify('mintage_work', 'webhook_delivery')
where exists (select from told)

-- name: list_of_webhook
select
  id, event_id, event_type, data, status, attempts, next_try_at, last_attempt_at, answer_code, failure,
  answer_excerpt, delivered_at, created_at
from webhook_delivery
where brand_id = $1
  and webhook_id = $2
  and (created_at, id) < ($3, $4)
order by created_at desc, id desc
limit $5

-- name: list_of_status
select
  id, event_id, event_type, data, status, attempts, next_try_at, last_attempt_at, answer_code, failure,
  answer_excerpt, delivered_at, created_at
from webhook_delivery
where brand_id = $1
  and webhook_id = $2
  and status = $6
  and (created_at, id) < ($3, $4)
order by created_at desc, id desc
limit $5

-- name: webhook_of
select webhook_id
from webhook_delivery
where brand_id = $1
  and id = $2

-- name: redeliver
-- One that is under way goes on: only when it is tried next can be changed.
update webhook_delivery
set status = 'pending',
  attempts = case status when 'pending' then attempts else 0 end,
  next_try_at = $3,
  delivered_at = null
where brand_id = $1
  and id = $2
returning id

-- name: redeliver_failed
-- Those that failed of what was written from $3 to $4, $5 at most; they are sent in the order in which they were written.
with failed as (
  select id, created_at
  from webhook_delivery
  where brand_id = $1
    and webhook_id = $2
    and status = 'failed'
    and created_at >= $3
    and created_at < $4
  order by created_at, id
  limit $5::integer
  for update
),
numbered as (
  select id, row_number() over (order by created_at, id) as number
  from failed
)
update webhook_delivery
set status = 'pending',
  attempts = 0,
  next_try_at = $6::timestamptz + (numbered.number - $5::integer) * interval '1 microsecond'
from numbered
where webhook_delivery.brand_id = $1
  and webhook_delivery.id = numbered.id

-- name: has_failed
select exists (
  select
  from webhook_delivery
  where brand_id = $1
    and webhook_id = $2
    and status = 'failed'
    and created_at >= $3
    and created_at < $4
)

-- name: end_pending
-- What a webhook that is disabled or removed was still to be told; whoever is sending closes nothing.
update webhook_delivery
set status = 'failed',
  failure = $3,
  next_try_at = null,
  lease_until = null
where brand_id = $1
  and webhook_id = $2
  and status = 'pending'

-- name: claim
-- role: mintage_service
-- A lease that has lapsed was of a worker that died, or of a request that took longer.
with chosen as (
  select id, lease_until is not null as has_lapsed
  from webhook_delivery
  where brand_id = $1
    and webhook_id = $2
    and status = 'pending'
    and next_try_at <= $3
    and (lease_until is null or lease_until <= $3)
    and (
      select count(*)
      from webhook_delivery as under_way
      where under_way.brand_id = $1
        and under_way.webhook_id = $2
        and under_way.lease_until > $3
    ) < $5::integer
  order by next_try_at, id
  limit 1
  for update skip locked
)
update webhook_delivery
set lease_until = $3 + make_interval(secs => $4::double precision),
  lease_epoch = lease_epoch + 1,
  attempts = attempts + 1,
  last_attempt_at = $3
from chosen
where webhook_delivery.brand_id = $1
  and webhook_delivery.id = chosen.id
returning
  webhook_delivery.id,
  webhook_delivery.event_id,
  webhook_delivery.event_type,
  webhook_delivery.data,
  webhook_delivery.created_at,
  webhook_delivery.attempts,
  webhook_delivery.lease_epoch,
  webhook_delivery.request_id,
  webhook_delivery.traceparent,
  chosen.has_lapsed

-- name: close
-- role: mintage_service
-- $4 delivered, failed, or pending with the time of the next try ($5).
update webhook_delivery
set status = $4,
  next_try_at = $5,
  lease_until = null,
  answer_code = $6,
  failure = $7,
  answer_excerpt = $8,
  delivered_at = case $4 when 'delivered' then $9::timestamptz end
where brand_id = $1
  and id = $2
  and lease_epoch = $3
  and status = 'pending'

-- name: remove_old
-- role: mintage_service
-- What was told while its webhook was ended waits for nothing.
delete from webhook_delivery
where brand_id = $1
  and created_at < $2
  and (
    status <> 'pending'
    or exists (
      select
      from webhook
      where webhook.brand_id = $1
        and webhook.id = webhook_delivery.webhook_id
        and webhook.status <> 'active'
    )
  )

-- name: remove_old_signals
-- role: mintage_service
delete from clone_signal
where brand_id = $1
  and day < $2::date

-- name: state
-- role: mintage_service
-- How much is to be sent ($1 are counted at most), how much of that is leased, and for how long the most overdue has
-- been due: of webhooks that nothing is under way to, since else it is the receiver that is waited for. And how many
-- webhooks there are by how they do.
with asked as (
  select clock_timestamp() as now
),
overdue as (
  select min(first.next_try_at) as since
  from asked
  cross join webhook
  cross join lateral (
    select next_try_at
    from webhook_delivery as delivery
    where delivery.brand_id = webhook.brand_id
      and delivery.webhook_id = webhook.id
      and delivery.status = 'pending'
      and delivery.next_try_at <= asked.now
    order by delivery.next_try_at, delivery.id
    limit 1
  ) as first
  where webhook.status = 'active'
    and (webhook.held_until is null or webhook.held_until <= asked.now)
    and not exists (
      select
      from webhook_delivery as under_way
      where under_way.brand_id = webhook.brand_id
        and under_way.webhook_id = webhook.id
        and under_way.lease_until > asked.now
    )
)
select
  counted.items,
  counted.leased,
  coalesce(extract(epoch from asked.now - overdue.since), 0)::double precision as oldest_waiting_s,
  known.active,
  known.failing,
  known.disabled
from asked
cross join overdue
cross join lateral (
  select
    count(*) as items,
    count(*) filter (where waiting.lease_until > asked.now) as leased
  from (
    select lease_until
    from webhook_delivery
    where status = 'pending'
    order by brand_id, webhook_id, next_try_at, id
    limit $1
  ) as waiting
) as counted
cross join (
  select
    count(*) filter (where status = 'active' and failing_since is null) as active,
    count(*) filter (where status = 'active' and failing_since is not null) as failing,
    count(*) filter (where status = 'disabled') as disabled
  from webhook
) as known
