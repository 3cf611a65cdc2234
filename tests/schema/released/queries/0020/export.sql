-- name: batch
-- Its status holds until the end of the transaction: what is voided gets no new packs.
select
  id,
  product_id,
  identity_mode,
  status,
  gtin14,
  serial_prefix,
  requested_quantity
from mint_batch
where brand_id = $1
  and id = $2
for share

-- name: preview_batch
select
  batch.id,
  batch.status,
  batch.unit_id_low,
  batch.requested_quantity,
  batch.gtin14,
  batch.serial_prefix,
  batch.identity_mode,
  batch.activation_mode,
  batch.product_id,
  product.sku as product_sku,
  product.name as product_name,
  product_batch.batch_number as product_batch_number,
  brand.name as brand_name,
  brand.gcp_length,
  brand.biz_location,
  brand.read_point,
  host.base_url
from mint_batch as batch
join product on product.brand_id = batch.brand_id and product.id = batch.product_id
join brand on brand.id = batch.brand_id
left join brand_host as host on host.brand_id = batch.brand_id and host.is_primary
left join product_batch on product_batch.brand_id = batch.brand_id and product_batch.id = batch.product_batch_id
where batch.brand_id = $1
  and batch.id = $2

-- name: brand
select gcp_length, print_profile
from brand
where id = $1

-- name: longest_lot_code
-- In characters, percent-encoded.
select max(char_length(regexp_replace(lot_code, '[^A-Za-z0-9._~-]', '%00', 'g')))
from mint_lot
where brand_id = $1
  and mint_batch_id = $2

-- name: serial_facts
-- Of brought serials. Numeric: digits without a leading zero.
select
  max(char_length(serial_number)) as characters,
  max(char_length(regexp_replace(serial_number, '[^A-Za-z0-9._~-]', '%00', 'g'))) as encoded_characters,
  count(*) filter (where serial_number !~ '^(0|[1-9][0-9]*)$') as not_numeric_count,
  max(case when serial_number ~ '^(0|[1-9][0-9]*)$' then serial_number::numeric end) as numeric_max,
  min(serial_number) filter (where serial_number !~ '^(0|[1-9][0-9]*)$') as first_not_numeric
from serial_registry
where brand_id = $1
  and mint_batch_id = $2

-- name: insert_group
insert into export_group (
  brand_id, id, mint_batch_id, format, profile, options, status, pack_count, created_by, created_by_type, created_at,
  request_id, traceparent, brand_settings
)
select
  $1, $2, $3, $4, $5, $6, 'pending', $7, $8, $9, $10, $11, $12,
  jsonb_build_object('gcp_length', gcp_length, 'biz_location', biz_location, 'read_point', read_point)
from brand
where id = $1
on conflict (brand_id, mint_batch_id, format, profile) where status in ('pending', 'generating') do nothing
returning id

-- name: open_group
select id, pack_count, status, options
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

-- name: enqueue_manifest
-- It is not its turn until the group's other packs are completed.
insert into work_item (kind, brand_id, ref_id, enqueued_at, runnable_at)
values ('payload_pack', $1, $2, $3, 'infinity')

-- name: list_newest
select
  pack.id, pack.export_group_id, pack.mint_batch_id, product.sku as product_sku, pack.format, pack.profile,
  pack.pack_index, pack.pack_count, pack.unit_count, pack.status, pack.storage_path, pack.byte_size, pack.sha256,
  pack.error, pack.created_at, pack.completed_at
from payload_pack as pack
left join product on product.brand_id = pack.brand_id and product.id = pack.product_id
where pack.brand_id = $1
  and (pack.created_at, pack.id) < ($2, $3)
order by pack.created_at desc, pack.id desc
limit $4

-- name: list_of_status
select
  pack.id, pack.export_group_id, pack.mint_batch_id, product.sku as product_sku, pack.format, pack.profile,
  pack.pack_index, pack.pack_count, pack.unit_count, pack.status, pack.storage_path, pack.byte_size, pack.sha256,
  pack.error, pack.created_at, pack.completed_at
from payload_pack as pack
left join product on product.brand_id = pack.brand_id and product.id = pack.product_id
where pack.brand_id = $1
  and (pack.created_at, pack.id) < ($2, $3)
  and pack.status = $5
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

-- name: start_group
-- role: mintage_service
update export_group
set status = 'generating'
where brand_id = $1
  and id = $2
  and status = 'pending'

-- name: start_pack
-- role: mintage_service
-- What a pack is written with; and it is "generating" from now on, if $3 says that it may be and its batch is
-- not voided. A pack whose worker was lost is so already.
with started as (
  update payload_pack
  set status = 'generating'
  from mint_batch
  where payload_pack.brand_id = $1
    and payload_pack.id = $2
    and payload_pack.status in ('pending', 'generating')
    and mint_batch.brand_id = $1
    and mint_batch.id = payload_pack.mint_batch_id
    and mint_batch.status <> 'voided'
    and $3::boolean
  returning payload_pack.id
)
select
  exists (select from started) as is_started,
  pack.export_group_id,
  pack.format,
  pack.pack_index,
  pack.first_unit_no,
  pack.unit_count,
  batch.id,
  batch.status,
  batch.unit_id_low,
  batch.requested_quantity,
  batch.gtin14,
  batch.identity_mode,
  batch.activation_mode,
  batch.product_id,
  product.sku as product_sku,
  product.name as product_name,
  product_batch.batch_number as product_batch_number,
  brand.name as brand_name,
  case
    when export_group.brand_settings is null then brand.gcp_length
    else (export_group.brand_settings ->> 'gcp_length')::smallint
  end as gcp_length,
  case
    when export_group.brand_settings is null then brand.biz_location
    else export_group.brand_settings ->> 'biz_location'
  end as biz_location,
  case
    when export_group.brand_settings is null then brand.read_point
    else export_group.brand_settings ->> 'read_point'
  end as read_point,
  host.base_url,
  export_group.options,
  export_group.status as group_status,
  export_group.request_id,
  export_group.traceparent,
  pack.profile,
  pack.pack_count,
  pack.created_at
from payload_pack as pack
join export_group on export_group.brand_id = pack.brand_id and export_group.id = pack.export_group_id
join mint_batch as batch on batch.brand_id = pack.brand_id and batch.id = pack.mint_batch_id
join product on product.brand_id = pack.brand_id and product.id = pack.product_id
join brand on brand.id = pack.brand_id
left join brand_host as host on host.brand_id = pack.brand_id and host.is_primary
left join product_batch on product_batch.brand_id = pack.brand_id and product_batch.id = batch.product_batch_id
where pack.brand_id = $1
  and pack.id = $2

-- name: lock_to_close
-- role: mintage_service
-- The work item, if the lease of epoch $3 holds, and then its batch, before any row of the export is changed: of
-- two packs that close at once, one sees the other's.
with item as (
  select ref_id, clock_timestamp() as now
  from work_item
  where kind = 'payload_pack'
    and brand_id = $1
    and ref_id = $2
    and lease_epoch = $3
  for update
)
select item.now, batch.status
from item
join payload_pack as pack on pack.brand_id = $1 and pack.id = item.ref_id
join mint_batch as batch on batch.brand_id = $1 and batch.id = pack.mint_batch_id
for no key update of batch

-- name: lock_batch
-- role: mintage_service
-- Taken before any row of the export is changed: as `lock_to_close` does.
select batch.status
from mint_batch as batch
where batch.brand_id = $1
  and batch.id = (select pack.mint_batch_id from payload_pack as pack where pack.brand_id = $1 and pack.id = $2)
for no key update

-- name: complete_pack
-- role: mintage_service
-- All that the end of one pack changes: itself, its work item, the figures, the record. Its batch is locked, so
-- "is_last" is true for one pack: the one after which no other is open, the group's manifest aside. "is_heard":
-- a webhook wants to be told.
with removed as (
  delete from work_item
  where kind = 'payload_pack'
    and brand_id = $1
    and ref_id = $2
    and lease_epoch = $3
),
completed as (
  update payload_pack
  set status = 'completed',
    error = null,
    storage_path = $4,
    byte_size = $5,
    sha256 = $6,
    completed_at = $7
  where brand_id = $1
    and id = $2
    and status = 'generating'
  returning id, export_group_id, mint_batch_id, format
),
counted as (
  insert into tally_delta (brand_id, day, metric, mint_batch_id, delta)
  select $1, ($7::timestamptz at time zone 'UTC')::date, 'packs_completed', mint_batch_id, 1
  from completed
  where format <> 'group_manifest'
),
told as (
  insert into mint_event (
    brand_id, id, mint_job_id, mint_batch_id, event_type, actor_type, actor_id, payload, created_at
  )
  select
    $1,
    $8,
    null,
    mint_batch_id,
    'payload_pack_completed',
    $9,
    $10,
    $11,
    $7
  from completed
)
select
  exists (
    select
    from webhook
    where brand_id = $1
      and status = 'active'
      and 'payload_pack.completed' = any (event_types)
  ) as is_heard,
  not exists (
    select
    from payload_pack as other
    where other.brand_id = $1
      and other.export_group_id = completed.export_group_id
      and other.id <> completed.id
      and other.format <> 'group_manifest'
      and other.status in ('pending', 'generating')
  ) as is_last
from completed

-- name: fail_pack
-- role: mintage_service
update payload_pack
set status = 'failed',
  error = $3
where brand_id = $1
  and id = $2
  and status in ('pending', 'generating')
returning id, export_group_id, mint_batch_id, pack_index, pack_count

-- name: fail_packs_of_batch
-- All that are open, and with them their groups.
with packs as (
  update payload_pack
  set status = 'failed',
    error = $3
  where brand_id = $1
    and mint_batch_id = $2
    and status in ('pending', 'generating')
  returning id, export_group_id, pack_index, pack_count
),
groups as (
  update export_group
  set status = 'failed'
  where brand_id = $1
    and mint_batch_id = $2
    and status in ('pending', 'generating')
)
select id, export_group_id, pack_index, pack_count
from packs
order by export_group_id, pack_index, id

-- name: put_pack_back
-- role: mintage_service
update payload_pack
set status = 'pending',
  error = $3
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

-- name: ready_manifest
-- role: mintage_service
-- The manifest of a group whose other packs are all finished.
select manifest.id, packs.failed
from payload_pack as manifest
cross join (
  select
    count(*) filter (where status in ('pending', 'generating')) as open,
    count(*) filter (where status = 'failed') as failed
  from payload_pack
  where brand_id = $1
    and export_group_id = $2
    and format <> 'group_manifest'
) as packs
where manifest.brand_id = $1
  and manifest.export_group_id = $2
  and manifest.format = 'group_manifest'
  and manifest.status = 'pending'
  and packs.open = 0

-- name: release_manifest
-- role: mintage_service
update work_item
set runnable_at = clock_timestamp()
where kind = 'payload_pack'
  and brand_id = $1
  and ref_id = $2
  and runnable_at = 'infinity'

-- name: packs_of_manifest
-- role: mintage_service
select format, profile, pack_index, first_unit_no, unit_count, storage_path, byte_size, sha256
from payload_pack
where brand_id = $1
  and export_group_id = $2
  and format <> 'group_manifest'
  and status = 'completed'
order by pack_index

-- name: end_units
-- role: mintage_service
select unit.id, unit.unit_no, unit.serial_number
from unnest($3::uuid[], $4::uuid[]) as bound (low, high)
join mint_unit as unit on unit.brand_id = $1
  and unit.mint_batch_id = $2
  and unit.id between bound.low and bound.high

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
  pack.profile,
  pack.pack_index,
  pack.pack_count,
  product.sku as product_sku,
  pack.storage_path,
  pack.byte_size,
  pack.sha256,
  pack.completed_at,
  brand.redirect_signed_urls
from payload_pack as pack
join mint_batch as batch on batch.brand_id = pack.brand_id and batch.id = pack.mint_batch_id
join brand on brand.id = pack.brand_id
left join product on product.brand_id = pack.brand_id and product.id = pack.product_id
where pack.brand_id = $1
  and pack.storage_path = any ($2::text[])
  and pack.status = 'completed'
  and batch.status <> 'voided'

-- name: group_of_pack
select export_group_id
from payload_pack
where brand_id = $1
  and id = $2
