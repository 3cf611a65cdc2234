-- name: insert
insert into mint_batch (
  brand_id, id, mint_job_id, product_id, product_batch_id, identity_mode, activation_mode, status, gtin14,
  requested_quantity, allocated_quantity, unit_id_low, serial_prefix, serial_strata, has_brought_serials,
  created_by, created_by_type, created_at, updated_at
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $18)

-- name: insert_lots
insert into mint_lot (brand_id, id, mint_batch_id, lot_no, lot_code, gtin14, quantity, first_unit_no)
select $1, lot.id, $2, lot.lot_no, lot.lot_code, $3, lot.quantity, lot.first_unit_no
from unnest($4::uuid[], $5::integer[], $6::text[], $7::integer[], $8::integer[])
  as lot (id, lot_no, lot_code, quantity, first_unit_no)

-- name: taken_serials
select serial_number
from serial_registry
where brand_id = $1
  and serial_number = any ($2::text[])

-- name: register_serials
insert into serial_registry (brand_id, serial_number, mint_batch_id, unit_no)
select $1, brought.serial_number, $2, brought.unit_no
from unnest($3::text[], $4::integer[]) as brought (serial_number, unit_no)
on conflict (brand_id, serial_number) do nothing

-- name: brought_serials
-- role: mintage_service
select serial_number
from serial_registry
where brand_id = $1
  and mint_batch_id = $2
  and unit_no >= $3
  and unit_no < $4
order by unit_no

-- name: lots
-- role: mintage_service
select id, lot_no, lot_code, quantity, first_unit_no, activated_at
from mint_lot
where brand_id = $1
  and mint_batch_id = $2
order by lot_no, id

-- name: fail
-- role: mintage_service
-- A failed batch keeps what it minted and holds no more than that of its production batch.
with before as (
  select id, allocated_quantity
  from mint_batch
  where brand_id = $1
    and mint_job_id = $2
    and status in ('draft', 'queued', 'processing')
  for update
)
update mint_batch
set status = 'failed',
  allocated_quantity = least(mint_batch.allocated_quantity, mint_batch.minted_quantity),
  updated_at = $3
from before
where mint_batch.brand_id = $1
  and mint_batch.id = before.id
returning
  mint_batch.id,
  mint_batch.product_batch_id,
  mint_batch.minted_quantity,
  mint_batch.requested_quantity,
  before.allocated_quantity - mint_batch.allocated_quantity as given_back

-- name: list_newest
select
  batch.*,
  product.sku as product_sku
from mint_batch as batch
left join product on product.brand_id = batch.brand_id and product.id = batch.product_id
where batch.brand_id = $1
  and batch.created_at >= $2
  and (batch.created_at, batch.id) < ($3, $4)
order by batch.created_at desc, batch.id desc
limit $5

-- name: choices
-- The newest of each status by its index, and the newest of those.
select
  batch.id,
  batch.status,
  batch.requested_quantity,
  batch.minted_quantity,
  product.sku as product_sku
from unnest($3::text[]) as wanted (status)
cross join lateral (
  select id, status, requested_quantity, minted_quantity, product_id, created_at
  from mint_batch
  where brand_id = $1
    and status = wanted.status
  order by created_at desc, id desc
  limit $2
) as batch
left join product on product.brand_id = $1 and product.id = batch.product_id
order by batch.created_at desc, batch.id desc
limit $2

-- name: running
-- What is minted now, then what waits for it.
(
  select batch.id, batch.status, batch.requested_quantity, batch.minted_quantity, product.sku as product_sku
  from mint_batch as batch
  left join product on product.brand_id = batch.brand_id and product.id = batch.product_id
  where batch.brand_id = $1
    and batch.status = 'processing'
  order by batch.created_at desc, batch.id desc
  limit $2
)
union all
(
  select batch.id, batch.status, batch.requested_quantity, batch.minted_quantity, product.sku as product_sku
  from mint_batch as batch
  left join product on product.brand_id = batch.brand_id and product.id = batch.product_id
  where batch.brand_id = $1
    and batch.status = 'queued'
  order by batch.created_at desc, batch.id desc
  limit $2
)
limit $2

-- name: list_by_status
select
  batch.*,
  product.sku as product_sku
from mint_batch as batch
left join product on product.brand_id = batch.brand_id and product.id = batch.product_id
where batch.brand_id = $1
  and batch.created_at >= $2
  and (batch.created_at, batch.id) < ($3, $4)
  and batch.status = $6
order by batch.created_at desc, batch.id desc
limit $5

-- name: list_by_product
select
  batch.*,
  product.sku as product_sku
from mint_batch as batch
left join product on product.brand_id = batch.brand_id and product.id = batch.product_id
where batch.brand_id = $1
  and batch.created_at >= $2
  and (batch.created_at, batch.id) < ($3, $4)
  and batch.product_id = $6
order by batch.created_at desc, batch.id desc
limit $5

-- name: list_by_product_and_status
select
  batch.*,
  product.sku as product_sku
from mint_batch as batch
left join product on product.brand_id = batch.brand_id and product.id = batch.product_id
where batch.brand_id = $1
  and batch.created_at >= $2
  and (batch.created_at, batch.id) < ($3, $4)
  and batch.product_id = $6
  and batch.status = $7
order by batch.created_at desc, batch.id desc
limit $5

-- name: get
select
  batch.*,
  product.sku as product_sku,
  product.name as product_name,
  job.status as job_status,
  job.attempts as job_attempts,
  job.last_error as job_last_error,
  job.started_at as job_started_at,
  job.finished_at as job_finished_at
from mint_batch as batch
join mint_job as job on job.brand_id = batch.brand_id and job.id = batch.mint_job_id
left join product on product.brand_id = batch.brand_id and product.id = batch.product_id
where batch.brand_id = $1
  and batch.id = $2

-- name: of_job
select id, status
from mint_batch
where brand_id = $1
  and mint_job_id = $2

-- name: lock
select
  id, mint_job_id, product_batch_id, status, requested_quantity, minted_quantity, allocated_quantity
from mint_batch
where brand_id = $1
  and id = $2
for no key update

-- name: job_of
select mint_job_id, status
from mint_batch
where brand_id = $1
  and id = $2

-- name: advance
update mint_batch
set status = $4,
  updated_at = $5
where brand_id = $1
  and id = $2
  and status = $3

-- name: void
update mint_batch
set status = 'voided',
  allocated_quantity = 0,
  updated_at = $4,
  voided_at = $4
where brand_id = $1
  and id = $2
  and status = $3

-- name: retry
-- The whole of the quantity is taken again of a production batch.
with before as (
  select id, allocated_quantity
  from mint_batch
  where brand_id = $1
    and mint_job_id = $2
    and status = 'failed'
  for update
)
update mint_batch
set status = 'queued',
  allocated_quantity = case when mint_batch.product_batch_id is null then 0 else mint_batch.requested_quantity end,
  updated_at = $3
from before
where mint_batch.brand_id = $1
  and mint_batch.id = before.id
returning
  mint_batch.id,
  mint_batch.product_batch_id,
  mint_batch.requested_quantity,
  mint_batch.minted_quantity,
  mint_batch.allocated_quantity - before.allocated_quantity as taken_again
