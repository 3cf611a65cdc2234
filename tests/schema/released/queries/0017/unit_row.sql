-- name: of_slice
-- role: mintage_service
-- The id range is the slice: ids ascend with unit_no. Touched units are few, so their range is read once.
-- It comes by columns, a row for each time at which units of it were made (one cycle has one time). Numbers
-- and ids are sent as they lie in memory, serials one after another, each after a line end.
select
  unit.created_at,
  min(unit.unit_no) as first_unit_no,
  array_send(array_agg(unit.unit_no)) as unit_nos,
  string_agg(uuid_send(unit.id), ''::bytea) as ids,
  string_agg(unit.serial_number, E'\n') as serials,
  array_agg(unit.unit_no) filter (where unit.activated_at is not null and unit.revoked_at is null) as activated,
  array_agg(unit.unit_no) filter (where unit.revoked_at is not null) as revoked
from (
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
) as unit
group by unit.created_at
