-- the tallies of activated units are a recount: activated lots whole, and units activated on their own
with told as (
  select mint_batch_id, sum(value) as value
  from (
    select mint_batch_id, value
    from batch_tally
    where brand_id = $1
      and metric = 'units_activated'
    union all
    select mint_batch_id, delta
    from tally_delta
    where brand_id = $1
      and metric = 'units_activated'
  ) as deltas
  group by mint_batch_id
),
counted as (
  select mint_batch_id, sum(units) as value
  from (
    select mint_batch_id, quantity::bigint as units
    from mint_lot
    where brand_id = $1
      and activated_at is not null
    union all
    select unit.mint_batch_id, 1
    from unit_state as state
    join mint_unit as unit on unit.brand_id = $1 and unit.id = state.unit_id
    where state.brand_id = $1
      and state.activated_at is not null
      and not exists (
        select
        from mint_lot
        where mint_lot.brand_id = $1
          and mint_lot.mint_batch_id = unit.mint_batch_id
          and mint_lot.activated_at is not null
          and unit.unit_no >= mint_lot.first_unit_no
          and unit.unit_no < mint_lot.first_unit_no + mint_lot.quantity
      )
  ) as activated
  group by mint_batch_id
)
select
  coalesce(told.mint_batch_id, counted.mint_batch_id) as mint_batch_id,
  told.value as told,
  counted.value as recounted
from told
full join counted on counted.mint_batch_id = told.mint_batch_id
where coalesce(told.value, 0) <> coalesce(counted.value, 0)
order by 1
