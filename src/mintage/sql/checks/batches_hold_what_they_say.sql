-- minted_quantity of a batch is the number of units in its range of ids
select
  batch.id as mint_batch_id,
  batch.minted_quantity,
  found.units
from mint_batch as batch
cross join lateral (
  select count(*) as units
  from mint_unit
  where mint_unit.brand_id = $1
    and mint_unit.id >= batch.unit_id_low
    and mint_unit.id <= (left(batch.unit_id_low::text, 19) || 'bfff-ffffffffffff')::uuid
) as found
where batch.brand_id = $1
  and found.units <> batch.minted_quantity
order by batch.id
