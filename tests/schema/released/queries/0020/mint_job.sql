-- name: find_by_idempotency_key
select
  job.id,
  job.status,
  job.arguments,
  job.arguments_sha256,
  job.product_batch_id,
  job.requested_quantity,
  job.created_at,
  batch.id as mint_batch_id
from mint_job as job
left join mint_batch as batch on batch.brand_id = job.brand_id and batch.mint_job_id = job.id
where job.brand_id = $1
  and job.operation = $2
  and job.idempotency_key = $3

-- name: insert
insert into mint_job (
  brand_id, id, operation, idempotency_key, arguments, arguments_sha256, status, product_id, product_batch_id,
  requested_quantity, identity_mode, activation_mode, created_by, created_by_type, created_at, updated_at,
  request_id, traceparent
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $15, $16, $17)
on conflict (brand_id, operation, idempotency_key) where idempotency_key is not null do nothing
returning id

-- name: preconditions
select
  product.id as product_id,
  product.commercial_status,
  product.mint_readiness_status,
  product_batch.id as product_batch_id,
  product_batch.product_id as product_batch_product_id,
  product_batch.batch_number,
  product_batch.status as product_batch_status,
  product_batch.quantity as product_batch_quantity,
  product_batch.allocated_quantity,
  product_batch.is_cumulative,
  brand.strata,
  brand.default_identity_mode,
  brand.default_activation_mode,
  (
    select value_key
    from product_identifier
    where brand_id = $1
      and product_id = $2
      and status = 'active'
      and family = 'gtin'
    order by case identifier_type when 'gtin' then 1 when 'ean' then 2 else 3 end, id
    limit 1
  ) as gtin14
from brand
left join product on product.brand_id = $1 and product.id = $2
left join product_batch on product_batch.brand_id = $1 and product_batch.id = $3
where brand.id = $1

-- name: take_quantity
-- The guard of a production batch's cap. Taken last in a submit, so that its row is locked for a moment only.
update product_batch
set allocated_quantity = allocated_quantity + $3,
  updated_at = $4
where brand_id = $1
  and id = $2
  and status = 'READY'
  and (quantity is null or $3 <= quantity)
  and (quantity is null or not is_cumulative or allocated_quantity + $3 <= quantity)
returning allocated_quantity

-- name: take_quantity_again
-- For a retry: the production batch was READY at the submit, and only its quantity counts now.
update product_batch
set allocated_quantity = allocated_quantity + $3,
  updated_at = $4
where brand_id = $1
  and id = $2
  and (quantity is null or not is_cumulative or allocated_quantity + $3 <= quantity)
returning allocated_quantity

-- name: give_quantity_back
update product_batch
set allocated_quantity = allocated_quantity - $3,
  updated_at = $4
where brand_id = $1
  and id = $2

-- name: reserve
-- role: mintage_service
with before as (
  select id, status, started_at
  from mint_job
  where brand_id = $1
    and id = $2
    and status in ('QUEUED', 'RESERVED', 'PROCESSING')
  for update
),
reserved as (
  update mint_job
  set status = case before.status when 'QUEUED' then 'RESERVED' else before.status end,
    attempts = $3,
    started_at = coalesce(before.started_at, $4),
    updated_at = $4
  from before, mint_batch as batch
  where mint_job.brand_id = $1
    and mint_job.id = before.id
    and batch.brand_id = $1
    and batch.mint_job_id = before.id
  returning
    before.started_at is null as is_first_start,
    before.status as status_before,
    mint_job.request_id,
    mint_job.traceparent,
    batch.id as mint_batch_id,
    batch.identity_mode,
    batch.requested_quantity,
    batch.minted_quantity,
    batch.unit_id_low,
    batch.serial_prefix,
    batch.serial_strata,
    batch.has_brought_serials
),
tally as (
  insert into tally_delta (brand_id, day, metric, mint_batch_id, delta)
  select $1, ($4::timestamptz at time zone 'UTC')::date, 'jobs_queued', mint_batch_id, -1
  from reserved
  where status_before = 'QUEUED'
)
select *
from reserved

-- name: find_anywhere
-- role: mintage_service
-- A job of a brand that is closed is an unknown one.
select mint_job.brand_id
from mint_job
join brand on brand.id = mint_job.brand_id
where mint_job.id = $1
  and brand.deleting_at is null
order by mint_job.brand_id
limit 1

-- name: progress
-- role: mintage_service
select
  job.id,
  job.status,
  job.attempts,
  job.last_error,
  batch.id as mint_batch_id,
  batch.minted_quantity,
  batch.requested_quantity
from mint_job as job
left join mint_batch as batch on batch.brand_id = job.brand_id and batch.mint_job_id = job.id
where job.brand_id = $1
  and job.id = $2

-- name: close_cycle
-- role: mintage_service
-- The one closing statement of a cycle. Each step reads the one before, which fixes the lock order
-- (work_item, mint_job, mint_batch) and lets a dead or late worker, or a chunk that is not exactly
-- complete, close nothing: the caller rolls back unless is_closed.
with chunk as (
  select count(*)::integer as units
  from mint_unit
  where brand_id = $1
    and id between $4 and $5
),
item as (
  update work_item
  set lease_owner = null,
    lease_until = null,
    attempts = 0,
    runnable_at = clock_timestamp()
  where kind = 'mint_job'
    and brand_id = $1
    and ref_id = $2
    and lease_epoch = $6
  returning ref_id
),
job as (
  update mint_job
  set status = case when $7::integer + $8::integer = requested_quantity then 'COMPLETED' else 'PROCESSING' end,
    attempts = 0,
    last_error = null,
    updated_at = $9,
    finished_at = case when $7::integer + $8::integer = requested_quantity then $9::timestamptz end
  from item
  where mint_job.brand_id = $1
    and mint_job.id = item.ref_id
    and mint_job.status in ('RESERVED', 'PROCESSING')
  returning mint_job.id, mint_job.status
),
batch as (
  update mint_batch
  set minted_quantity = $7::integer + $8::integer,
    status = case job.status when 'COMPLETED' then 'minted' else 'processing' end,
    updated_at = $9,
    minted_at = case job.status when 'COMPLETED' then $9::timestamptz end
  from job, chunk
  where mint_batch.brand_id = $1
    and mint_batch.id = $3
    and mint_batch.mint_job_id = job.id
    and mint_batch.minted_quantity = $7
    and mint_batch.status in ('draft', 'queued', 'processing')
    and chunk.units = $8
  returning mint_batch.id, mint_batch.mint_job_id, mint_batch.activation_mode, mint_batch.status
),
event as (
  insert into mint_event (
    brand_id, id, mint_job_id, mint_batch_id, event_type, actor_type, actor_id, payload, created_at
  )
  select $1, told.id, batch.mint_job_id, batch.id, told.event_type, $10, $11, told.payload, $9
  from batch
  cross join unnest($12::uuid[], $13::text[], $14::jsonb[]) as told (id, event_type, payload)
),
tally as (
  insert into tally_delta (brand_id, day, metric, mint_batch_id, delta)
  select $1, ($9::timestamptz at time zone 'UTC')::date, counted.metric, batch.id, counted.delta
  from batch
  cross join lateral (
    values
      ('units_minted', $8::integer),
      ('units_active', case batch.activation_mode when 'active_at_mint' then $8::integer else 0 end),
      ('batches_in_progress', case batch.status when 'minted' then -1 else 0 end),
      ('batches_minted', case batch.status when 'minted' then 1 else 0 end)
  ) as counted (metric, delta)
  where counted.delta <> 0
)
select
  chunk.units,
  exists (select from item) as has_lease,
  exists (select from batch) as is_closed
from chunk

-- name: fail
with before as (
  select id, status
  from mint_job
  where brand_id = $1
    and id = $2
    and status in ('QUEUED', 'RESERVED', 'PROCESSING')
  for update
)
update mint_job
set status = 'FAILED',
  attempts = coalesce($3, mint_job.attempts),
  last_error = $4,
  updated_at = $5,
  finished_at = $5
from before
where mint_job.brand_id = $1
  and mint_job.id = before.id
returning before.status as status_before, mint_job.attempts

-- name: note_attempt
-- role: mintage_service
update mint_job
set attempts = $3,
  last_error = $4,
  updated_at = $5
where brand_id = $1
  and id = $2
  and status in ('RESERVED', 'PROCESSING')

-- name: retry
update mint_job
set status = 'QUEUED',
  attempts = 0,
  last_error = null,
  updated_at = $3,
  finished_at = null
from (
  select id, last_error
  from mint_job
  where brand_id = $1
    and id = $2
    and status = 'FAILED'
  for update
) as before
where mint_job.brand_id = $1
  and mint_job.id = before.id
returning before.last_error

-- name: lock
select id, status, product_id, product_batch_id, requested_quantity, identity_mode, activation_mode
from mint_job
where brand_id = $1
  and id = $2
for no key update

-- name: queue_preflighted
update mint_job
set status = 'QUEUED',
  updated_at = $3
where brand_id = $1
  and id = $2
  and status = 'PREFLIGHTED'
returning id

-- name: brands_with_old_preflights
-- role: mintage_service
select distinct brand_id
from mint_job
where status = 'PREFLIGHTED'
  and created_at < clock_timestamp() - make_interval(days => $1::integer)
order by brand_id
limit 1000

-- name: remove_old_preflights
-- role: mintage_service
delete from mint_job
where brand_id = $1
  and status = 'PREFLIGHTED'
  and created_at < clock_timestamp() - make_interval(days => $2::integer)
