-- a unit with a brought serial has the one that was registered for it
select
  registered.mint_batch_id,
  registered.unit_no
from serial_registry as registered
join mint_batch as batch on batch.brand_id = $1 and batch.id = registered.mint_batch_id
left join mint_unit as unit on unit.brand_id = $1 and unit.serial_number = registered.serial_number
where registered.brand_id = $1
  and registered.unit_no < batch.minted_quantity
  and (
    unit.id is null
    or unit.mint_batch_id <> registered.mint_batch_id
    or unit.unit_no <> registered.unit_no
  )
order by registered.mint_batch_id, registered.unit_no
limit 100
