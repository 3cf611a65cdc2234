-- The schema of Mintage as it stands: the sum of sql/migrations/. A test compares the two.
-- Every brand table leads with brand_id and is under row-level security. Tables marked (M) hold no
-- brand content. Lock order: work_item, mint_job, mint_batch, mint_lot, product_batch.

-- Roles. A login needs only to be a member of these; each transaction takes one with "set local role".
-- They belong to the cluster: another database of it, or an administrator, may have made them before.
do $roles$
declare
  role_name text;
  -- From PostgreSQL 16 on, whoever creates a role may grant it, but not take it.
  taking text := case when current_setting('server_version_num')::integer >= 160000 then 'set' else 'member' end;
begin
  foreach role_name in array array['mintage_app', 'mintage_service', 'mintage_resolver', 'mintage_minter'] loop
    if to_regrole(role_name) is null then
      begin
        execute format('create role %I nologin %s', role_name, case role_name when 'mintage_minter' then 'bypassrls' end);
      exception
        when duplicate_object or unique_violation then null;
        when insufficient_privilege then
          -- Managed PostgreSQL: no BYPASSRLS to give. The minter then owns mint_unit (see the end of this file).
          if role_name <> 'mintage_minter' then
            raise;
          end if;
          begin
            create role mintage_minter nologin;
          exception when duplicate_object or unique_violation then null;
          end;
      end;
    end if;
    if not pg_has_role(current_user, role_name, taking) then
      begin
        execute format('grant %I to %I', role_name, current_user);
      exception when unique_violation then null;
      end;
    end if;
  end loop;
end
$roles$;

-- (M) Tenants, accounts, keys.
create table brand (
  id                      uuid primary key,
  slug                    text collate "C" not null unique check (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
  name                    text not null,
  default_identity_mode   text not null default 'serial' check (default_identity_mode in ('batch', 'serial')),
  default_activation_mode text not null default 'first_scan' check (default_activation_mode in ('active_at_mint', 'first_scan')),
  strata                  integer check (strata between 1 and 1000000),
  created_at              timestamptz not null,
  gcp_length              integer check (gcp_length between 6 and 12),
  print_profile           text,
  biz_location            text,
  read_point              text,
  clone_thresholds        jsonb not null default '{}' check (jsonb_typeof(clone_thresholds) = 'object'),
  redirect_signed_urls    boolean not null default false,
  deleting_at             timestamptz
);

create table brand_host (
  host        text collate "C" primary key,
  brand_id    uuid not null references brand,
  base_url    text not null,
  is_primary  boolean not null default false,
  verified_at timestamptz,
  created_at  timestamptz not null
);
create unique index brand_host_primary on brand_host (brand_id) where is_primary;
create index brand_host_newest on brand_host (brand_id, created_at desc, host desc);

-- An account is one of ours, with e-mail address and password, or a user of a foreign issuer.
create table app_user (
  id            uuid primary key,
  email         text,
  email_key     text collate "C" unique,
  password_hash text,
  created_at    timestamptz not null,
  updated_at    timestamptz not null,
  issuer        text collate "C",
  subject       text collate "C",
  constraint app_user_is_of_one_kind check (
    case
      when issuer is null then num_nulls(email, email_key, password_hash) = 0 and subject is null
      else num_nonnulls(email, email_key, password_hash) = 0 and subject is not null
    end
  )
);
create unique index app_user_subject on app_user (issuer, subject) where issuer is not null;

create table user_session (
  id           uuid primary key,
  user_id      uuid not null references app_user,
  refresh_hash bytea not null,
  created_at   timestamptz not null,
  refreshed_at timestamptz not null,
  expires_at   timestamptz not null,
  ended_at     timestamptz,
  end_reason   text check (end_reason in ('signed_out', 'refresh_token_reused'))
);
create index user_session_user on user_session (user_id);

create table brand_member (
  brand_id   uuid not null references brand,
  user_id    uuid not null references app_user,
  role       text not null check (role in ('owner', 'admin', 'editor', 'viewer')),
  created_at timestamptz not null,
  updated_at timestamptz not null,
  email      text,
  primary key (brand_id, user_id)
);
create index brand_member_user on brand_member (user_id, brand_id);
create index brand_member_newest on brand_member (brand_id, created_at desc, user_id desc);

create table api_key (
  brand_id    uuid not null references brand,
  id          uuid not null,
  client_id   text collate "C" not null unique,
  secret_hash bytea not null,
  name        text not null,
  scopes      text[] not null,
  created_by  uuid,
  created_at  timestamptz not null,
  expires_at  timestamptz,
  revoked_at  timestamptz,
  last_used_at timestamptz,
  primary key (brand_id, id)
);
create index api_key_newest on api_key (brand_id, created_at desc, id desc);

-- The one membership test. The service's and the resolver's roles pass by what they are; anyone else by
-- the row that makes them a member, or the key that is still good.
create function has_brand_access(_brand_id uuid) returns boolean
language plpgsql stable set search_path = ''
as $$
declare
  user_id_told uuid := nullif(current_setting('mintage.user_id', true), '')::uuid;
  api_key_id_told uuid := nullif(current_setting('mintage.api_key_id', true), '')::uuid;
begin
  if current_user in ('mintage_service', 'mintage_resolver') then
    return true;
  elsif user_id_told is not null then
    return exists (
      select from public.brand_member
      where brand_id = _brand_id
        and user_id = user_id_told);
  elsif api_key_id_told is not null then
    return exists (
      select from public.api_key
      where brand_id = _brand_id
        and id = api_key_id_told
        and revoked_at is null
        and (expires_at is null or expires_at > now()));
  end if;
  -- The schema's owner, who deletes brands.
  return exists (
    select from pg_catalog.pg_class
    where oid = 'public.brand'::pg_catalog.regclass
      and relowner = current_user::pg_catalog.regrole);
end
$$;

create function current_brand_id() returns uuid
language plpgsql stable set search_path = ''
as $$
declare
  asked_for uuid := nullif(current_setting('mintage.brand_id', true), '')::uuid;
begin
  if asked_for is not null and public.has_brand_access(asked_for) then
    return asked_for;
  end if;
  return null;
end
$$;

-- Catalogue.
create table product (
  brand_id              uuid not null references brand,
  id                    uuid not null,
  sku                   text not null check (char_length(sku) between 1 and 64),
  sku_key               text collate "C" not null,
  name                  text not null,
  description           text,
  image_url             text,
  commercial_status     text not null default 'DRAFT' check (commercial_status in ('DRAFT', 'ACTIVE', 'DISCONTINUED')),
  mint_readiness_status text not null default 'NOT_READY' check (mint_readiness_status in ('NOT_READY', 'READY')),
  created_at            timestamptz not null,
  updated_at            timestamptz not null,
  primary key (brand_id, id),
  unique (brand_id, sku_key)
);
create index product_newest on product (brand_id, created_at desc, id desc);
create index product_commercial_status on product (brand_id, commercial_status, created_at desc, id desc);
create index product_mint_readiness_status on product (brand_id, mint_readiness_status, created_at desc, id desc);
create index product_gates on product (
  brand_id, commercial_status, mint_readiness_status, created_at desc, id desc
);

create table product_identifier (
  brand_id         uuid not null,
  id               uuid not null,
  product_id       uuid not null,
  identifier_type  text not null check (identifier_type in ('sku', 'gtin', 'ean', 'upc')),
  family           text not null check (family in ('sku', 'gtin')),
  identifier_value text not null,
  value_key        text collate "C" not null,
  status           text not null check (status in ('active', 'retired')),
  created_at       timestamptz not null,
  created_by       uuid,
  deactivated_at   timestamptz,
  deactivated_by   uuid,
  primary key (brand_id, id),
  foreign key (brand_id, product_id) references product (brand_id, id),
  check ((family = 'sku') = (identifier_type = 'sku')),
  check ((status = 'retired') = (deactivated_at is not null))
);
create unique index product_identifier_active_value on product_identifier (brand_id, family, value_key) where status = 'active';
create unique index product_identifier_active_type on product_identifier (brand_id, product_id, identifier_type) where status = 'active';
create index product_identifier_value on product_identifier (brand_id, family, value_key, deactivated_at desc nulls first, id);
create index product_identifier_product on product_identifier (brand_id, product_id, deactivated_at desc nulls first, id);

create table product_link (
  brand_id   uuid not null,
  id         uuid not null,
  product_id uuid not null,
  link_type  text not null,
  href       text not null check (href ~ '^https://' and char_length(href) <= 2000),
  title      text not null check (char_length(title) between 1 and 200),
  hreflang   text,
  media_type text,
  is_default boolean not null default false,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  context    text check (char_length(context) between 1 and 64),
  primary key (brand_id, id),
  foreign key (brand_id, product_id) references product (brand_id, id)
);
create unique index product_link_default on product_link (brand_id, product_id) where is_default;
create index product_link_newest on product_link (brand_id, product_id, created_at desc, id desc);

create table product_batch (
  brand_id           uuid not null,
  id                 uuid not null,
  product_id         uuid not null,
  batch_number       text collate "C" not null check (char_length(batch_number) between 1 and 64),
  status             text not null check (status in ('DRAFT', 'READY', 'CLOSED')),
  production_date    date,
  quantity           integer check (quantity between 1 and 2000000000),
  allocated_quantity bigint not null default 0 check (allocated_quantity >= 0),
  is_cumulative      boolean not null default true,
  facility_ref       text,
  attributes         jsonb not null default '{}' check (jsonb_typeof(attributes) = 'object'),
  created_at         timestamptz not null,
  updated_at         timestamptz not null,
  primary key (brand_id, id),
  unique (brand_id, product_id, batch_number),
  foreign key (brand_id, product_id) references product (brand_id, id),
  check (quantity is null or not is_cumulative or allocated_quantity <= quantity)
);
create index product_batch_newest on product_batch (brand_id, created_at desc, id desc);
create index product_batch_product on product_batch (brand_id, product_id, created_at desc, id desc);
create index product_batch_product_status on product_batch (
  brand_id, product_id, status, created_at desc, id desc
);
create index product_batch_status on product_batch (brand_id, status, created_at desc, id desc);

-- Minting.
create table mint_job (
  brand_id           uuid not null references brand,
  id                 uuid not null,
  operation          text not null check (operation in ('submit_mint_request', 'preflight_mint_batch')),
  idempotency_key    text collate "C",
  arguments          jsonb not null,
  arguments_sha256   bytea not null,
  status             text not null check (status in ('PREFLIGHTED', 'QUEUED', 'RESERVED', 'PROCESSING', 'COMPLETED', 'FAILED')),
  product_id         uuid not null,
  product_batch_id   uuid,
  requested_quantity integer check (requested_quantity between 1 and 1000000),
  identity_mode      text not null check (identity_mode in ('batch', 'serial')),
  activation_mode    text not null check (activation_mode in ('active_at_mint', 'first_scan')),
  attempts           integer not null default 0,
  last_error         text check (last_error in ('SERIAL_COLLISION', 'INTEGRITY_CHECK_FAILED', 'LEASE_LOST', 'VOIDED', 'INTERNAL')),
  created_by         uuid,
  created_by_type    text not null check (created_by_type in ('user', 'api_key', 'service', 'system')),
  created_at         timestamptz not null,
  updated_at         timestamptz not null,
  started_at         timestamptz,
  finished_at        timestamptz,
  request_id         text,
  traceparent        text,
  primary key (brand_id, id),
  foreign key (brand_id, product_id) references product (brand_id, id),
  foreign key (brand_id, product_batch_id) references product_batch (brand_id, id),
  check ((status in ('COMPLETED', 'FAILED')) = (finished_at is not null))
);
create index mint_job_id on mint_job (id);
create index mint_job_preflighted on mint_job (created_at, brand_id) where status = 'PREFLIGHTED';
create unique index mint_job_idempotency on mint_job (brand_id, operation, idempotency_key) where idempotency_key is not null;

create table mint_batch (
  brand_id           uuid not null,
  id                 uuid not null,
  mint_job_id        uuid not null,
  product_id         uuid not null,
  product_batch_id   uuid,
  identity_mode      text not null check (identity_mode in ('batch', 'serial')),
  activation_mode    text not null check (activation_mode in ('active_at_mint', 'first_scan')),
  status             text not null check (status in ('draft', 'queued', 'processing', 'failed', 'minted', 'exported', 'printed', 'applied', 'voided')),
  gtin14             text collate "C" check (gtin14 ~ '^[0-9]{14}$'),
  requested_quantity integer not null check (requested_quantity between 1 and 1000000),
  minted_quantity    integer not null default 0,
  allocated_quantity integer not null default 0 check (allocated_quantity between 0 and requested_quantity),
  unit_id_low        uuid not null,
  serial_prefix      text collate "C",
  serial_strata      integer,
  has_brought_serials boolean not null default false,
  created_by         uuid,
  created_by_type    text not null check (created_by_type in ('user', 'api_key', 'service', 'system')),
  created_at         timestamptz not null,
  updated_at         timestamptz not null,
  minted_at          timestamptz,
  voided_at          timestamptz,
  primary key (brand_id, id),
  constraint mint_batch_job unique (brand_id, mint_job_id),
  constraint mint_batch_unit_id_low unique (brand_id, unit_id_low),
  constraint mint_batch_serial_prefix unique (brand_id, serial_prefix),
  foreign key (brand_id, mint_job_id) references mint_job (brand_id, id),
  foreign key (brand_id, product_id) references product (brand_id, id),
  foreign key (brand_id, product_batch_id) references product_batch (brand_id, id),
  check (minted_quantity between 0 and requested_quantity),
  check (status not in ('minted', 'exported', 'printed', 'applied') or minted_quantity = requested_quantity),
  check ((serial_prefix is not null) = (identity_mode = 'serial' and not has_brought_serials)),
  check ((serial_prefix is not null) = (serial_strata is not null)),
  check (serial_strata is null or serial_strata >= requested_quantity),
  check ((status = 'voided') = (voided_at is not null))
);
create index mint_batch_newest on mint_batch (brand_id, created_at desc, id desc);
create index mint_batch_status on mint_batch (brand_id, status, created_at desc, id desc);
create index mint_batch_product on mint_batch (brand_id, product_id, created_at desc, id desc);
create index mint_batch_product_status on mint_batch (brand_id, product_id, status, created_at desc, id desc);
create index mint_batch_product_batch on mint_batch (brand_id, product_batch_id) where product_batch_id is not null;

create table mint_lot (
  brand_id      uuid not null,
  id            uuid not null,
  mint_batch_id uuid not null,
  lot_no        integer not null check (lot_no between 1 and 100),
  lot_code      text collate "C" not null,
  gtin14        text collate "C",
  quantity      integer not null check (quantity >= 1),
  first_unit_no integer not null check (first_unit_no >= 0),
  activated_at  timestamptz,
  primary key (brand_id, id),
  unique (brand_id, mint_batch_id, lot_code),
  unique (brand_id, mint_batch_id, lot_no),
  foreign key (brand_id, mint_batch_id) references mint_batch (brand_id, id)
);
create index mint_lot_gtin on mint_lot (brand_id, gtin14, lot_code);
create index mint_lot_code on mint_lot (brand_id, lot_code, mint_batch_id);

-- Insert-only, two indexes, no foreign key, no trigger, no status: each would cost a fifth or more of the
-- minting rate. The closing guard of a cycle and sql/checks/ hold its integrity; status is derived.
create table mint_unit (
  brand_id      uuid not null,
  id            uuid not null,
  mint_batch_id uuid not null,
  unit_no       integer not null,
  serial_number text collate "C",
  created_at    timestamptz not null,
  primary key (brand_id, id)
);
create unique index mint_unit_serial on mint_unit (brand_id, serial_number) where serial_number is not null;

-- Only touched units have a row. The last columns are of the day of its newest scan: what the clone signal
-- is read from.
create table unit_state (
  brand_id           uuid not null,
  unit_id            uuid not null,
  activated_at       timestamptz,
  revoked_at         timestamptz,
  first_scanned_at   timestamptz,
  last_scanned_at    timestamptz,
  scan_count         integer not null default 0,
  scanned_on         date,
  scans_that_day     integer not null default 0,
  countries_that_day text[],
  travel_s_that_day  integer,
  last_country       text,
  last_country_at    timestamptz,
  primary key (brand_id, unit_id)
);

-- Brought serials for ever.
create table serial_registry (
  brand_id      uuid not null,
  serial_number text collate "C" not null,
  mint_batch_id uuid not null,
  unit_no       integer not null,
  primary key (brand_id, serial_number)
);
create unique index serial_registry_unit on serial_registry (brand_id, mint_batch_id, unit_no);

create table mint_event (
  brand_id      uuid not null,
  id            uuid not null,
  mint_job_id   uuid,
  mint_batch_id uuid,
  event_type    text collate "C" not null check (event_type in (
    'mint_requested', 'mint_job_started', 'mint_units_created', 'mint_lots_confirmed',
    'mint_job_completed', 'mint_job_failed', 'mint_job_retried', 'mint_batch_status_changed',
    'mint_units_revoked', 'payload_packs_requested', 'payload_pack_completed', 'payload_pack_failed',
    'payload_pack_downloaded', 'member_changed', 'api_key_changed', 'settings_changed',
    'identifier_changed', 'signed_in', 'sign_in_failed'
  )),
  actor_type    text not null check (actor_type in ('user', 'api_key', 'service', 'system')),
  actor_id      uuid,
  payload       jsonb not null check (jsonb_typeof(payload) = 'object'),
  created_at    timestamptz not null,
  primary key (brand_id, id)
);
create index mint_event_newest on mint_event (brand_id, created_at desc, id desc);
create index mint_event_batch on mint_event (brand_id, mint_batch_id, created_at desc, id desc) where mint_batch_id is not null;
create index mint_event_job on mint_event (brand_id, mint_job_id, created_at desc, id desc) where mint_job_id is not null;
create index mint_event_type on mint_event (brand_id, event_type, created_at desc, id desc);

-- Exports.
create table export_group (
  brand_id        uuid not null,
  id              uuid not null,
  mint_batch_id   uuid not null,
  format          text not null,
  profile         text,
  options         jsonb not null default '{}',
  status          text not null check (status in ('pending', 'generating', 'completed', 'failed')),
  pack_count      integer not null check (pack_count >= 1),
  created_by      uuid,
  created_by_type text not null check (created_by_type in ('user', 'api_key', 'service', 'system')),
  created_at      timestamptz not null,
  completed_at    timestamptz,
  request_id      text,
  traceparent     text,
  brand_settings  jsonb,
  primary key (brand_id, id),
  foreign key (brand_id, mint_batch_id) references mint_batch (brand_id, id)
);
create unique index export_group_open on export_group (brand_id, mint_batch_id, format, profile) nulls not distinct
  where status in ('pending', 'generating');

create table payload_pack (
  brand_id        uuid not null,
  id              uuid not null,
  export_group_id uuid not null,
  mint_batch_id   uuid not null,
  product_id      uuid not null,
  format          text not null,
  profile         text,
  pack_index      integer not null check (pack_index >= 1),
  pack_count      integer not null,
  first_unit_no   integer not null check (first_unit_no >= 0),
  unit_count      integer not null check (unit_count >= 0),
  status          text not null check (status in ('pending', 'generating', 'completed', 'failed')),
  storage_path    text collate "C",
  byte_size       bigint,
  sha256          text,
  error           text,
  created_at      timestamptz not null,
  completed_at    timestamptz,
  primary key (brand_id, id),
  unique (brand_id, export_group_id, pack_index),
  foreign key (brand_id, export_group_id) references export_group (brand_id, id),
  check ((status = 'completed') = (storage_path is not null)),
  check ((status = 'completed') = (sha256 is not null)),
  check ((status = 'completed') = (byte_size is not null)),
  check ((status = 'completed') = (completed_at is not null))
);
create index payload_pack_newest on payload_pack (brand_id, created_at desc, id desc);
create index payload_pack_batch on payload_pack (brand_id, mint_batch_id, created_at desc, id desc);
create index payload_pack_status on payload_pack (brand_id, status, created_at desc, id desc);
create unique index payload_pack_path on payload_pack (brand_id, storage_path) where storage_path is not null;

-- Scans, by month. Partitions are made ahead by ensure_scan_event_partitions(), and dropped by
-- drop_scan_event_partitions() when their last day is too old.
create table scan_event (
  brand_id      uuid not null,
  id            uuid not null,
  scanned_at    timestamptz not null,
  unit_id       uuid,
  mint_lot_id   uuid,
  mint_batch_id uuid,
  product_id    uuid,
  outcome       text not null check (outcome in ('activated', 'already_active', 'recorded', 'revoked', 'unknown')),
  traffic_class text not null check (traffic_class in ('human', 'unknown')),
  ip_prefix     cidr,
  country       text,
  browser       text,
  os            text,
  device        text,
  path          text,
  severity      text collate "C" check (severity in ('info', 'review', 'elevated', 'high')),
  primary key (brand_id, id, scanned_at)
) partition by range (scanned_at);
create index scan_event_unit on scan_event (brand_id, unit_id, scanned_at desc, id desc) where unit_id is not null;
create index scan_event_batch on scan_event (brand_id, mint_batch_id, scanned_at desc, id desc)
  where mint_batch_id is not null;
create index scan_event_product on scan_event (brand_id, product_id, scanned_at desc, id desc)
  where product_id is not null;
create index scan_event_severity on scan_event (brand_id, severity, scanned_at desc, id desc)
  where severity is not null;
create index scan_event_newest on scan_event (brand_id, scanned_at desc, id desc);

-- Attached, a new month waits for no reader, and no recorder of scans waits for it.
create function ensure_scan_event_partitions(_from timestamptz, _months integer) returns void
language plpgsql security definer set search_path = '' set lock_timeout = '2s'
as $$
declare
  month_start date;
  month_end date;
  partition_name text;
begin
  if _months not between 1 and 24 then
    raise exception 'months must be 1 to 24';
  end if;
  perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('mintage.scan_event_partitions'));
  for step in 0 .. _months - 1 loop
    month_start := (pg_catalog.date_trunc('month', _from at time zone 'UTC') + step * interval '1 month')::date;
    month_end := (month_start + interval '1 month')::date;
    partition_name := 'scan_event_' || pg_catalog.to_char(month_start, 'YYYY_MM');
    if pg_catalog.to_regclass('public.' || partition_name) is null then
      execute pg_catalog.format(
        'create table public.%I (like public.scan_event including defaults including constraints)', partition_name);
      execute pg_catalog.format(
        'alter table public.scan_event attach partition public.%I for values from (%L) to (%L)',
        partition_name, month_start::text || ' 00:00:00+00', month_end::text || ' 00:00:00+00');
    end if;
  end loop;
end
$$;

-- For a resolver whose worker has not been there: the months of scans that wait to be stored, and no others.
create function ensure_scan_event_partition(_scanned_at timestamptz) returns void
language plpgsql security definer set search_path = ''
as $$
begin
  if _scanned_at not between pg_catalog.clock_timestamp() - interval '31 days'
    and pg_catalog.clock_timestamp() + interval '1 day' then
    raise exception 'a scan is stored within 31 days';
  end if;
  perform public.ensure_scan_event_partitions(_scanned_at, 1);
end
$$;

create function drop_scan_event_partitions(_kept_days integer) returns integer
language plpgsql security definer set search_path = ''
as $$
declare
  partition_name text;
  dropped integer := 0;
begin
  if _kept_days < 31 then
    raise exception 'scans are kept for 31 days or more';
  end if;
  -- Whoever records or lists scans waits behind this lock: it is not waited for long.
  perform pg_catalog.set_config('lock_timeout', '2s', true);
  perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('mintage.scan_event_partitions'));
  for partition_name in
    select c.relname
    from pg_catalog.pg_inherits i
    join pg_catalog.pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'public.scan_event'::pg_catalog.regclass
      and c.relname ~ '^scan_event_[0-9]{4}_[0-9]{2}$'
      and (pg_catalog.to_date(pg_catalog.right(c.relname, 7), 'YYYY_MM') + interval '1 month') at time zone 'UTC'
        <= pg_catalog.clock_timestamp() - pg_catalog.make_interval(days => _kept_days)
    order by c.relname
  loop
    execute pg_catalog.format('drop table public.%I', partition_name);
    dropped := dropped + 1;
  end loop;
  return dropped;
end
$$;

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

-- Figures: insert-only deltas, folded by a duty.
create table tally_delta (
  brand_id      uuid not null,
  id            bigint generated always as identity,
  day           date not null,
  metric        text collate "C" not null check (metric in (
    'units_minted', 'units_activated', 'scans', 'units_active', 'units_revoked', 'units_scanned', 'units_requested',
    'batches_in_progress', 'batches_minted', 'batches_failed', 'batches_voided', 'jobs_queued', 'jobs_failed',
    'packs_completed'
  )),
  mint_batch_id uuid,
  delta         bigint not null,
  created_at    timestamptz not null default clock_timestamp(),
  primary key (brand_id, id)
);
create table brand_tally (
  brand_id uuid not null,
  day      date not null,
  metric   text collate "C" not null,
  value    bigint not null,
  primary key (brand_id, day, metric)
);
create table brand_total (
  brand_id uuid not null,
  metric   text collate "C" not null,
  value    bigint not null,
  primary key (brand_id, metric)
);
create table batch_tally (
  brand_id      uuid not null,
  mint_batch_id uuid not null,
  metric        text collate "C" not null,
  value         bigint not null,
  primary key (brand_id, mint_batch_id, metric)
);

-- Webhooks: where a brand is told of what happens.
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
  held_until       timestamptz,
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
  request_id      text,
  traceparent     text,
  primary key (brand_id, id),
  unique (brand_id, webhook_id, event_id),
  foreign key (brand_id, webhook_id) references webhook (brand_id, id),
  check ((status = 'pending') = (next_try_at is not null)),
  check (status = 'pending' or lease_until is null),
  check ((status = 'delivered') = (delivered_at is not null))
);
create index webhook_delivery_due on webhook_delivery (brand_id, webhook_id, next_try_at, id) where status = 'pending';
create index webhook_delivery_under_way on webhook_delivery (brand_id, webhook_id, lease_until)
  where lease_until is not null;
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

-- (M) The queue.
create table work_item (
  kind          text collate "C" not null check (kind in ('mint_job', 'payload_pack')),
  brand_id      uuid not null,
  ref_id        uuid not null,
  enqueued_at   timestamptz not null,
  runnable_at   timestamptz not null,
  lease_owner   text,
  lease_until   timestamptz,
  lease_epoch   bigint not null default 0,
  attempts      integer not null default 0,
  lapsed_epochs bigint[] not null default '{}',
  postponed     integer not null default 0,
  primary key (kind, brand_id, ref_id),
  check ((lease_owner is null) = (lease_until is null))
);
create index work_item_order on work_item (kind, brand_id, enqueued_at, ref_id);
create index work_item_ref on work_item (kind, ref_id);
create table brand_turn (
  kind            text collate "C" not null,
  brand_id        uuid not null,
  last_claimed_at timestamptz not null,
  primary key (kind, brand_id)
);

-- Rate limits that all processes share, by a hash of caller and brand (GCRA, rules/rates.py). What a crash
-- of the server forgets costs nothing: no WAL is written.
create unlogged table rate_limit (
  caller_key   bytea primary key check (octet_length(caller_key) = 32),
  paid_back_at timestamptz not null,
  granted      integer not null
) with (fillfactor = 50);

-- When each invariant (sql/checks/) was last checked in each brand by the daily duty, and how many rows broke
-- it. `broken_rows` is null while the check runs, and where it came to no end.
create table invariant_check (
  brand_id    uuid not null,
  name        text collate "C" not null,
  started_at  timestamptz not null,
  finished_at timestamptz,
  broken_rows integer,
  primary key (brand_id, name)
);
create index invariant_check_order on invariant_check (started_at, brand_id, name);

-- What scanned codes name, many at once: the brand is set here and the keys are looked for in it, in one
-- call. Read by key only. Row-level security holds: the functions run with the rights of their caller.
create function find_scanned(_brand_id uuid, _kinds text[], _ids uuid[], _gtins text[], _texts text[])
returns table (
  key_no integer, product_id uuid, mint_batch_id uuid, mint_lot_id uuid, unit_id uuid, batch_is_voided boolean,
  activation_mode text, activated_at timestamptz, revoked_at timestamptz, first_scanned_at timestamptz,
  lot_activated_at timestamptz, waiting_lot_ids uuid[]
)
language plpgsql set search_path = ''
as $$
#variable_conflict use_column
begin
  -- `offset 0` keeps each look-up one by its whole key, whatever the planner believes of the tables: a plan
  -- made while they were empty would read a brand's rows through, until they are analyzed.
  if 'serial' = any (_kinds) then
    return query
    select key.no::integer, b.product_id, u.mint_batch_id, null::uuid, u.id, b.is_voided, b.activation_mode,
      s.activated_at, s.revoked_at, s.first_scanned_at, null::timestamptz, null::uuid[]
    from unnest(_kinds, _gtins, _texts) with ordinality as key (kind, gtin14, serial_number, no)
    cross join lateral (
      select id, mint_batch_id
      from public.mint_unit
      where brand_id = _brand_id
        and serial_number = key.serial_number
      offset 0
    ) as u
    cross join lateral (
      select product_id, gtin14, status = 'voided' as is_voided, activation_mode
      from public.mint_batch
      where brand_id = _brand_id
        and id = u.mint_batch_id
      offset 0
    ) as b
    left join lateral (
      select activated_at, revoked_at, first_scanned_at
      from public.unit_state
      where brand_id = _brand_id
        and unit_id = u.id
      offset 0
    ) as s on true
    where key.kind = 'serial'
      and (
        b.gtin14 = key.gtin14
        or exists (
          select
          from public.product_identifier i
          where i.brand_id = _brand_id
            and i.family = 'gtin'
            and i.value_key = key.gtin14
            and i.product_id = b.product_id
          offset 0
        )
      );
  end if;
  if 'unit' = any (_kinds) then
    return query
    select key.no::integer, b.product_id, u.mint_batch_id, l.id, u.id, b.is_voided, b.activation_mode,
      s.activated_at, s.revoked_at, s.first_scanned_at, l.activated_at, null::uuid[]
    from unnest(_kinds, _ids) with ordinality as key (kind, id, no)
    cross join lateral (
      select id, mint_batch_id, unit_no
      from public.mint_unit
      where brand_id = _brand_id
        and id = key.id
      offset 0
    ) as u
    cross join lateral (
      select product_id, status = 'voided' as is_voided, activation_mode
      from public.mint_batch
      where brand_id = _brand_id
        and id = u.mint_batch_id
      offset 0
    ) as b
    left join lateral (
      select id, activated_at
      from public.mint_lot
      where brand_id = _brand_id
        and mint_batch_id = u.mint_batch_id
        and u.unit_no >= first_unit_no
        and u.unit_no < first_unit_no + quantity
      offset 0
    ) as l on true
    left join lateral (
      select activated_at, revoked_at, first_scanned_at
      from public.unit_state
      where brand_id = _brand_id
        and unit_id = u.id
      offset 0
    ) as s on true
    where key.kind = 'unit';
  end if;
  if 'lot' = any (_kinds) then
    return query
    select key.no::integer, b.product_id, l.mint_batch_id, l.id, null::uuid, b.status = 'voided',
      b.activation_mode, null::timestamptz, null::timestamptz, null::timestamptz, l.activated_at,
      case
        when b.status <> 'voided' and b.activation_mode = 'first_scan' and l.activated_at is null
          then array[l.id]
        else array[]::uuid[]
      end
    from unnest(_kinds, _ids) with ordinality as key (kind, id, no)
    cross join lateral (
      select id, mint_batch_id, activated_at, first_unit_no + quantity as units_end
      from public.mint_lot
      where brand_id = _brand_id
        and id = key.id
      offset 0
    ) as l
    cross join lateral (
      select product_id, status, activation_mode, minted_quantity
      from public.mint_batch
      where brand_id = _brand_id
        and id = l.mint_batch_id
      offset 0
    ) as b
    where key.kind = 'lot'
      and (b.status = 'voided' or b.minted_quantity >= l.units_end);
  end if;
  if 'lot_code' = any (_kinds) then
    -- An unknown lot of a known GTIN leads to the product.
    return query
    select key.no::integer, coalesce(l.product_id, p.product_id), l.mint_batch_id, l.id, null::uuid,
      l.is_voided, null::text, null::timestamptz, null::timestamptz, null::timestamptz, null::timestamptz,
      l.waiting_lot_ids
    from unnest(_kinds, _gtins, _texts) with ordinality as key (kind, gtin14, lot_code, no)
    left join lateral (
      with named as (
        select l.id, l.mint_batch_id, b.product_id, b.created_at, b.status = 'voided' as is_voided,
          b.activation_mode = 'first_scan' and l.activated_at is null as is_waiting
        from public.mint_lot l
        cross join lateral (
          select product_id, created_at, status, activation_mode, minted_quantity
          from public.mint_batch
          where brand_id = _brand_id
            and id = l.mint_batch_id
          offset 0
        ) as b
        where l.brand_id = _brand_id
          and l.gtin14 = key.gtin14
          and l.lot_code = key.lot_code
          and (b.status = 'voided' or b.minted_quantity >= l.first_unit_no + l.quantity)
      )
      select n.id, n.mint_batch_id, n.product_id, n.is_voided,
        array(
          select w.id
          from named w
          where w.is_waiting
            and not w.is_voided
          order by w.id
        ) as waiting_lot_ids
      from named n
      order by n.is_voided, n.created_at desc, n.mint_batch_id desc, n.id
      limit 1
    ) as l on true
    left join lateral (
      select i.product_id
      from public.product_identifier i
      where i.brand_id = _brand_id
        and i.family = 'gtin'
        and i.value_key = key.gtin14
      order by i.deactivated_at desc nulls first, i.id
      limit 1
    ) as p on true
    where key.kind = 'lot_code'
      and coalesce(l.product_id, p.product_id) is not null;
  end if;
  if 'gtin' = any (_kinds) then
    return query
    select key.no::integer, p.product_id, null::uuid, null::uuid, null::uuid, null::boolean, null::text,
      null::timestamptz, null::timestamptz, null::timestamptz, null::timestamptz, null::uuid[]
    from unnest(_kinds, _gtins) with ordinality as key (kind, gtin14, no)
    cross join lateral (
      select i.product_id
      from public.product_identifier i
      where i.brand_id = _brand_id
        and i.family = 'gtin'
        and i.value_key = key.gtin14
      order by i.deactivated_at desc nulls first, i.id
      limit 1
    ) as p
    where key.kind = 'gtin';
  end if;
  if 'batch' = any (_kinds) then
    return query
    select key.no::integer, b.product_id, b.id, null::uuid, null::uuid, b.status = 'voided', null::text,
      null::timestamptz, null::timestamptz, null::timestamptz, null::timestamptz, null::uuid[]
    from unnest(_kinds, _ids) with ordinality as key (kind, id, no)
    cross join lateral (
      select id, product_id, status
      from public.mint_batch
      where brand_id = _brand_id
        and id = key.id
      offset 0
    ) as b
    where key.kind = 'batch';
  end if;
  if 'product' = any (_kinds) then
    return query
    select key.no::integer, p.id, null::uuid, null::uuid, null::uuid, null::boolean, null::text,
      null::timestamptz, null::timestamptz, null::timestamptz, null::timestamptz, null::uuid[]
    from unnest(_kinds, _ids) with ordinality as key (kind, id, no)
    cross join lateral (
      select id
      from public.product
      where brand_id = _brand_id
        and id = key.id
      offset 0
    ) as p
    where key.kind = 'product';
  end if;
end
$$;

create function resolve(_brand_id uuid, _kinds text[], _ids uuid[], _gtins text[], _texts text[])
returns table (
  key_no integer, product_id uuid, mint_batch_id uuid, mint_lot_id uuid, unit_id uuid, batch_is_voided boolean,
  activation_mode text, activated_at timestamptz, revoked_at timestamptz, first_scanned_at timestamptz,
  lot_activated_at timestamptz, waiting_lot_ids uuid[], links jsonb
)
language plpgsql set search_path = ''
as $$
#variable_conflict use_column
begin
  perform pg_catalog.set_config('mintage.brand_id', _brand_id::text, true);
  -- Keys are few and tables are large, whatever their statistics say just now.
  perform pg_catalog.set_config('enable_seqscan', 'off', true);
  perform pg_catalog.set_config('plan_cache_mode', 'force_generic_plan', true);
  return query
  select found.key_no, found.product_id, found.mint_batch_id, found.mint_lot_id, found.unit_id,
    found.batch_is_voided, found.activation_mode, found.activated_at, found.revoked_at, found.first_scanned_at,
    found.lot_activated_at, found.waiting_lot_ids, links.links
  from public.find_scanned(_brand_id, _kinds, _ids, _gtins, _texts) as found
  cross join lateral (
    select jsonb_agg(
      jsonb_build_array(l.link_type, l.href, l.title, l.hreflang, l.media_type, l.is_default, l.context)
      order by l.link_type, l.created_at, l.id
    ) as links
    from public.product_link l
    where l.brand_id = _brand_id
      and l.product_id = found.product_id
  ) as links;
end
$$;

-- Some rows of a brand that is being deleted, by the order of a key: the first `_rows` or so from `_from` on, and
-- where to go on (null: that was the last). With the owner's rights: no role of ours may delete what was recorded,
-- and this deletes of no brand that is open. Not for the app.
create function delete_brand_rows(_brand_id uuid, _table text, _from text, _rows integer)
returns table (deleted integer, next_from text)
language plpgsql security definer set search_path = ''
as $$
declare
  keys constant jsonb := '{
    "work_item": ["ref_id", "uuid"], "brand_turn": ["kind", "text"], "invariant_check": ["name", "text"],
    "webhook_delivery": ["id", "uuid"], "webhook": ["id", "uuid"], "clone_signal": ["unit_id", "uuid"],
    "payload_pack": ["id", "uuid"], "export_group": ["id", "uuid"], "scan_event": ["id", "uuid"],
    "scan_receipt": ["scan_id", "text"], "tally_delta": ["id", "bigint"], "brand_tally": ["day", "date"],
    "brand_total": ["metric", "text"], "batch_tally": ["mint_batch_id", "uuid"], "mint_event": ["id", "uuid"],
    "serial_registry": ["serial_number", "text"], "unit_state": ["unit_id", "uuid"], "mint_unit": ["id", "uuid"],
    "mint_lot": ["id", "uuid"], "mint_batch": ["id", "uuid"], "mint_job": ["id", "uuid"],
    "product_batch": ["id", "uuid"], "product_link": ["id", "uuid"], "product_identifier": ["id", "uuid"],
    "product": ["id", "uuid"], "api_key": ["id", "uuid"], "brand_host": ["host", "text"],
    "brand_member": ["user_id", "uuid"]
  }';
  key_name text := keys -> _table ->> 0;
  key_type text := keys -> _table ->> 1;
begin
  if key_name is null then
    raise exception 'no table of a brand: %', _table;
  end if;
  if _rows not between 1 and 100000 then
    raise exception 'rows must be 1 to 100000';
  end if;
  if not exists (select from public.brand where id = _brand_id and deleting_at is not null) then
    raise exception 'this brand is not being deleted';
  end if;
  perform pg_catalog.set_config('mintage.brand_id', _brand_id::text, true);
  perform pg_catalog.set_config('mintage.user_id', '', true);
  perform pg_catalog.set_config('mintage.api_key_id', '', true);
  execute pg_catalog.format(
    'select %1$I::text from public.%2$I where brand_id = $1 and ($2 is null or %1$I >= $2::%3$s) '
    'order by %1$I offset $3 limit 1', key_name, _table, key_type)
    into next_from
    using _brand_id, _from, _rows;
  execute pg_catalog.format(
    'delete from public.%2$I where brand_id = $1 and ($2 is null or %1$I >= $2::%3$s) '
    'and ($3 is null or %1$I < $3::%3$s)', key_name, _table, key_type)
    using _brand_id, _from, next_from;
  get diagnostics deleted = row_count;
  -- More rows of one key than asked for: that key goes whole.
  if deleted = 0 and next_from is not null then
    execute pg_catalog.format('delete from public.%2$I where brand_id = $1 and %1$I = $2::%3$s', key_name, _table, key_type)
      using _brand_id, next_from;
    get diagnostics deleted = row_count;
  end if;
  return next;
end
$$;

-- Row-level security: on every brand table, forced, one policy each.
do $policies$
declare
  table_name text;
begin
  foreach table_name in array array[
    'product', 'product_identifier', 'product_link', 'product_batch', 'mint_job', 'mint_batch', 'mint_lot', 'mint_unit',
    'unit_state', 'serial_registry', 'mint_event', 'export_group', 'payload_pack', 'scan_event', 'scan_receipt',
    'tally_delta', 'brand_tally', 'brand_total', 'batch_tally', 'webhook', 'webhook_delivery', 'clone_signal'
  ] loop
    execute format('alter table %I enable row level security', table_name);
    execute format('alter table %I force row level security', table_name);
    execute format(
      'create policy own_brand on %I using (brand_id = (select current_brand_id())) with check (brand_id = (select current_brand_id()))',
      table_name);
  end loop;
end
$policies$;

-- A job is executed by its id alone: the service finds its brand by it, and reads all else in that brand.
create policy service_finds on mint_job for select to mintage_service using (true);
-- The folding duty finds the brands that have deltas, and folds each in that brand.
create policy service_finds on tally_delta for select to mintage_service using (true);
-- The sender finds webhooks that something is due for, and reads all else in their brand.
create policy service_finds on webhook for select to mintage_service using (true);
create policy service_finds on webhook_delivery for select to mintage_service using (true);
-- Scans count scans, and tell of clone signals alone.
create policy resolver_counts on tally_delta as restrictive for insert to mintage_resolver
  with check (metric in ('units_activated', 'units_active', 'scans', 'units_scanned'));
create policy resolver_tells on webhook_delivery as restrictive for insert to mintage_resolver
  with check (event_type = 'clone_signal.raised');

-- Privileges. Append-only tables are so by privilege.
revoke all on all tables in schema public from public;
revoke all on all functions in schema public from public;
grant usage on schema public to mintage_app, mintage_service, mintage_resolver, mintage_minter;
grant execute on function has_brand_access(uuid), current_brand_id() to mintage_app, mintage_service, mintage_resolver;
grant execute on function ensure_scan_event_partitions(timestamptz, integer), drop_scan_event_partitions(integer)
  to mintage_service;
grant execute on function ensure_scan_event_partition(timestamptz) to mintage_resolver;

grant execute on function delete_brand_rows(uuid, text, text, integer) to mintage_service;

grant select on brand to mintage_app, mintage_service;
grant select on brand_host to mintage_app, mintage_service, mintage_resolver;
grant insert, update on brand, brand_host to mintage_service;
grant delete on brand to mintage_service;
grant update (name, default_identity_mode, default_activation_mode, strata, gcp_length, print_profile, biz_location,
  read_point, clone_thresholds, redirect_signed_urls) on brand to mintage_app;
grant select (id, name, clone_thresholds, deleting_at) on brand to mintage_resolver;
grant select, insert, update on app_user, user_session to mintage_app, mintage_service;
grant delete on user_session to mintage_service;
grant select, insert, update, delete on brand_member to mintage_app, mintage_service;
grant select, insert, update on api_key to mintage_app, mintage_service;

grant select, insert, update on product, product_identifier, product_batch, mint_job, mint_batch, mint_lot,
  unit_state, export_group, payload_pack to mintage_app, mintage_service;
grant select, insert, update, delete on product_link to mintage_app, mintage_service;
grant select on mint_unit to mintage_app, mintage_service;
grant insert on mint_unit to mintage_minter;
grant select, insert on serial_registry, mint_event, scan_event to mintage_app, mintage_service;
grant delete on mint_job to mintage_service;
grant select, insert, delete on scan_receipt to mintage_service;
grant insert, select (brand_id, id, created_at, day, metric, delta) on tally_delta to mintage_app;
grant select, insert, delete on tally_delta to mintage_service;
grant select on brand_tally, brand_total, batch_tally to mintage_app;
grant select, insert, update on brand_tally, brand_total, batch_tally to mintage_service;
grant select, insert, update, delete on work_item to mintage_app, mintage_service;
grant select, insert, update on brand_turn to mintage_service;
grant select, insert, update on rate_limit to mintage_app, mintage_service;
grant delete on rate_limit to mintage_service;
grant select, insert, update on invariant_check to mintage_service;
grant select, insert, update on webhook, webhook_delivery to mintage_app, mintage_service;
grant delete on webhook, webhook_delivery to mintage_service;
grant select, insert, update, delete on clone_signal to mintage_service;
grant select (brand_id, id, status, event_types) on webhook to mintage_resolver;
grant insert (brand_id, id, webhook_id, event_id, event_type, data, status, next_try_at, created_at)
  on webhook_delivery to mintage_resolver;
grant select, insert, update on clone_signal to mintage_resolver;

-- What a release reads before it serves. The table is there, unless this file was run by hand.
do $history$
begin
  if to_regclass('public.schema_migration') is not null then
    grant select on public.schema_migration to mintage_app, mintage_resolver;
  end if;
end
$history$;

grant select on product, product_identifier, mint_batch, mint_lot, mint_unit, unit_state to mintage_resolver;
grant insert (brand_id, unit_id, activated_at, first_scanned_at, last_scanned_at, scan_count, scanned_on, scans_that_day,
  countries_that_day, travel_s_that_day, last_country, last_country_at) on unit_state to mintage_resolver;
grant update (activated_at, first_scanned_at, last_scanned_at, scan_count, scanned_on, scans_that_day,
  countries_that_day, travel_s_that_day, last_country, last_country_at) on unit_state to mintage_resolver;
grant update (activated_at) on mint_lot to mintage_resolver;
grant insert on scan_event to mintage_resolver;
grant insert (brand_id, day, metric, mint_batch_id, delta) on tally_delta to mintage_resolver;
grant select on product_link to mintage_resolver;
grant execute on function find_scanned(uuid, text[], uuid[], text[], text[]), resolve(uuid, text[], uuid[], text[], text[])
  to mintage_service, mintage_resolver;

-- Where BYPASSRLS cannot be had, COPY is let through by ownership: mint_unit alone is not forced, and its
-- owner may insert into it and no more.
do $minter$
declare
  role_before text := current_setting('role');
  owner_name text := current_user;
begin
  if not (select rolbypassrls from pg_roles where rolname = 'mintage_minter') then
    alter table mint_unit no force row level security;
    grant create on schema public to mintage_minter;
    alter table mint_unit owner to mintage_minter;
    revoke create on schema public from mintage_minter;
    -- As the new owner: a login that inherits nothing from its roles has no say over the table any more.
    set local role mintage_minter;
    revoke all on mint_unit from mintage_minter;
    grant insert on mint_unit to mintage_minter;
    -- Who deletes brands.
    execute format('grant select, delete on mint_unit to %I', owner_name);
    perform set_config('role', role_before, true);
  end if;
end
$minter$;

select ensure_scan_event_partitions(now(), 4);
