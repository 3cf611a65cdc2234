-- name: insert
insert into product (
  brand_id, id, sku, sku_key, name, description, image_url, commercial_status, mint_readiness_status,
  created_at, updated_at
)
values ($1, $2, $3, $4, $5, $6, $7, 'DRAFT', 'NOT_READY', $8, $8)
on conflict (brand_id, sku_key) do nothing
returning
  id, sku, name, description, image_url, commercial_status, mint_readiness_status, created_at, updated_at

-- name: lock
select
  id, sku, name, description, image_url, commercial_status, mint_readiness_status, created_at, updated_at
from product
where brand_id = $1
  and id = $2
for no key update

-- name: is_known
select exists (select from product where brand_id = $1 and id = $2)

-- name: update
update product
set
  name = $4,
  description = $5,
  image_url = $6,
  commercial_status = $7,
  mint_readiness_status = $8,
  updated_at = $9
where brand_id = $1
  and id = $2
  and commercial_status = $3

-- name: set_sku
update product
set
  sku = $4,
  sku_key = $5,
  updated_at = $6
where brand_id = $1
  and id = $2
  and sku = $3

-- name: touch
update product
set updated_at = $3
where brand_id = $1
  and id = $2

-- name: get
select
  id, sku, name, description, image_url, commercial_status, mint_readiness_status, created_at, updated_at
from product
where brand_id = $1
  and id = $2

-- name: list_newest
select
  id, sku, name, description, image_url, commercial_status, mint_readiness_status, created_at, updated_at
from product
where brand_id = $1
  and (created_at, id) < ($2, $3)
order by created_at desc, id desc
limit $4

-- name: choices
select id, sku, name
from product
where brand_id = $1
order by created_at desc, id desc
limit $2

-- name: active_choices
select id, sku, name
from product
where brand_id = $1
  and commercial_status = 'ACTIVE'
order by created_at desc, id desc
limit $2

-- name: list_by_commercial_status
select
  id, sku, name, description, image_url, commercial_status, mint_readiness_status, created_at, updated_at
from product
where brand_id = $1
  and (created_at, id) < ($2, $3)
  and commercial_status = $5
order by created_at desc, id desc
limit $4

-- name: list_by_gates
select
  id, sku, name, description, image_url, commercial_status, mint_readiness_status, created_at, updated_at
from product
where brand_id = $1
  and (created_at, id) < ($2, $3)
  and commercial_status = $5
  and mint_readiness_status = $6
order by created_at desc, id desc
limit $4

-- name: list_by_mint_readiness_status
select
  id, sku, name, description, image_url, commercial_status, mint_readiness_status, created_at, updated_at
from product
where brand_id = $1
  and (created_at, id) < ($2, $3)
  and mint_readiness_status = $5
order by created_at desc, id desc
limit $4
