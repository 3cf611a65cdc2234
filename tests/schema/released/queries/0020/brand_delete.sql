-- A brand is closed, emptied and removed. Rows go by delete_brand_rows, which is in the schema.

-- name: find
-- role: mintage_service
select id, deleting_at
from brand
where slug = $1

-- name: work_under_way
-- role: mintage_service
-- Held, so that none is claimed meanwhile; a claim or a closing is waited for.
select ref_id
from work_item
where brand_id = $1
  and kind = 'mint_job'
order by kind, ref_id
for update

-- name: close
-- role: mintage_service
update brand
set deleting_at = clock_timestamp()
where id = $1
  and deleting_at is null

-- name: end_webhooks
-- role: mintage_service
update webhook
set status = 'disabled',
  disabled_reason = 'gone',
  disabled_at = clock_timestamp()
where brand_id = $1
  and status = 'active'

-- name: by_key
-- role: mintage_service
-- Until the end of the transaction: statistics are of the table as it was, and a key near its beginning would have
-- all of it read through.
select set_config('enable_seqscan', 'off', true)

-- name: delete_rows
-- role: mintage_service
select deleted, next_from
from delete_brand_rows($1, $2, $3, $4)

-- name: remove
-- role: mintage_service
delete from brand
where id = $1
  and deleting_at is not null

-- name: cut_webhook_delivery
-- role: mintage_service
-- This one and the next: the first key of the last $2 + 1 rows of a table that grows. What a transaction deletes
-- begins there: the function sorts all that is left from its key on, so it is given the end.
select webhook_delivery.id::text as first
from webhook_delivery
where webhook_delivery.brand_id = $1
order by webhook_delivery.id desc
offset $2
limit 1

-- name: cut_clone_signal
-- role: mintage_service
select clone_signal.unit_id::text as first
from clone_signal
where clone_signal.brand_id = $1
order by clone_signal.unit_id desc, clone_signal.day desc
offset $2
limit 1

-- name: cut_scan_event
-- role: mintage_service
select scan_event.id::text as first
from scan_event
where scan_event.brand_id = $1
order by scan_event.id desc, scan_event.scanned_at desc
offset $2
limit 1

-- name: cut_scan_receipt
-- role: mintage_service
select scan_receipt.scan_id::text as first
from scan_receipt
where scan_receipt.brand_id = $1
order by scan_receipt.scan_id desc
offset $2
limit 1

-- name: cut_unit_state
-- role: mintage_service
select unit_state.unit_id::text as first
from unit_state
where unit_state.brand_id = $1
order by unit_state.unit_id desc
offset $2
limit 1

-- name: cut_mint_event
-- role: mintage_service
select mint_event.id::text as first
from mint_event
where mint_event.brand_id = $1
order by mint_event.id desc
offset $2
limit 1

-- name: cut_payload_pack
-- role: mintage_service
select payload_pack.id::text as first
from payload_pack
where payload_pack.brand_id = $1
order by payload_pack.id desc
offset $2
limit 1

-- name: cut_serial_registry
-- role: mintage_service
select serial_registry.serial_number::text as first
from serial_registry
where serial_registry.brand_id = $1
order by serial_registry.serial_number desc
offset $2
limit 1

-- name: cut_mint_unit
-- role: mintage_service
select mint_unit.id::text as first
from mint_unit
where mint_unit.brand_id = $1
order by mint_unit.id desc
offset $2
limit 1

-- name: cut_mint_lot
-- role: mintage_service
select mint_lot.id::text as first
from mint_lot
where mint_lot.brand_id = $1
order by mint_lot.id desc
offset $2
limit 1

-- name: cut_mint_batch
-- role: mintage_service
select mint_batch.id::text as first
from mint_batch
where mint_batch.brand_id = $1
order by mint_batch.id desc
offset $2
limit 1

-- name: cut_mint_job
-- role: mintage_service
select mint_job.id::text as first
from mint_job
where mint_job.brand_id = $1
order by mint_job.id desc
offset $2
limit 1

-- name: cut_tally_delta
-- role: mintage_service
select tally_delta.id::text as first
from tally_delta
where tally_delta.brand_id = $1
order by tally_delta.id desc
offset $2
limit 1

-- name: cut_batch_tally
-- role: mintage_service
select batch_tally.mint_batch_id::text as first
from batch_tally
where batch_tally.brand_id = $1
order by batch_tally.mint_batch_id desc, batch_tally.metric desc
offset $2
limit 1

-- name: cut_product
-- role: mintage_service
select product.id::text as first
from product
where product.brand_id = $1
order by product.id desc
offset $2
limit 1
