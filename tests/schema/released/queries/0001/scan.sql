-- What a scan changes. Locks are taken in this order: mint_lot, unit_state.

-- name: lot_held
-- role: mintage_resolver
select activated_at
from mint_lot
where brand_id = $1
  and id = $2
for share

-- name: activate_unit
-- role: mintage_resolver
with activated as (
  insert into unit_state as s (brand_id, unit_id, activated_at)
  select b.brand_id, $2, $4
  from mint_batch b
  where b.brand_id = $1
    and b.id = $3
    and b.activation_mode = 'first_scan'
    and b.status <> 'voided'
  on conflict (brand_id, unit_id) do update
  set activated_at = excluded.activated_at
  where s.activated_at is null
    and s.revoked_at is null
  returning s.unit_id
), counted as (
  insert into tally_delta (brand_id, day, metric, mint_batch_id, delta)
  select $1, ($4 at time zone 'UTC')::date, 'units_activated', $3, 1
  from activated
)
select unit_id
from activated

-- name: lots_held
-- role: mintage_resolver
select id
from mint_lot
where brand_id = $1
  and id = any ($2::uuid[])
order by id
for no key update

-- name: activate_lots
-- role: mintage_resolver
update mint_lot l
set activated_at = $3
from mint_batch b
where l.brand_id = $1
  and l.id = any ($2::uuid[])
  and l.activated_at is null
  and b.brand_id = l.brand_id
  and b.id = l.mint_batch_id
  and b.activation_mode = 'first_scan'
  and b.status <> 'voided'
  and b.minted_quantity >= l.first_unit_no + l.quantity
returning l.mint_batch_id, l.first_unit_no, l.quantity, b.unit_id_low, b.requested_quantity

-- name: count_lots_activated
-- role: mintage_resolver
insert into tally_delta (brand_id, day, metric, mint_batch_id, delta)
select
  $1,
  ($2 at time zone 'UTC')::date,
  'units_activated',
  lot.mint_batch_id,
  sum(lot.quantity - (
    select count(*)
    from unit_state s
    where s.brand_id = $1
      and s.unit_id between lot.unit_id_first and lot.unit_id_last
      and s.activated_at is not null
  ))
from unnest($3::uuid[], $4::uuid[], $5::uuid[], $6::integer[])
  as lot (mint_batch_id, unit_id_first, unit_id_last, quantity)
group by lot.mint_batch_id

-- name: store_scans
-- role: mintage_resolver
with scan as (
  select *
  from unnest(
    $2::uuid[], $3::timestamptz[], $4::uuid[], $5::uuid[], $6::uuid[], $7::uuid[], $8::text[], $9::text[],
    $10::cidr[], $11::text[], $12::text[], $13::text[], $14::text[]
  ) as s (
    id, scanned_at, unit_id, mint_lot_id, mint_batch_id, product_id, outcome, traffic_class,
    ip_prefix, browser, os, device, path
  )
), stored as (
  insert into scan_event (
    brand_id, id, scanned_at, unit_id, mint_lot_id, mint_batch_id, product_id, outcome, traffic_class,
    ip_prefix, browser, os, device, path
  )
  select
    $1, id, scanned_at, unit_id, mint_lot_id, mint_batch_id, product_id, outcome, traffic_class,
    ip_prefix, browser, os, device, path
  from scan
), counted as (
  insert into tally_delta (brand_id, day, metric, mint_batch_id, delta)
  select $1, (scanned_at at time zone 'UTC')::date, 'scans', mint_batch_id, count(*)
  from scan
  where outcome <> 'revoked'
  group by (scanned_at at time zone 'UTC')::date, mint_batch_id
)
insert into unit_state as u (brand_id, unit_id, first_scanned_at, last_scanned_at, scan_count)
select $1, unit_id, min(scanned_at), max(scanned_at), count(*)
from scan
where unit_id is not null
group by unit_id
order by unit_id
on conflict (brand_id, unit_id) do update
set first_scanned_at = least(u.first_scanned_at, excluded.first_scanned_at),
  last_scanned_at = greatest(u.last_scanned_at, excluded.last_scanned_at),
  scan_count = u.scan_count + excluded.scan_count
