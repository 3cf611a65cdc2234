-- a completed pack has a path, a size and a sha256; the packs of a group cover its batch once, in order; a completed group has completed packs only
select
  pack.export_group_id,
  pack.id as payload_pack_id,
  'file' as problem
from payload_pack as pack
where pack.brand_id = $1
  and pack.status = 'completed'
  and (
    pack.storage_path is null
    or not starts_with(pack.storage_path, pack.brand_id::text || '/' || pack.export_group_id::text || '/')
    or pack.byte_size is null
    or pack.sha256 !~ '^[0-9a-f]{64}$'
  )
union all
select
  grouped.id,
  null,
  'cover'
from export_group as grouped
join mint_batch as batch on batch.brand_id = $1 and batch.id = grouped.mint_batch_id
cross join lateral (
  select
    count(*) as packs,
    sum(unit_count) as units,
    bool_or(first_unit_no <> before) filter (where unit_count > 0) as are_out_of_order,
    bool_and(status = 'completed') as are_completed
  from (
    select
      first_unit_no,
      unit_count,
      status,
      coalesce(sum(unit_count) over (order by pack_index rows between unbounded preceding and 1 preceding), 0) as before
    from payload_pack
    where payload_pack.brand_id = $1
      and payload_pack.export_group_id = grouped.id
  ) as pack
) as found
where grouped.brand_id = $1
  and (
    found.packs < grouped.pack_count
    or found.units <> batch.minted_quantity
    or found.are_out_of_order
    or (grouped.status = 'completed' and not found.are_completed)
  )
order by 1, 2
