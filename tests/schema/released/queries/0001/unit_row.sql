-- name: of_slice
-- role: mintage_service
-- The id range is the slice: ids ascend with unit_no. Touched units are few, so their range is read once.
select
  mint_unit.id,
  mint_unit.unit_no,
  mint_unit.serial_number,
  mint_unit.created_at,
  unit_state.activated_at,
  unit_state.revoked_at
from mint_unit
left join unit_state
  on unit_state.brand_id = $1
  and unit_state.unit_id = mint_unit.id
  and unit_state.unit_id between $3 and $4
where mint_unit.brand_id = $1
  and mint_unit.mint_batch_id = $2
  and mint_unit.id between $3 and $4
order by mint_unit.id
