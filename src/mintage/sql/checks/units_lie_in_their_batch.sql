-- every unit lies in its batch's range of ids, has a number below minted_quantity, and a serial where it must
select
  unit.id as unit_id,
  unit.mint_batch_id,
  unit.unit_no
from mint_unit as unit
left join mint_batch as batch on batch.brand_id = $1 and batch.id = unit.mint_batch_id
where unit.brand_id = $1
  and (
    batch.id is null
    or unit.id < batch.unit_id_low
    or unit.id > (left(batch.unit_id_low::text, 19) || 'bfff-ffffffffffff')::uuid
    or unit.unit_no < 0
    or unit.unit_no >= batch.minted_quantity
    or (unit.serial_number is null) <> (batch.identity_mode = 'batch')
    or not starts_with(coalesce(unit.serial_number, ''), coalesce(batch.serial_prefix, ''))
  )
order by unit.id
limit 100
