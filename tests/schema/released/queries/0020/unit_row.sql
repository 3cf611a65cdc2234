-- name: of_untouched_slice
-- role: mintage_service
-- The slice as `of_slice` gives it, in one row, for less than half the work: if "is_touched" is false and all its
-- units were made at one time. No unit: nulls.
select
  min(unit.created_at) as created_at,
  max(unit.created_at) as last_created_at,
  min(unit.unit_no) as first_unit_no,
  max(unit.unit_no) as last_unit_no,
  string_agg(uuid_send(unit.id), ''::bytea) as ids,
  string_agg(unit.serial_number, E'\n') as serials,
  exists (
    select
    from unit_state
    where unit_state.brand_id = $1
      and unit_state.unit_id between $3 and $4
  ) as is_touched
from (
  select id, unit_no, serial_number, created_at
  from mint_unit
  where brand_id = $1
    and mint_batch_id = $2
    and id between $3 and $4
  order by id
) as unit

-- name: of_slice
-- role: mintage_service
-- The id range is the slice: ids ascend with unit_no. Touched units are few, so their range is read once.
-- It comes by columns, a row for each time at which units of it were made (one cycle has one time). Ids are sent
-- as they lie in memory, serials one after another with a line end between them.
select
  unit.created_at,
  min(unit.unit_no) as first_unit_no,
  max(unit.unit_no) as last_unit_no,
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
