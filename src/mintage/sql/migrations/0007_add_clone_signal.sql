-- The clone signal of units, the end of old scans, and links that hold in a context.

alter table product_link add column context text check (char_length(context) between 1 and 64);

alter table unit_state
  add column scanned_on         date,
  add column scans_that_day     integer not null default 0,
  add column countries_that_day text[],
  add column travel_s_that_day  integer,
  add column last_country       text,
  add column last_country_at    timestamptz;

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
revoke all on function drop_scan_event_partitions(integer) from public;
grant execute on function drop_scan_event_partitions(integer) to mintage_service;

create or replace function resolve(_brand_id uuid, _kinds text[], _ids uuid[], _gtins text[], _texts text[])
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
