-- What a scanned code names. Every statement but the first looks inside one brand.

-- name: brand_host
-- role: mintage_resolver
select
  h.brand_id,
  b.name as brand_name,
  h.base_url,
  clock_timestamp() as now
from brand_host h
join brand b on b.id = h.brand_id
where h.host = $1
  and h.verified_at is not null

-- name: unit_by_id
-- role: mintage_resolver
select
  u.id as unit_id,
  u.mint_batch_id,
  l.id as mint_lot_id,
  b.product_id,
  b.status = 'voided' as batch_is_voided,
  b.activation_mode,
  s.activated_at,
  s.revoked_at,
  s.first_scanned_at,
  l.activated_at as lot_activated_at
from mint_unit u
join mint_batch b
  on b.brand_id = u.brand_id
  and b.id = u.mint_batch_id
left join mint_lot l
  on l.brand_id = u.brand_id
  and l.mint_batch_id = u.mint_batch_id
  and u.unit_no >= l.first_unit_no
  and u.unit_no < l.first_unit_no + l.quantity
left join unit_state s
  on s.brand_id = u.brand_id
  and s.unit_id = u.id
where u.brand_id = $1
  and u.id = $2

-- name: unit_by_serial
-- role: mintage_resolver
select
  u.id as unit_id,
  u.mint_batch_id,
  null::uuid as mint_lot_id,
  b.product_id,
  b.status = 'voided' as batch_is_voided,
  b.activation_mode,
  s.activated_at,
  s.revoked_at,
  s.first_scanned_at,
  null::timestamptz as lot_activated_at
from mint_unit u
join mint_batch b
  on b.brand_id = u.brand_id
  and b.id = u.mint_batch_id
left join unit_state s
  on s.brand_id = u.brand_id
  and s.unit_id = u.id
where u.brand_id = $1
  and u.serial_number = $2
  and (
    b.gtin14 = $3
    or exists (
      select
      from product_identifier i
      where i.brand_id = $1
        and i.family = 'gtin'
        and i.value_key = $3
        and i.product_id = b.product_id
    )
  )

-- name: lot_by_id
-- role: mintage_resolver
select
  l.id as mint_lot_id,
  l.mint_batch_id,
  b.product_id,
  b.status = 'voided' as batch_is_voided,
  case
    when b.status <> 'voided' and b.activation_mode = 'first_scan' and l.activated_at is null
      then array[l.id]
    else array[]::uuid[]
  end as waiting_lot_ids
from mint_lot l
join mint_batch b
  on b.brand_id = l.brand_id
  and b.id = l.mint_batch_id
where l.brand_id = $1
  and l.id = $2
  and (b.status = 'voided' or b.minted_quantity >= l.first_unit_no + l.quantity)

-- name: lots_by_code
-- role: mintage_resolver
with named as (
  select
    l.id,
    l.mint_batch_id,
    b.product_id,
    b.created_at,
    b.status = 'voided' as is_voided,
    b.activation_mode = 'first_scan' and l.activated_at is null as is_waiting
  from mint_lot l
  join mint_batch b
    on b.brand_id = l.brand_id
    and b.id = l.mint_batch_id
  where l.brand_id = $1
    and l.gtin14 = $2
    and l.lot_code = $3
    and (b.status = 'voided' or b.minted_quantity >= l.first_unit_no + l.quantity)
)
select
  n.id as mint_lot_id,
  n.mint_batch_id,
  n.product_id,
  n.is_voided as batch_is_voided,
  array(
    select w.id
    from named w
    where w.is_waiting
      and not w.is_voided
    order by w.id
  ) as waiting_lot_ids
from named n
order by n.is_voided, n.created_at desc, n.mint_batch_id desc, n.id
limit 1

-- name: batch_by_id
-- role: mintage_resolver
select
  id as mint_batch_id,
  product_id,
  status = 'voided' as batch_is_voided
from mint_batch
where brand_id = $1
  and id = $2

-- name: product_by_gtin
-- role: mintage_resolver
select product_id
from product_identifier
where brand_id = $1
  and family = 'gtin'
  and value_key = $2
order by deactivated_at desc nulls first, id
limit 1

-- name: product_by_id
-- role: mintage_resolver
select id as product_id
from product
where brand_id = $1
  and id = $2

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
