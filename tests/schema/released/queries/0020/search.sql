-- Search by prefix (SPEC §4). Each stream is a range of one index, in the index's order: of ids, of texts under
-- collation "C". A stream is read 24 rows at a time; the number stands in the text, so that the plan knows it.
-- A row is told with all that may match of its object, so that the caller knows an object that comes twice.

-- name: products
-- Each product under the first of its keys that match: its SKU, and the forms of its active GTINs.
with found as (
  (
    select id as product_id, sku_key as key
    from product
    where brand_id = $1
      and sku_key >= $2
      and sku_key < $3
    order by sku_key
    limit 20
  )
  union all
  (
    select named.product_id, substr(named.value_key, prefix.zeros + 1) as key
    from unnest($4::text[], $5::text[], $6::integer[]) as prefix (lowest, beyond, zeros)
    cross join lateral (
      select product_id, value_key
      from product_identifier
      where brand_id = $1
        and family = 'gtin'
        and status = 'active'
        and value_key >= prefix.lowest
        and value_key < prefix.beyond
      order by value_key
      limit 60
    ) as named
  )
), first as (
  select product_id, min(key) as key
  from found
  group by product_id
  order by min(key), product_id
  limit 20
)
select product.id, product.sku, product.name, product.commercial_status, product.created_at
from first
join product on product.brand_id = $1 and product.id = first.product_id
order by first.key, product.id

-- name: batches
-- By id from $2 to $3; by lot code from ($4, $5) on, of all that lie from $6 to below $7.
with found as (
  (
    select id::text collate "C" as key, id
    from mint_batch
    where brand_id = $1
      and mint_batch.id >= $2
      and mint_batch.id <= $3
    order by mint_batch.id
    limit 24
  )
  union all
  (
    select lot_code as key, mint_batch_id as id
    from mint_lot
    where brand_id = $1
      and (lot_code, mint_batch_id) >= ($4, $5)
      and lot_code < $7
    order by lot_code, mint_batch_id
    limit 24
  )
)
select
  found.key,
  batch.id,
  batch.status,
  batch.created_at,
  product.sku as product_sku,
  (
    select min(lot.lot_code)
    from mint_lot as lot
    where lot.brand_id = $1
      and lot.mint_batch_id = found.id
      and lot.lot_code >= $6
      and lot.lot_code < $7
  ) as lot_code
from found
join mint_batch as batch on batch.brand_id = $1 and batch.id = found.id
left join product on product.brand_id = $1 and product.id = batch.product_id
order by found.key, batch.id

-- name: exports
-- By id from $2 to $3; by group from ($4, $5) on up to $6, but for its manifest.
with found as (
  (
    select
      id::text collate "C" as key, id, export_group_id, product_id, format, pack_index, pack_count, status, created_at
    from payload_pack
    where brand_id = $1
      and id >= $2
      and id <= $3
    order by payload_pack.id
    limit 24
  )
  union all
  (
    select
      export_group_id::text collate "C" as key, id, export_group_id, product_id, format, pack_index, pack_count,
      status, created_at
    from payload_pack
    where brand_id = $1
      and (export_group_id, id) >= ($4, $5)
      and export_group_id <= $6
      and format <> 'group_manifest'
    order by payload_pack.export_group_id, payload_pack.id
    limit 24
  )
)
select
  found.key,
  found.id,
  found.export_group_id,
  found.format,
  found.pack_index,
  found.pack_count,
  found.status,
  found.created_at,
  product.sku as product_sku
from found
left join product on product.brand_id = $1 and product.id = found.product_id
order by found.key, found.id

-- name: tokens
-- By id from $2 to $3; by serial from $4 to below $5, and from $6 to below $7.
with found as (
  (
    select id::text collate "C" as key, id, mint_batch_id, unit_no, serial_number, created_at
    from mint_unit
    where brand_id = $1
      and id >= $2
      and id <= $3
    order by mint_unit.id
    limit 24
  )
  union all
  (
    select serial_number as key, id, mint_batch_id, unit_no, serial_number, created_at
    from mint_unit
    where brand_id = $1
      and serial_number >= $4
      and serial_number < $5
    order by serial_number
    limit 24
  )
  union all
  (
    select serial_number as key, id, mint_batch_id, unit_no, serial_number, created_at
    from mint_unit
    where brand_id = $1
      and serial_number >= $6
      and serial_number < $7
    order by serial_number
    limit 24
  )
)
select
  found.key,
  found.id,
  found.serial_number,
  found.created_at,
  product.sku as product_sku,
  coalesce(batch.status = 'voided', false) as batch_is_voided,
  batch.activation_mode,
  state.activated_at,
  state.revoked_at,
  lot.activated_at as lot_activated_at
from found
left join mint_batch as batch on batch.brand_id = $1 and batch.id = found.mint_batch_id
left join product on product.brand_id = $1 and product.id = batch.product_id
left join unit_state as state on state.brand_id = $1 and state.unit_id = found.id
left join lateral (
  select mint_lot.activated_at
  from mint_lot
  where mint_lot.brand_id = $1
    and mint_lot.mint_batch_id = found.mint_batch_id
    and found.unit_no >= mint_lot.first_unit_no
    and found.unit_no < mint_lot.first_unit_no + mint_lot.quantity
  order by mint_lot.id
  limit 1
) as lot on true
order by found.key, found.id
