-- the lots of a batch add up to what was requested and follow each other; only batch mode has lots
select
  batch.id as mint_batch_id,
  batch.requested_quantity,
  coalesce(sum(lot.quantity), 0) as in_lots
from mint_batch as batch
left join (
  select
    mint_batch_id,
    quantity,
    first_unit_no,
    coalesce(sum(quantity) over (partition by mint_batch_id order by lot_no rows between unbounded preceding and 1 preceding), 0) as before
  from mint_lot
  where brand_id = $1
) as lot on lot.mint_batch_id = batch.id
where batch.brand_id = $1
group by batch.id, batch.requested_quantity, batch.identity_mode
having (batch.identity_mode = 'batch' and coalesce(sum(lot.quantity), 0) <> batch.requested_quantity)
  or (batch.identity_mode = 'serial' and count(lot.quantity) > 0)
  or bool_or(lot.first_unit_no <> lot.before)
order by batch.id
