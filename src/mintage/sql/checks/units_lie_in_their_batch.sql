-- every unit lies in its batch's range of ids, has a number below minted_quantity, and a serial where it must
with batch as materialized (
  select
    id,
    unit_id_low,
    (left(unit_id_low::text, 19) || 'bfff-ffffffffffff')::uuid as unit_id_high,
    minted_quantity,
    identity_mode,
    coalesce(serial_prefix, '') as serial_prefix
  from mint_batch
  where brand_id = $1
),
-- Made whole before it is cut to a hundred: for those alone each unit would be held against every batch.
broken as materialized (
  select
    unit.id as unit_id,
    unit.mint_batch_id,
    unit.unit_no
  from mint_unit as unit
  left join batch on batch.id = unit.mint_batch_id
  where unit.brand_id = $1
    and (
      batch.id is null
      or unit.id < batch.unit_id_low
      or unit.id > batch.unit_id_high
      or unit.unit_no < 0
      or unit.unit_no >= batch.minted_quantity
      or (unit.serial_number is null) <> (batch.identity_mode = 'batch')
      or not starts_with(coalesce(unit.serial_number, ''), batch.serial_prefix)
    )
)
select unit_id, mint_batch_id, unit_no
from broken
order by unit_id
limit 100
