-- the units of a batch are numbered 0, 1, 2, … without a gap or a repeat
select
  mint_batch_id,
  count(*) as units,
  count(distinct unit_no) as numbers,
  max(unit_no) as highest
from mint_unit
where brand_id = $1
group by mint_batch_id
having count(*) <> count(distinct unit_no)
  or max(unit_no) <> count(*) - 1
order by mint_batch_id
