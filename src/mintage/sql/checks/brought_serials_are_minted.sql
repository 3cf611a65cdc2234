-- a batch with brought serials has all of them registered, and its units have the ones registered for them
-- Each batch is compared by itself, from its range in the registry's key and in the units' key: `offset 0` keeps
-- it so, whatever the planner believes of the tables.
with batch as (
  select
    id,
    requested_quantity,
    minted_quantity,
    unit_id_low,
    (left(unit_id_low::text, 19) || 'bfff-ffffffffffff')::uuid as unit_id_high
  from mint_batch
  where brand_id = $1
    and has_brought_serials
),
counted as (
  select mint_batch_id, count(*) as serials, max(unit_no) as highest
  from serial_registry
  where brand_id = $1
  group by mint_batch_id
)
select batch.id as mint_batch_id, told.unit_no, 'serial' as problem
from batch
cross join lateral (
  select unit_no
  from (
    select unit_no, serial_number
    from serial_registry
    where brand_id = $1
      and mint_batch_id = batch.id
      and unit_no < batch.minted_quantity
    offset 0
  ) as registered
  full join (
    select unit_no, serial_number
    from mint_unit
    where brand_id = $1
      and id >= batch.unit_id_low
      and id <= batch.unit_id_high
    offset 0
  ) as minted using (unit_no)
  where registered.serial_number is distinct from minted.serial_number
  offset 0
) as told
union all
select counted.mint_batch_id, registered.unit_no, 'serial'
from counted
cross join lateral (
  select unit_no
  from serial_registry
  where brand_id = $1
    and mint_batch_id = counted.mint_batch_id
  offset 0
) as registered
where not exists (
  select
  from batch
  where batch.id = counted.mint_batch_id
)
union all
select batch.id, null, 'count'
from batch
left join counted on counted.mint_batch_id = batch.id
where coalesce(counted.serials, 0) <> batch.requested_quantity
  or counted.highest <> batch.requested_quantity - 1
order by 1, 2, 3
limit 100
