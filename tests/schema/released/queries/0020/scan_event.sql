-- Scan events as lists, newest first: one statement for each filter that leads, the others beside it.

-- name: list_newest
select
  id, scanned_at, unit_id, mint_lot_id, product_id, outcome, traffic_class, country, browser, os, device, severity
from scan_event
where brand_id = $1
  and scanned_at >= $2
  and (scanned_at, id) < ($3, $4)
order by scanned_at desc, id desc
limit $5

-- name: list_of_unit
select
  id, scanned_at, unit_id, mint_lot_id, product_id, outcome, traffic_class, country, browser, os, device, severity
from scan_event
where brand_id = $1
  and scanned_at >= $2
  and (scanned_at, id) < ($3, $4)
  and unit_id = $6
  and ($7::uuid is null or mint_batch_id = $7)
  and ($8::uuid is null or product_id = $8)
  and ($9::text is null or severity = $9)
order by scanned_at desc, id desc
limit $5

-- name: list_of_severity
-- Scans that were judged are few beside all of a batch or a product.
select
  id, scanned_at, unit_id, mint_lot_id, product_id, outcome, traffic_class, country, browser, os, device, severity
from scan_event
where brand_id = $1
  and scanned_at >= $2
  and (scanned_at, id) < ($3, $4)
  and severity = $6
  and ($7::uuid is null or mint_batch_id = $7)
  and ($8::uuid is null or product_id = $8)
order by scanned_at desc, id desc
limit $5

-- name: list_of_batch
-- All of a batch's scans are of its product: of another product there are none, and none is read.
select
  id, scanned_at, unit_id, mint_lot_id, product_id, outcome, traffic_class, country, browser, os, device, severity
from scan_event
where brand_id = $1
  and scanned_at >= $2
  and (scanned_at, id) < ($3, $4)
  and mint_batch_id = $6
  and (
    $7::uuid is null
    or exists (
      select
      from mint_batch
      where mint_batch.brand_id = $1
        and mint_batch.id = $6
        and mint_batch.product_id = $7
    )
  )
order by scanned_at desc, id desc
limit $5

-- name: list_of_product
select
  id, scanned_at, unit_id, mint_lot_id, product_id, outcome, traffic_class, country, browser, os, device, severity
from scan_event
where brand_id = $1
  and scanned_at >= $2
  and (scanned_at, id) < ($3, $4)
  and product_id = $6
order by scanned_at desc, id desc
limit $5

-- name: activity
-- Days from $2 to $3, both inclusive: what is folded, and what waits for the fold, in one snapshot.
select
  day.day::date as day,
  coalesce(sum(told.value) filter (where told.metric = 'scans'), 0)::bigint as scans,
  coalesce(sum(told.value) filter (where told.metric = 'units_minted'), 0)::bigint as units_minted,
  coalesce(sum(told.value) filter (where told.metric = 'units_activated'), 0)::bigint as units_activated
from generate_series($2::date::timestamp, $3::date::timestamp, interval '1 day') as day (day)
left join (
  select day, metric, value
  from brand_tally
  where brand_id = $1
    and day between $2 and $3
  union all
  select day, metric, delta
  from tally_delta
  where brand_id = $1
    and day between $2 and $3
) as told on told.day = day.day::date
group by day.day
order by day.day

-- name: ensure_partition
-- role: mintage_service
-- A scan may be recorded long after it happened, or be the first of a month.
select ensure_scan_event_partitions($1::timestamptz, 1)
where to_regclass('public.scan_event_' || to_char($1::timestamptz at time zone 'UTC', 'YYYY_MM')) is null

-- name: lock_scan_id
-- role: mintage_service
-- One recording of a scan at a time; held until the transaction ends.
select pg_advisory_xact_lock(hashtextextended('mintage.scan ' || $1::uuid || ' ' || $2::text, 0))

-- name: receipt
-- role: mintage_service
select outcome
from scan_receipt
where brand_id = $1
  and scan_id = $2

-- name: insert_receipt
-- role: mintage_service
insert into scan_receipt (brand_id, scan_id, outcome, scanned_at, created_at)
values ($1, $2, $3, $4, $5)

-- name: drop_partitions
-- role: mintage_service
select drop_scan_event_partitions($1::integer)

-- name: remove_old_receipts
-- role: mintage_service
delete from scan_receipt
where brand_id = $1
  and scanned_at < clock_timestamp() - make_interval(days => $2::integer)
