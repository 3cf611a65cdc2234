-- Search by prefix, lists of scans by what was scanned, and scans recorded by the service.

-- What is searched or filtered by and has no index yet: lots by code, packs by status.
create index mint_lot_code on mint_lot (brand_id, lot_code, mint_batch_id);
create index payload_pack_status on payload_pack (brand_id, status, created_at desc, id desc);

-- Null until a unit's scans are judged.
alter table scan_event add column severity text collate "C"
  check (severity in ('info', 'review', 'elevated', 'high'));
create index scan_event_batch on scan_event (brand_id, mint_batch_id, scanned_at desc, id desc)
  where mint_batch_id is not null;
create index scan_event_product on scan_event (brand_id, product_id, scanned_at desc, id desc)
  where product_id is not null;
create index scan_event_severity on scan_event (brand_id, severity, scanned_at desc, id desc)
  where severity is not null;

-- Scans that their recorder named, so that each is recorded once however often it is sent.
create table scan_receipt (
  brand_id   uuid not null,
  scan_id    text collate "C" not null check (char_length(scan_id) between 1 and 64),
  outcome    text not null check (outcome in ('activated', 'already_active', 'recorded', 'revoked', 'unknown')),
  scanned_at timestamptz not null,
  created_at timestamptz not null,
  primary key (brand_id, scan_id)
);
create index scan_receipt_age on scan_receipt (brand_id, scanned_at, scan_id);
alter table scan_receipt enable row level security;
alter table scan_receipt force row level security;
create policy own_brand on scan_receipt
  using (brand_id = (select current_brand_id()))
  with check (brand_id = (select current_brand_id()));
revoke all on scan_receipt from public;
grant select, insert, delete on scan_receipt to mintage_service;

-- Activity is read from the days that are folded and from what waits for the fold.
grant select (day, metric, delta) on tally_delta to mintage_app;
