-- Revoking units. Locks are taken in this order: mint_lot, unit_state.

-- name: find
select
  unit.id as unit_id,
  batch.status = 'voided' as batch_is_voided,
  lot.id as mint_lot_id
from mint_unit as unit
join mint_batch as batch on batch.brand_id = unit.brand_id and batch.id = unit.mint_batch_id
left join mint_lot as lot
  on lot.brand_id = unit.brand_id
  and lot.mint_batch_id = unit.mint_batch_id
  and unit.unit_no >= lot.first_unit_no
  and unit.unit_no < lot.first_unit_no + lot.quantity
where unit.brand_id = $1
  and unit.id = any ($2::uuid[])
order by unit.id

-- name: hold_lots
select id
from mint_lot
where brand_id = $1
  and id = any ($2::uuid[])
order by id
for share

-- name: revoke
-- A statement of its own: it must see what those did who held the lots before.
with revoked as (
  insert into unit_state as state (brand_id, unit_id, revoked_at)
  select $1, asked.unit_id, $3
  from unnest($2::uuid[]) as asked (unit_id)
  order by asked.unit_id
  on conflict (brand_id, unit_id) do update
  set revoked_at = excluded.revoked_at
  where state.revoked_at is null
  returning state.unit_id, state.activated_at
)
select
  revoked.unit_id,
  unit.mint_batch_id,
  batch.activation_mode = 'active_at_mint'
    or revoked.activated_at is not null
    or lot.activated_at is not null as was_active
from revoked
join mint_unit as unit on unit.brand_id = $1 and unit.id = revoked.unit_id
join mint_batch as batch on batch.brand_id = $1 and batch.id = unit.mint_batch_id
left join mint_lot as lot
  on lot.brand_id = $1
  and lot.mint_batch_id = unit.mint_batch_id
  and unit.unit_no >= lot.first_unit_no
  and unit.unit_no < lot.first_unit_no + lot.quantity
order by revoked.unit_id
