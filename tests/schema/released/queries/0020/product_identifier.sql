-- name: insert
insert into product_identifier (
  brand_id, id, product_id, identifier_type, family, identifier_value, value_key, status, created_at, created_by
)
values ($1, $2, $3, $4, $5, $6, $7, 'active', $8, $9)
on conflict (brand_id, family, value_key) where status = 'active' do nothing
returning id

-- name: retire
update product_identifier
set
  status = 'retired',
  deactivated_at = $4,
  deactivated_by = $5
where brand_id = $1
  and product_id = $2
  and identifier_type = $3
  and status = 'active'
returning identifier_value

-- name: active_value
select identifier_value
from product_identifier
where brand_id = $1
  and product_id = $2
  and identifier_type = $3
  and status = 'active'

-- name: of_product
select
  identifier_type, identifier_value, value_key, status, created_at, created_by, deactivated_at, deactivated_by
from product_identifier
where brand_id = $1
  and product_id = $2
order by deactivated_at desc nulls first, id
limit $3

-- name: of_products
select
  shown.product_id, shown.identifier_type, shown.identifier_value, shown.value_key, shown.status,
  shown.created_at, shown.created_by, shown.deactivated_at, shown.deactivated_by
from unnest($2::uuid[]) as asked (product_id)
cross join lateral (
  select *
  from product_identifier
  where brand_id = $1
    and product_id = asked.product_id
  order by deactivated_at desc nulls first, id
  limit $3
) as shown
order by shown.product_id, shown.deactivated_at desc nulls first, shown.id
