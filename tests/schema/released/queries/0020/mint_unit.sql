-- name: range_of_batch
select unit_id_low, requested_quantity, minted_quantity
from mint_batch
where brand_id = $1
  and id = $2

-- name: range_of_lot
select batch.id as mint_batch_id, batch.unit_id_low, batch.requested_quantity, lot.first_unit_no, lot.quantity
from mint_lot as lot
join mint_batch as batch on batch.brand_id = lot.brand_id and batch.id = lot.mint_batch_id
where lot.brand_id = $1
  and lot.id = $2

-- name: lowest_of_the_next
-- The id of the $4-th unit from the top of the range: how far a page with a status filter looks.
select id
from mint_unit
where brand_id = $1
  and id >= $2
  and id < $3
order by id desc
offset $4::integer - 1
limit 1

-- name: list
select *
from (
  select
    unit.id,
    unit.mint_batch_id,
    lot.id as mint_lot_id,
    lot.lot_code,
    unit.unit_no,
    batch.product_id,
    product.sku as product_sku,
    batch.gtin14 as gtin,
    unit.serial_number,
    case
      when batch.status = 'voided' or state.revoked_at is not null then 'revoked'
      when batch.activation_mode = 'active_at_mint' or state.activated_at is not null or lot.activated_at is not null then 'active'
      else 'minted'
    end as status,
    batch.activation_mode,
    case
      when batch.activation_mode = 'active_at_mint' then unit.created_at
      else least(state.activated_at, lot.activated_at)
    end as activated_at,
    unit.created_at
  from mint_unit as unit
  left join mint_batch as batch on batch.brand_id = unit.brand_id and batch.id = unit.mint_batch_id
  left join product on product.brand_id = unit.brand_id and product.id = batch.product_id
  left join unit_state as state on state.brand_id = unit.brand_id and state.unit_id = unit.id
  left join lateral (
    select mint_lot.id, mint_lot.lot_code, mint_lot.activated_at
    from mint_lot
    where mint_lot.brand_id = unit.brand_id
      and mint_lot.mint_batch_id = unit.mint_batch_id
      and unit.unit_no >= mint_lot.first_unit_no
      and unit.unit_no < mint_lot.first_unit_no + mint_lot.quantity
    order by mint_lot.id
    limit 1
  ) as lot on true
  where unit.brand_id = $1
    and unit.id >= $2
    and unit.id < $3
  order by unit.id desc
  limit case when $5::text is null then $4::integer end
) as listed
where $5::text is null or listed.status = $5
order by listed.id desc
limit $4
