-- a production batch's allocated_quantity is what its mint batches hold of it, and each holds what it must
select
  product_batch.id as product_batch_id,
  product_batch.allocated_quantity,
  held.due,
  held.told
from product_batch
cross join lateral (
  select
    coalesce(sum(
      case mint_batch.status
        when 'voided' then 0
        when 'failed' then mint_batch.minted_quantity
        else mint_batch.requested_quantity
      end), 0) as due,
    coalesce(sum(mint_batch.allocated_quantity), 0) as told
  from mint_batch
  where mint_batch.brand_id = $1
    and mint_batch.product_batch_id = product_batch.id
) as held
where product_batch.brand_id = $1
  and (held.due <> product_batch.allocated_quantity or held.told <> product_batch.allocated_quantity)
order by product_batch.id
