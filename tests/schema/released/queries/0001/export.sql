-- name: batch
select
  id,
  product_id,
  identity_mode,
  status,
  requested_quantity
from mint_batch
where brand_id = $1
  and id = $2

-- name: insert_group
insert into export_group (
  brand_id, id, mint_batch_id, format, profile, options, status, pack_count, created_by, created_by_type, created_at
)
values ($1, $2, $3, $4, $5, $6, 'pending', $7, $8, $9, $10)
on conflict (brand_id, mint_batch_id, format, profile) where status in ('pending', 'generating') do nothing
returning id

-- name: open_group
select id, pack_count, status
from export_group
where brand_id = $1
  and mint_batch_id = $2
  and format = $3
  and profile is not distinct from $4
  and status in ('pending', 'generating')

-- name: insert_packs
insert into payload_pack (
  brand_id, id, export_group_id, mint_batch_id, product_id, format, profile, pack_index, pack_count,
  first_unit_no, unit_count, status, created_at
)
select $1, slice.id, $2, $3, $4, $5, $6, slice.pack_index, $7, slice.first_unit_no, slice.unit_count, 'pending', $8
from unnest($9::uuid[], $10::integer[], $11::integer[], $12::integer[])
  as slice (id, pack_index, first_unit_no, unit_count)

-- name: enqueue_packs
insert into work_item (kind, brand_id, ref_id, enqueued_at, runnable_at)
select 'payload_pack', $1, pack.id, $2, $2
from unnest($3::uuid[]) as pack (id)

-- name: list_newest
select
  pack.id, pack.export_group_id, pack.mint_batch_id, product.sku as product_sku, pack.format, pack.profile,
  pack.pack_index, pack.pack_count, pack.unit_count, pack.status, pack.storage_path, pack.byte_size, pack.sha256,
  pack.error, pack.created_at, pack.completed_at
from payload_pack as pack
left join product on product.brand_id = pack.brand_id and product.id = pack.product_id
where pack.brand_id = $1
  and (pack.created_at, pack.id) < ($2, $3)
  and ($5::text is null or pack.status = $5)
order by pack.created_at desc, pack.id desc
limit $4

-- name: list_of_batch
select
  pack.id, pack.export_group_id, pack.mint_batch_id, product.sku as product_sku, pack.format, pack.profile,
  pack.pack_index, pack.pack_count, pack.unit_count, pack.status, pack.storage_path, pack.byte_size, pack.sha256,
  pack.error, pack.created_at, pack.completed_at
from payload_pack as pack
left join product on product.brand_id = pack.brand_id and product.id = pack.product_id
where pack.brand_id = $1
  and pack.mint_batch_id = $6
  and (pack.created_at, pack.id) < ($2, $3)
  and ($5::text is null or pack.status = $5)
order by pack.created_at desc, pack.id desc
limit $4

-- name: list_of_group
-- A group has some hundred packs at most: they are found by their key and sorted.
select
  pack.id, pack.export_group_id, pack.mint_batch_id, product.sku as product_sku, pack.format, pack.profile,
  pack.pack_index, pack.pack_count, pack.unit_count, pack.status, pack.storage_path, pack.byte_size, pack.sha256,
  pack.error, pack.created_at, pack.completed_at
from payload_pack as pack
left join product on product.brand_id = pack.brand_id and product.id = pack.product_id
where pack.brand_id = $1
  and pack.export_group_id = $6
  and ($7::uuid is null or pack.mint_batch_id = $7)
  and (pack.created_at, pack.id) < ($2, $3)
  and ($5::text is null or pack.status = $5)
order by pack.created_at desc, pack.id desc
limit $4

-- name: start_pack
-- role: mintage_service
-- A pack whose worker was lost is "generating" already.
update payload_pack
set status = 'generating'
where brand_id = $1
  and id = $2
  and status in ('pending', 'generating')
returning export_group_id, format, pack_index, first_unit_no, unit_count

-- name: start_group
-- role: mintage_service
update export_group
set status = 'generating'
where brand_id = $1
  and id = $2
  and status = 'pending'

-- name: batch_of_pack
-- role: mintage_service
select
  batch.id,
  batch.status,
  batch.unit_id_low,
  batch.requested_quantity,
  batch.gtin14,
  batch.activation_mode
from payload_pack as pack
join mint_batch as batch on batch.brand_id = pack.brand_id and batch.id = pack.mint_batch_id
where pack.brand_id = $1
  and pack.id = $2

-- name: lock_item
-- role: mintage_service
select attempts
from work_item
where kind = 'payload_pack'
  and brand_id = $1
  and ref_id = $2
  and lease_epoch = $3
for update

-- name: lock_batch
-- role: mintage_service
-- Taken before any row of the export is changed: of two packs that close at once, one sees the other's.
select batch.status
from mint_batch as batch
where batch.brand_id = $1
  and batch.id = (select pack.mint_batch_id from payload_pack as pack where pack.brand_id = $1 and pack.id = $2)
for no key update

-- name: complete_pack
-- role: mintage_service
update payload_pack
set status = 'completed',
  storage_path = $3,
  byte_size = $4,
  sha256 = $5,
  completed_at = $6
where brand_id = $1
  and id = $2
  and status = 'generating'
returning id, export_group_id, mint_batch_id, pack_index, pack_count

-- name: fail_pack
-- role: mintage_service
update payload_pack
set status = 'failed',
  error = $3
where brand_id = $1
  and id = $2
  and status in ('pending', 'generating')
returning id, export_group_id, mint_batch_id, pack_index, pack_count

-- name: put_pack_back
-- role: mintage_service
update payload_pack
set status = 'pending'
where brand_id = $1
  and id = $2
  and status = 'generating'

-- name: finish_group
-- role: mintage_service
-- Once no pack is open: completed, or failed if one of them is.
update export_group
set status = case when packs.failed > 0 then 'failed' else 'completed' end,
  completed_at = case when packs.failed > 0 then null else $3::timestamptz end
from (
  select
    count(*) filter (where status in ('pending', 'generating')) as open,
    count(*) filter (where status = 'failed') as failed
  from payload_pack
  where brand_id = $1
    and export_group_id = $2
) as packs
where export_group.brand_id = $1
  and export_group.id = $2
  and export_group.status in ('pending', 'generating')
  and packs.open = 0
returning export_group.status

-- name: export_batch
-- role: mintage_service
update mint_batch
set status = 'exported',
  updated_at = $3
where brand_id = $1
  and id = $2
  and status = 'minted'
returning id

-- name: brands
-- role: mintage_service
select id
from brand
order by id

-- name: kept_paths
-- role: mintage_service
-- Of $2: files of completed packs, and those that an open lease may still close ($3, $4: pack's key in them).
select storage_path as path
from payload_pack
where brand_id = $1
  and storage_path = any ($2::text[])
union all
select written.path
from unnest($2::text[], $3::uuid[], $4::integer[], $5::bigint[]) as written (path, export_group_id, pack_index, epoch)
join payload_pack as pack
  on pack.brand_id = $1
  and pack.export_group_id = written.export_group_id
  and pack.pack_index = written.pack_index
join work_item as item
  on item.kind = 'payload_pack'
  and item.brand_id = $1
  and item.ref_id = pack.id
  and item.lease_epoch = written.epoch

-- name: files
-- A voided batch has none.
select
  pack.id,
  pack.export_group_id,
  pack.mint_batch_id,
  pack.format,
  pack.pack_index,
  pack.storage_path,
  pack.byte_size,
  pack.sha256,
  pack.completed_at
from payload_pack as pack
join mint_batch as batch on batch.brand_id = pack.brand_id and batch.id = pack.mint_batch_id
where pack.brand_id = $1
  and pack.storage_path = any ($2::text[])
  and pack.status = 'completed'
  and batch.status <> 'voided'
