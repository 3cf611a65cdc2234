-- What scanned codes name. The functions are in the schema: they set the brand and look inside it only.

-- name: at_host
-- role: mintage_resolver
-- Nothing but the host is read out here, where no brand is set yet.
select
  h.brand_id,
  b.name as brand_name,
  h.base_url,
  clock_timestamp() as now,
  r.*
from brand_host h
join brand b on b.id = h.brand_id
left join lateral resolve(h.brand_id, $2, $3, $4, $5) as r on true
where h.host = $1
  and h.verified_at is not null
  and b.deleting_at is null

-- name: in_brand
-- role: mintage_resolver
select *
from resolve($1, $2, $3, $4, $5)

-- name: product_shown
-- role: mintage_resolver
select
  p.id as product_id,
  p.name,
  p.description,
  p.image_url,
  (
    select i.identifier_value
    from product_identifier i
    where i.brand_id = p.brand_id
      and i.product_id = p.id
      and i.family = 'gtin'
      and i.status = 'active'
    order by array_position(array['gtin', 'ean', 'upc'], i.identifier_type), i.id
    limit 1
  ) as gtin
from product p
where p.brand_id = $1
  and p.id = $2
