-- name: get
select id, product_id, link_type, href, title, hreflang, media_type, context, is_default, created_at, updated_at
from product_link
where brand_id = $1
  and id = $2

-- name: count_of_product
select count(*)
from product_link
where brand_id = $1
  and product_id = $2

-- name: drop_default
-- Another link than $3 is the default no more.
update product_link
set
  is_default = false,
  updated_at = $4
where brand_id = $1
  and product_id = $2
  and is_default
  and id <> $3
returning id

-- name: insert
insert into product_link (
  brand_id, id, product_id, link_type, href, title, hreflang, media_type, context, is_default, created_at, updated_at
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)

-- name: update
update product_link
set
  link_type = $4,
  href = $5,
  title = $6,
  hreflang = $7,
  media_type = $8,
  context = $9,
  is_default = $10,
  updated_at = $11
where brand_id = $1
  and id = $2
  and product_id = $3

-- name: remove
delete from product_link
where brand_id = $1
  and id = $2
  and product_id = $3
returning link_type, href, is_default

-- name: list_newest
select id, product_id, link_type, href, title, hreflang, media_type, context, is_default, created_at, updated_at
from product_link
where brand_id = $1
  and product_id = $2
  and (created_at, id) < ($3, $4)
order by created_at desc, id desc
limit $5

-- name: of_products
select id, product_id, link_type, href, title, hreflang, media_type, context, is_default, created_at, updated_at
from product_link
where brand_id = $1
  and product_id = any ($2::uuid[])
order by product_id, created_at desc, id desc
