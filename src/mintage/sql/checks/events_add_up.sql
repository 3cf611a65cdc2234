-- the mint_units_created events of a batch add up to what it has minted, each range once
select
  batch.id as mint_batch_id,
  batch.minted_quantity,
  told.units,
  told.ranges,
  told.events
from mint_batch as batch
cross join lateral (
  select
    coalesce(sum((payload ->> 'count')::bigint), 0) as units,
    count(distinct payload ->> 'first_unit_no') as ranges,
    count(*) as events
  from mint_event
  where mint_event.brand_id = $1
    and mint_event.mint_batch_id = batch.id
    and mint_event.event_type = 'mint_units_created'
) as told
where batch.brand_id = $1
  and (told.units <> batch.minted_quantity or told.ranges <> told.events)
order by batch.id
