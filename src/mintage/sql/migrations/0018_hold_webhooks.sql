-- A webhook is called again when its receiver said so (Retry-After); a delivery names the request that it goes back to.
alter table webhook add column held_until timestamptz;
alter table webhook_delivery add column request_id text, add column traceparent text;
-- Those under way are counted at each claim, however many wait.
create index webhook_delivery_under_way on webhook_delivery (brand_id, webhook_id, lease_until)
  where lease_until is not null;
