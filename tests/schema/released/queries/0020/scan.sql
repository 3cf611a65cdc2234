-- What a scan changes. Locks are taken in this order: mint_lot, unit_state.

-- name: lots_shared
-- role: mintage_resolver
select id, activated_at
from mint_lot
where brand_id = $1
  and id = any ($2::uuid[])
order by id
for share

-- name: activate_units
-- role: mintage_resolver
-- Each unit is given once.
with scanned as (
  select *
  from unnest($2::uuid[], $3::uuid[], $4::timestamptz[]) as s (unit_id, mint_batch_id, scanned_at)
), activated as (
  insert into unit_state as s (brand_id, unit_id, activated_at)
  select b.brand_id, scanned.unit_id, scanned.scanned_at
  from scanned
  cross join lateral (
    select brand_id
    from mint_batch
    where brand_id = $1
      and id = scanned.mint_batch_id
      and activation_mode = 'first_scan'
      and status <> 'voided'
    offset 0
  ) as b
  order by scanned.unit_id
  on conflict (brand_id, unit_id) do update
  set activated_at = excluded.activated_at
  where s.activated_at is null
    and s.revoked_at is null
  returning s.unit_id
), counted as (
  insert into tally_delta (brand_id, day, metric, mint_batch_id, delta)
  select $1, (scanned.scanned_at at time zone 'UTC')::date, counted.metric, scanned.mint_batch_id, count(*)
  from activated
  join scanned on scanned.unit_id = activated.unit_id
  cross join (values ('units_activated'), ('units_active')) as counted (metric)
  group by 2, counted.metric, scanned.mint_batch_id
)
select unit_id
from activated

-- name: lots_held
-- role: mintage_resolver
select id
from mint_lot
where brand_id = $1
  and id = any ($2::uuid[])
order by id
for no key update

-- name: activate_lots
-- role: mintage_resolver
update mint_lot l
set activated_at = $3
from mint_batch b
where l.brand_id = $1
  and l.id = any ($2::uuid[])
  and l.activated_at is null
  and b.brand_id = l.brand_id
  and b.id = l.mint_batch_id
  and b.activation_mode = 'first_scan'
  and b.status <> 'voided'
  and b.minted_quantity >= l.first_unit_no + l.quantity
returning l.mint_batch_id, l.first_unit_no, l.quantity, b.unit_id_low, b.requested_quantity

-- name: count_lots_activated
-- role: mintage_resolver
-- A unit that was revoked before is activated with its lot, and is not active.
insert into tally_delta (brand_id, day, metric, mint_batch_id, delta)
select
  $1,
  ($2 at time zone 'UTC')::date,
  counted.metric,
  lot.mint_batch_id,
  sum(counted.units)
from unnest($3::uuid[], $4::uuid[], $5::uuid[], $6::integer[])
  as lot (mint_batch_id, unit_id_first, unit_id_last, quantity)
cross join lateral (
  select
    count(*) filter (where s.activated_at is not null) as activated,
    count(*) filter (where s.activated_at is not null or s.revoked_at is not null) as settled
  from unit_state s
  where s.brand_id = $1
    and s.unit_id between lot.unit_id_first and lot.unit_id_last
) as before
cross join lateral (
  values
    ('units_activated', lot.quantity - before.activated),
    ('units_active', lot.quantity - before.settled)
) as counted (metric, units)
where counted.units <> 0
group by counted.metric, lot.mint_batch_id

-- name: store_scans
-- role: mintage_resolver
-- The unit's row is what racing recorders take turns at: what it says after these scans judges them.
with scan as (
  select
    s.*,
    at.scanned_at,
    (at.scanned_at at time zone 'UTC')::date as day,
    max((at.scanned_at at time zone 'UTC')::date) over (partition by s.unit_id) as last_day
  from unnest(
    string_to_array($2, E'\x1f', '')::uuid[], $3::float8[],
    string_to_array($4, E'\x1f', '')::uuid[], string_to_array($5, E'\x1f', '')::uuid[],
    string_to_array($6, E'\x1f', '')::uuid[], string_to_array($7, E'\x1f', '')::uuid[],
    string_to_array($8, E'\x1f', ''), string_to_array($9, E'\x1f', ''),
    string_to_array($10, E'\x1f', ''), string_to_array($11, E'\x1f', ''),
    string_to_array($12, E'\x1f', ''), string_to_array($13, E'\x1f', ''),
    string_to_array($14, E'\x1f', ''), string_to_array($15, E'\x1f', '')
  ) as s (
    id, scanned_s, unit_id, mint_lot_id, mint_batch_id, product_id, outcome, traffic_class,
    ip_prefix, browser, os, device, path, country
  )
  cross join lateral (select to_timestamp(s.scanned_s)) as at (scanned_at)
), counted as (
  insert into tally_delta (brand_id, day, metric, mint_batch_id, delta)
  select $1, day, 'scans', mint_batch_id, count(*)
  from scan
  where outcome <> 'revoked'
  group by day, mint_batch_id
), travelled as (
  select unit_id, extract(epoch from min(scanned_at - before_at))::integer as travel_s
  from (
    select
      unit_id,
      scanned_at,
      country,
      lag(country) over unit_scan as country_before,
      lag(scanned_at) over unit_scan as before_at
    from scan
    where unit_id is not null
      and country is not null
      and day = last_day
    window unit_scan as (partition by unit_id order by scanned_at, id)
  ) as step
  where country <> country_before
  group by unit_id
), seen as (
  insert into unit_state as u (
    brand_id, unit_id, first_scanned_at, last_scanned_at, scan_count, scanned_on, scans_that_day,
    countries_that_day, travel_s_that_day, last_country, last_country_at
  )
  select
    $1,
    scan.unit_id,
    min(scan.scanned_at),
    max(scan.scanned_at),
    count(*),
    min(scan.last_day),
    count(*) filter (where scan.day = scan.last_day),
    array_agg(distinct scan.country) filter (where scan.day = scan.last_day and scan.country is not null),
    min(travelled.travel_s),
    (array_agg(scan.country order by scan.scanned_at desc, scan.id desc) filter (where scan.country is not null))[1],
    max(scan.scanned_at) filter (where scan.country is not null)
  from scan
  left join travelled on travelled.unit_id = scan.unit_id
  where scan.unit_id is not null
  group by scan.unit_id
  order by scan.unit_id
  on conflict (brand_id, unit_id) do update
  set first_scanned_at = least(u.first_scanned_at, excluded.first_scanned_at),
    last_scanned_at = greatest(u.last_scanned_at, excluded.last_scanned_at),
    scan_count = u.scan_count + excluded.scan_count,
    scanned_on = greatest(u.scanned_on, excluded.scanned_on),
    scans_that_day = case
      when u.scanned_on = excluded.scanned_on then u.scans_that_day + excluded.scans_that_day
      when u.scanned_on > excluded.scanned_on then u.scans_that_day
      else excluded.scans_that_day
    end,
    countries_that_day = case
      when u.scanned_on > excluded.scanned_on then u.countries_that_day
      when u.scanned_on = excluded.scanned_on and not u.countries_that_day @> excluded.countries_that_day then (
        select array_agg(distinct country order by country)
        from unnest(u.countries_that_day || excluded.countries_that_day) as both_of (country)
      )
      when u.scanned_on = excluded.scanned_on then coalesce(u.countries_that_day, excluded.countries_that_day)
      else excluded.countries_that_day
    end,
    travel_s_that_day = case
      when u.scanned_on > excluded.scanned_on then u.travel_s_that_day
      else least(
        case when u.scanned_on = excluded.scanned_on then u.travel_s_that_day end,
        excluded.travel_s_that_day,
        case
          when u.last_country <> excluded.last_country
            then least(abs(extract(epoch from excluded.last_country_at - u.last_country_at)), 86400 * 366)::integer
        end
      )
    end,
    last_country = case
      when excluded.last_country_at < u.last_country_at then u.last_country
      else coalesce(excluded.last_country, u.last_country)
    end,
    last_country_at = greatest(u.last_country_at, excluded.last_country_at)
  returning
    u.unit_id, u.scan_count, u.scanned_on, u.scans_that_day, cardinality(u.countries_that_day) as countries_that_day,
    u.travel_s_that_day
), threshold as (
  select t.*
  from brand b
  cross join lateral jsonb_to_record($16::jsonb || b.clone_thresholds) as t (
    scans_a_day_review integer, scans_a_day_elevated integer, scans_a_day_high integer,
    countries_a_day_review integer, countries_a_day_elevated integer, countries_a_day_high integer,
    travel_minutes_review integer, travel_minutes_elevated integer, travel_minutes_high integer
  )
  where b.id = $1
), judged as (
  select
    seen.unit_id,
    seen.scanned_on,
    case
      when seen.scans_that_day >= t.scans_a_day_high
        or seen.countries_that_day >= t.countries_a_day_high
        or seen.travel_s_that_day <= t.travel_minutes_high * 60 then 'high'
      when seen.scans_that_day >= t.scans_a_day_elevated
        or seen.countries_that_day >= t.countries_a_day_elevated
        or seen.travel_s_that_day <= t.travel_minutes_elevated * 60 then 'elevated'
      when seen.scans_that_day >= t.scans_a_day_review
        or seen.countries_that_day >= t.countries_a_day_review
        or seen.travel_s_that_day <= t.travel_minutes_review * 60 then 'review'
      else 'info'
    end as severity
  from seen
  cross join threshold t
), stored as (
  insert into scan_event (
    brand_id, id, scanned_at, unit_id, mint_lot_id, mint_batch_id, product_id, outcome, traffic_class,
    ip_prefix, browser, os, device, path, country, severity
  )
  select
    $1, scan.id, scan.scanned_at, scan.unit_id, scan.mint_lot_id, scan.mint_batch_id, scan.product_id,
    scan.outcome, scan.traffic_class, scan.ip_prefix::cidr, scan.browser, scan.os, scan.device, scan.path,
    scan.country,
    case when judged.scanned_on > scan.day then 'info' else judged.severity end
  from scan
  left join judged on judged.unit_id = scan.unit_id
), raised as (
  -- Only while a webhook wants to know; of a unit and a day each severity is told once, and none below it.
  insert into clone_signal (brand_id, unit_id, day, severity, raised_at)
  select $1, unit_id, scanned_on, severity, clock_timestamp()
  from judged
  where severity <> 'info'
    and exists (
      select
      from webhook
      where webhook.brand_id = $1
        and webhook.status = 'active'
        and 'clone_signal.raised' = any (webhook.event_types)
    )
  order by unit_id
  on conflict (brand_id, unit_id, day) do update
  set severity = excluded.severity,
    raised_at = excluded.raised_at
  where array_position(array['review', 'elevated', 'high'], excluded.severity)
    > array_position(array['review', 'elevated', 'high'], clone_signal.severity)
  returning unit_id, day, severity, raised_at
), signal as materialized (
  select
    gen_random_uuid() as event_id,
    raised.raised_at,
    jsonb_build_object(
      'brand_id', $1, 'unit_id', raised.unit_id, 'mint_batch_id', subject.mint_batch_id,
      'product_id', subject.product_id, 'day', raised.day, 'severity', raised.severity
    ) as data
  from raised
  cross join lateral (
    select mint_batch_id, product_id
    from scan
    where scan.unit_id = raised.unit_id
    limit 1
  ) as subject
), told as (
  insert into webhook_delivery (
    brand_id, id, webhook_id, event_id, event_type, data, status, next_try_at, created_at
  )
  select
    $1, gen_random_uuid(), webhook.id, signal.event_id, 'clone_signal.raised', signal.data, 'pending',
    signal.raised_at, signal.raised_at
  from signal
  join webhook on webhook.brand_id = $1
    and webhook.status = 'active'
    and 'clone_signal.raised' = any (webhook.event_types)
)
-- A unit that has no scans but these was not scanned before.
insert into tally_delta (brand_id, day, metric, mint_batch_id, delta)
select $1, first.day, 'units_scanned', first.mint_batch_id, count(*)
from (
  select
    seen.scan_count,
    scan.mint_batch_id,
    min(scan.day) as day,
    count(*) as scans
  from seen
  join scan on scan.unit_id = seen.unit_id
  group by seen.unit_id, seen.scan_count, scan.mint_batch_id
) as first
where first.scans = first.scan_count
group by first.day, first.mint_batch_id

-- name: ensure_month
-- role: mintage_resolver
select ensure_scan_event_partition($1::timestamptz)
