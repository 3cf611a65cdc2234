-- name: insert
insert into product_batch (
  brand_id, id, product_id, batch_number, status, production_date, quantity, is_cumulative, facility_ref,
  attributes, created_at, updated_at
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)
on conflict (brand_id, product_id, batch_number) do nothing
returning
  id, product_id, batch_number, status, production_date, quantity, allocated_quantity, is_cumulative,
  facility_ref, attributes, created_at, updated_at

-- name: lock
select
  id, product_id, batch_number, status, production_date, quantity, allocated_quantity, is_cumulative,
  facility_ref, attributes, created_at, updated_at
from product_batch
where brand_id = $1
  and id = $2
for no key update

-- name: update
update product_batch
set
  status = $4,
  production_date = $5,
  quantity = $6,
  is_cumulative = $7,
  facility_ref = $8,
  attributes = $9,
  updated_at = $10
where brand_id = $1
  and id = $2
  and status = $3
  and ($6::integer is null or not $7 or allocated_quantity <= $6::integer)

-- name: list_newest
select
  id, product_id, batch_number, status, production_date, quantity, allocated_quantity, is_cumulative,
  facility_ref, attributes, created_at, updated_at
from product_batch
where brand_id = $1
  and (created_at, id) < ($2, $3)
order by created_at desc, id desc
limit $4

-- name: list_by_product
select
  id, product_id, batch_number, status, production_date, quantity, allocated_quantity, is_cumulative,
  facility_ref, attributes, created_at, updated_at
from product_batch
where brand_id = $1
  and (created_at, id) < ($2, $3)
  and product_id = $5
order by created_at desc, id desc
limit $4

-- name: list_by_product_and_status
select
  id, product_id, batch_number, status, production_date, quantity, allocated_quantity, is_cumulative,
  facility_ref, attributes, created_at, updated_at
from product_batch
where brand_id = $1
  and (created_at, id) < ($2, $3)
  and product_id = $5
  and status = $6
order by created_at desc, id desc
limit $4

-- name: list_by_status
select
  id, product_id, batch_number, status, production_date, quantity, allocated_quantity, is_cumulative,
  facility_ref, attributes, created_at, updated_at
from product_batch
where brand_id = $1
  and (created_at, id) < ($2, $3)
  and status = $5
order by created_at desc, id desc
limit $4
