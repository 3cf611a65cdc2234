-- What scanned codes name. The functions are in the schema: they set the brand and look inside it only.

-- name: at_host
-- role: mintage_resolver
-- Nothing but the host is read out here, where no brand is set yet. The first row alone tells of it.
select
  case when r.ordinality > 1 then null else h.brand_id end as brand_id,
  case when r.ordinality > 1 then null else b.name end as brand_name,
  case when r.ordinality > 1 then null else h.base_url end as base_url,
  case when r.ordinality > 1 then null else clock_timestamp() end as now,
  r.*
from brand_host h
join brand b on b.id = h.brand_id
left join lateral resolve(
  h.brand_id, string_to_array($2, E'\x1f'), $3, string_to_array($4, E'\x1f', ''), string_to_array($5, E'\x1f', '')
) with ordinality as r on true
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
