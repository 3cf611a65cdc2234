-- name: lock_brand
-- One change to the webhooks of a brand at a time, so that their number is bounded.
select pg_advisory_xact_lock(hashtextextended('mintage.webhook ' || $1::uuid, 0))

-- name: count
select count(*)
from webhook
where brand_id = $1
  and status <> 'removed'

-- name: insert
insert into webhook (brand_id, id, url, event_types, status, secret_sealed, created_by, created_at)
values ($1, $2, $3, $4, 'active', $5, $6, $7)
returning id, url, event_types, status, disabled_reason, disabled_at, failing_since, held_until, created_at

-- name: replace
-- It begins anew, active, under another secret; the one before signs as well until $6.
update webhook
set url = $3,
  event_types = $4,
  status = 'active',
  disabled_reason = null,
  disabled_at = null,
  failing_since = null,
  held_until = null,
  old_secret_sealed = secret_sealed,
  old_secret_until = $6,
  secret_sealed = $5
where brand_id = $1
  and id = $2
  and status <> 'removed'
returning id, url, event_types, status, disabled_reason, disabled_at, failing_since, held_until, created_at

-- name: list_newest
select id, url, event_types, status, disabled_reason, disabled_at, failing_since, held_until, created_at
from webhook
where brand_id = $1
  and status <> 'removed'
  and (created_at, id) < ($2, $3)
order by created_at desc, id desc
limit $4

-- name: find
select id
from webhook
where brand_id = $1
  and id = $2
  and status <> 'removed'

-- name: take_up
-- It is called again at once, whatever its receiver asked for; it stays what it is until the end of the transaction.
update webhook
set held_until = null
where brand_id = $1
  and id = $2
  and status <> 'removed'
returning status

-- name: remove
update webhook
set status = 'removed',
  removed_at = $3,
  disabled_reason = null,
  disabled_at = null,
  secret_sealed = null,
  old_secret_sealed = null,
  old_secret_until = null
where brand_id = $1
  and id = $2
  and status <> 'removed'
returning url

-- name: disable
-- role: mintage_service
update webhook
set status = 'disabled',
  disabled_reason = $3,
  disabled_at = $4
where brand_id = $1
  and id = $2
  and status = 'active'
returning url

-- name: note_failure
-- role: mintage_service
-- $4: until when the receiver wants no more calls, or null.
update webhook
set failing_since = coalesce(failing_since, $3),
  held_until = greatest(held_until, $4)
where brand_id = $1
  and id = $2
  and status = 'active'
returning failing_since

-- name: note_success
-- role: mintage_service
update webhook
set failing_since = null
where brand_id = $1
  and id = $2
  and failing_since is not null

-- name: due
-- role: mintage_service
-- Webhooks that something is due for: the brand served longest ago first, and of it the webhook served longest ago.
-- The clock is read once, so that the index finds what is due among all that waits.
with asked as (
  select coalesce($1::timestamptz, clock_timestamp()) as now
)
select webhook.brand_id, webhook.id, asked.now
from asked
cross join webhook
cross join lateral (
  select delivery.id
  from webhook_delivery as delivery
  where delivery.brand_id = webhook.brand_id
    and delivery.webhook_id = webhook.id
    and delivery.status = 'pending'
    and delivery.next_try_at <= asked.now
    and (delivery.lease_until is null or delivery.lease_until <= asked.now)
  order by delivery.next_try_at, delivery.id
  limit 1
) as first
left join brand_turn on brand_turn.kind = 'webhook_delivery' and brand_turn.brand_id = webhook.brand_id
where webhook.status = 'active'
  and (webhook.held_until is null or webhook.held_until <= asked.now)
order by
  brand_turn.last_claimed_at nulls first,
  webhook.last_claimed_at nulls first,
  webhook.brand_id,
  webhook.id
limit 8

-- name: take_turn
-- role: mintage_service
-- Whoever claims of this webhook now is not waited for.
with free as (
  select id
  from webhook
  where brand_id = $1
    and id = $2
    and status = 'active'
    and (held_until is null or held_until <= $3)
  for no key update skip locked
),
turn as (
  insert into brand_turn (kind, brand_id, last_claimed_at)
  select 'webhook_delivery', $1, $3
  from free
  on conflict (kind, brand_id) do update set last_claimed_at = excluded.last_claimed_at
)
update webhook
set last_claimed_at = $3
from free
where webhook.brand_id = $1
  and webhook.id = free.id
returning webhook.url, webhook.secret_sealed, webhook.old_secret_sealed, webhook.old_secret_until

-- name: remove_old
-- role: mintage_service
delete from webhook
where brand_id = $1
  and status = 'removed'
  and removed_at < $2
  and not exists (
    select
    from webhook_delivery
    where webhook_delivery.brand_id = $1
      and webhook_delivery.webhook_id = webhook.id
  )
