-- The tables of a brand as `mintage brand export` writes them: a statement each, the table's own columns, lists as
-- JSON, bytes in hexadecimal. What is left out: docs/brands.md.

-- name: brand
-- role: mintage_service
select
  id, slug, name, default_identity_mode, default_activation_mode, strata, created_at, gcp_length,
  print_profile, biz_location, read_point, clone_thresholds, redirect_signed_urls
from brand
where id = $1
order by id

-- name: brand_host
-- role: mintage_service
select
  host, brand_id, base_url, is_primary, verified_at, created_at
from brand_host
where brand_id = $1
order by host

-- name: brand_member
-- role: mintage_service
-- With who the member is: an address, or a subject of a foreign issuer.
select
  brand_member.brand_id, brand_member.user_id, brand_member.role, brand_member.created_at,
  brand_member.updated_at, coalesce(app_user.email, brand_member.email) as email, app_user.issuer,
  app_user.subject
from brand_member
join app_user on app_user.id = brand_member.user_id
where brand_member.brand_id = $1
order by brand_member.user_id

-- name: api_key
-- role: mintage_service
select
  brand_id, id, client_id, name, to_jsonb(scopes) as scopes, created_by, created_at, expires_at, revoked_at,
  last_used_at
from api_key
where brand_id = $1
order by id

-- name: product
-- role: mintage_service
select
  brand_id, id, sku, sku_key, name, description, image_url, commercial_status, mint_readiness_status,
  created_at, updated_at
from product
where brand_id = $1
order by id

-- name: product_identifier
-- role: mintage_service
select
  brand_id, id, product_id, identifier_type, family, identifier_value, value_key, status, created_at,
  created_by, deactivated_at, deactivated_by
from product_identifier
where brand_id = $1
order by id

-- name: product_link
-- role: mintage_service
select
  brand_id, id, product_id, link_type, href, title, hreflang, media_type, is_default, created_at, updated_at,
  context
from product_link
where brand_id = $1
order by id

-- name: product_batch
-- role: mintage_service
select
  brand_id, id, product_id, batch_number, status, production_date, quantity, allocated_quantity,
  is_cumulative, facility_ref, attributes, created_at, updated_at
from product_batch
where brand_id = $1
order by id

-- name: mint_job
-- role: mintage_service
select
  brand_id, id, operation, idempotency_key, arguments, encode(arguments_sha256, 'hex') as arguments_sha256,
  status, product_id, product_batch_id, requested_quantity, identity_mode, activation_mode, attempts,
  last_error, created_by, created_by_type, created_at, updated_at, started_at, finished_at,
  request_id, traceparent
from mint_job
where brand_id = $1
order by id

-- name: mint_batch
-- role: mintage_service
select
  brand_id, id, mint_job_id, product_id, product_batch_id, identity_mode, activation_mode, status, gtin14,
  requested_quantity, minted_quantity, allocated_quantity, unit_id_low, serial_prefix, serial_strata,
  has_brought_serials, created_by, created_by_type, created_at, updated_at, minted_at, voided_at
from mint_batch
where brand_id = $1
order by id

-- name: mint_lot
-- role: mintage_service
select
  brand_id, id, mint_batch_id, lot_no, lot_code, gtin14, quantity, first_unit_no, activated_at
from mint_lot
where brand_id = $1
order by id

-- name: mint_unit
-- role: mintage_service
select
  brand_id, id, mint_batch_id, unit_no, serial_number, created_at
from mint_unit
where brand_id = $1
order by id

-- name: unit_state
-- role: mintage_service
select
  brand_id, unit_id, activated_at, revoked_at, first_scanned_at, last_scanned_at, scan_count, scanned_on,
  scans_that_day, to_jsonb(countries_that_day) as countries_that_day, travel_s_that_day, last_country,
  last_country_at
from unit_state
where brand_id = $1
order by unit_id

-- name: serial_registry
-- role: mintage_service
select
  brand_id, serial_number, mint_batch_id, unit_no
from serial_registry
where brand_id = $1
order by serial_number

-- name: mint_event
-- role: mintage_service
select
  brand_id, id, mint_job_id, mint_batch_id, event_type, actor_type, actor_id, payload, created_at
from mint_event
where brand_id = $1
order by id

-- name: export_group
-- role: mintage_service
select
  brand_id, id, mint_batch_id, format, profile, options, status, pack_count, created_by, created_by_type,
  created_at, completed_at, request_id, traceparent, brand_settings
from export_group
where brand_id = $1
order by id

-- name: payload_pack
-- role: mintage_service
select
  brand_id, id, export_group_id, mint_batch_id, product_id, format, profile, pack_index, pack_count,
  first_unit_no, unit_count, status, storage_path, byte_size, sha256, error, created_at, completed_at
from payload_pack
where brand_id = $1
order by id

-- name: scan_event
-- role: mintage_service
select
  brand_id, id, scanned_at, unit_id, mint_lot_id, mint_batch_id, product_id, outcome, traffic_class,
  ip_prefix, country, browser, os, device, path, severity
from scan_event
where brand_id = $1
order by id, scanned_at

-- name: scan_receipt
-- role: mintage_service
select
  brand_id, scan_id, outcome, scanned_at, created_at
from scan_receipt
where brand_id = $1
order by scan_id

-- name: tally_delta
-- role: mintage_service
select
  brand_id, id, day, metric, mint_batch_id, delta, created_at
from tally_delta
where brand_id = $1
order by id

-- name: brand_tally
-- role: mintage_service
select
  brand_id, day, metric, value
from brand_tally
where brand_id = $1
order by day, metric

-- name: brand_total
-- role: mintage_service
select
  brand_id, metric, value
from brand_total
where brand_id = $1
order by metric

-- name: batch_tally
-- role: mintage_service
select
  brand_id, mint_batch_id, metric, value
from batch_tally
where brand_id = $1
order by mint_batch_id, metric

-- name: webhook
-- role: mintage_service
select
  brand_id, id, url, to_jsonb(event_types) as event_types, status, disabled_reason, disabled_at,
  failing_since, old_secret_until, last_claimed_at, created_by, created_at, removed_at, held_until
from webhook
where brand_id = $1
order by id

-- name: webhook_delivery
-- role: mintage_service
select
  brand_id, id, webhook_id, event_id, event_type, data, status, attempts, next_try_at, lease_until,
  lease_epoch, last_attempt_at, answer_code, failure, answer_excerpt, delivered_at, created_at,
  request_id, traceparent
from webhook_delivery
where brand_id = $1
order by id

-- name: clone_signal
-- role: mintage_service
select
  brand_id, unit_id, day, severity, raised_at
from clone_signal
where brand_id = $1
order by unit_id, day
