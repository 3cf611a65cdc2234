-- a batch with brought serials has all of them registered, and its units have the ones registered for them
with batch as (
  select id, unit_id_low, requested_quantity, minted_quantity
  from mint_batch
  where brand_id = $1
    and has_brought_serials
),
registered as (
  select serial_registry.mint_batch_id, serial_registry.unit_no, serial_registry.serial_number
  from serial_registry
  left join batch on batch.id = serial_registry.mint_batch_id
  where serial_registry.brand_id = $1
    and (batch.id is null or serial_registry.unit_no < batch.minted_quantity)
),
minted as (
  select batch.id as mint_batch_id, unit.unit_no, unit.serial_number
  from batch
  join mint_unit as unit
    on unit.brand_id = $1
    and unit.id >= batch.unit_id_low
    and unit.id <= (left(batch.unit_id_low::text, 19) || 'bfff-ffffffffffff')::uuid
),
counted as (
  select mint_batch_id, count(*) as serials, max(unit_no) as highest
  from serial_registry
  where brand_id = $1
  group by mint_batch_id
)
select mint_batch_id, unit_no, 'serial' as problem
from registered
full join minted using (mint_batch_id, unit_no)
where registered.serial_number is distinct from minted.serial_number
union all
select batch.id, null, 'count'
from batch
left join counted on counted.mint_batch_id = batch.id
where coalesce(counted.serials, 0) <> batch.requested_quantity
  or counted.highest <> batch.requested_quantity - 1
order by 1, 2, 3
limit 100
