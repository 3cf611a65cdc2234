-- Webhooks: where a brand is told of what happens, the outbox of what it is to be told, and what has been told
-- of units that look like copies.
create table webhook (
  brand_id         uuid not null references brand,
  id               uuid not null,
  url              text not null check (char_length(url) between 1 and 2000),
  event_types      text[] not null check (cardinality(event_types) >= 1 and event_types <@ array[
    'mint_job.completed', 'mint_job.failed', 'mint_job.retried', 'mint_batch.status_changed', 'payload_pack.completed',
    'payload_pack.failed', 'export_group.completed', 'export_group.failed', 'clone_signal.raised'
  ]),
  status           text not null check (status in ('active', 'disabled', 'removed')),
  disabled_reason  text check (disabled_reason in ('failing', 'gone')),
  disabled_at      timestamptz,
  failing_since    timestamptz,
  secret_sealed    bytea,
  old_secret_sealed bytea,
  old_secret_until timestamptz,
  last_claimed_at  timestamptz,
  created_by       uuid,
  created_at       timestamptz not null,
  removed_at       timestamptz,
  primary key (brand_id, id),
  check ((status = 'disabled') = (disabled_reason is not null)),
  check ((status = 'disabled') = (disabled_at is not null)),
  check ((status = 'removed') = (removed_at is not null)),
  check ((status = 'removed') = (secret_sealed is null)),
  check ((old_secret_sealed is null) = (old_secret_until is null))
);
create index webhook_newest on webhook (brand_id, created_at desc, id desc);

-- The outbox: a row is written in the transaction of what it tells. A sender holds it until lease_until.
create table webhook_delivery (
  brand_id        uuid not null,
  id              uuid not null,
  webhook_id      uuid not null,
  event_id        uuid not null,
  event_type      text collate "C" not null check (event_type in (
    'mint_job.completed', 'mint_job.failed', 'mint_job.retried', 'mint_batch.status_changed', 'payload_pack.completed',
    'payload_pack.failed', 'export_group.completed', 'export_group.failed', 'clone_signal.raised'
  )),
  data            jsonb not null check (jsonb_typeof(data) = 'object'),
  status          text collate "C" not null check (status in ('pending', 'delivered', 'failed')),
  attempts        integer not null default 0,
  next_try_at     timestamptz,
  lease_until     timestamptz,
  lease_epoch     bigint not null default 0,
  last_attempt_at timestamptz,
  answer_code     integer,
  failure         text,
  answer_excerpt  text,
  delivered_at    timestamptz,
  created_at      timestamptz not null,
  primary key (brand_id, id),
  unique (brand_id, webhook_id, event_id),
  foreign key (brand_id, webhook_id) references webhook (brand_id, id),
  check ((status = 'pending') = (next_try_at is not null)),
  check (status = 'pending' or lease_until is null),
  check ((status = 'delivered') = (delivered_at is not null))
);
create index webhook_delivery_due on webhook_delivery (brand_id, webhook_id, next_try_at, id) where status = 'pending';
create index webhook_delivery_newest on webhook_delivery (brand_id, webhook_id, created_at desc, id desc);
create index webhook_delivery_status on webhook_delivery (brand_id, webhook_id, status, created_at desc, id desc);
create index webhook_delivery_age on webhook_delivery (brand_id, created_at, id);

-- The gravest that was told of a unit in a UTC day, while a webhook wants to know.
create table clone_signal (
  brand_id  uuid not null,
  unit_id   uuid not null,
  day       date not null,
  severity  text collate "C" not null check (severity in ('review', 'elevated', 'high')),
  raised_at timestamptz not null,
  primary key (brand_id, unit_id, day)
);
create index clone_signal_age on clone_signal (brand_id, day, unit_id);

do $policies$
declare
  table_name text;
begin
  foreach table_name in array array['webhook', 'webhook_delivery', 'clone_signal'] loop
    execute format('alter table %I enable row level security', table_name);
    execute format('alter table %I force row level security', table_name);
    execute format(
      'create policy own_brand on %I using (brand_id = (select current_brand_id())) with check (brand_id = (select current_brand_id()))',
      table_name);
  end loop;
end
$policies$;
-- The sender finds webhooks that something is due for, and reads all else in their brand.
create policy service_finds on webhook for select to mintage_service using (true);
create policy service_finds on webhook_delivery for select to mintage_service using (true);

revoke all on webhook, webhook_delivery, clone_signal from public;
grant select, insert, update on webhook, webhook_delivery to mintage_app, mintage_service;
grant delete on webhook, webhook_delivery to mintage_service;
grant select, insert, update, delete on clone_signal to mintage_service;
grant select (brand_id, id, status, event_types) on webhook to mintage_resolver;
grant insert on webhook_delivery to mintage_resolver;
grant select, insert, update on clone_signal to mintage_resolver;
