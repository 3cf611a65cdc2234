-- What the resolver's role may write is what its statements write: it undoes no revocation.
revoke insert, update on unit_state from mintage_resolver;
grant insert (brand_id, unit_id, activated_at, first_scanned_at, last_scanned_at, scan_count, scanned_on, scans_that_day,
  countries_that_day, travel_s_that_day, last_country, last_country_at) on unit_state to mintage_resolver;
grant update (activated_at, first_scanned_at, last_scanned_at, scan_count, scanned_on, scans_that_day,
  countries_that_day, travel_s_that_day, last_country, last_country_at) on unit_state to mintage_resolver;
revoke insert on tally_delta, webhook_delivery from mintage_resolver;
grant insert (brand_id, day, metric, mint_batch_id, delta) on tally_delta to mintage_resolver;
grant insert (brand_id, id, webhook_id, event_id, event_type, data, status, next_try_at, created_at)
  on webhook_delivery to mintage_resolver;
create policy resolver_counts on tally_delta as restrictive for insert to mintage_resolver
  with check (metric in ('units_activated', 'units_active', 'scans', 'units_scanned'));
create policy resolver_tells on webhook_delivery as restrictive for insert to mintage_resolver
  with check (event_type = 'clone_signal.raised');

revoke select on brand from mintage_resolver;
grant select (id, name, clone_thresholds, deleting_at) on brand to mintage_resolver;

-- Attached, a new month waits for no reader, and no recorder of scans waits for it; whoever must wait all the
-- same gives up soon, and is asked for again.
create or replace function ensure_scan_event_partitions(_from timestamptz, _months integer) returns void
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
revoke all on function ensure_scan_event_partition(timestamptz) from public;
grant execute on function ensure_scan_event_partition(timestamptz) to mintage_resolver;
