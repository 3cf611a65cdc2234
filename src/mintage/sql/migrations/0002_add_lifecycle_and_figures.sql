-- Lifecycle of batches and jobs, revoked units, and the figures that follow them.

-- What else is counted. A figure is as of the time at which its oldest delta that waits was written.
alter table tally_delta drop constraint tally_delta_metric_check;
alter table tally_delta add constraint tally_delta_metric_check check (metric in (
  'units_minted', 'units_activated', 'scans', 'units_active', 'units_revoked', 'units_scanned', 'units_requested',
  'batches_in_progress', 'batches_minted', 'batches_failed', 'batches_voided', 'jobs_queued', 'jobs_failed',
  'packs_completed'
));
alter table tally_delta add column created_at timestamptz not null default clock_timestamp();

create table brand_total (
  brand_id uuid not null,
  metric   text collate "C" not null,
  value    bigint not null,
  primary key (brand_id, metric)
);
alter table brand_total enable row level security;
alter table brand_total force row level security;
create policy own_brand on brand_total
  using (brand_id = (select current_brand_id()))
  with check (brand_id = (select current_brand_id()));
revoke all on brand_total from public;
grant select on brand_total to mintage_app;
grant select, insert, update on brand_total to mintage_service;
grant select (brand_id, id, created_at) on tally_delta to mintage_app;

-- Preflights are kept for a while, unless they are used.
create index mint_job_preflighted on mint_job (created_at, brand_id) where status = 'PREFLIGHTED';
grant delete on mint_job to mintage_service;

-- What happened before this was counted: as deltas, which the next fold takes in. Brand by brand as the
-- service, for row-level security holds for the owner of the tables too.
do $counting$
declare
  role_before text := current_setting('role');
  counted_brand record;
begin
  perform set_config('role', 'mintage_service', true);
  for counted_brand in select id from brand order by id loop
    perform set_config('mintage.brand_id', counted_brand.id::text, true);
    insert into brand_total (brand_id, metric, value)
    select brand_id, metric, sum(value)
    from brand_tally
    where brand_id = counted_brand.id
    group by brand_id, metric;
    insert into tally_delta (brand_id, day, metric, mint_batch_id, delta)
    select counted_brand.id, (now() at time zone 'UTC')::date, counted.metric, batch.id, counted.delta
    from mint_batch as batch
    join mint_job as job on job.brand_id = batch.brand_id and job.id = batch.mint_job_id
    cross join lateral (
      select
        count(*) filter (where state.revoked_at is not null) as revoked,
        count(*) filter (
          where state.revoked_at is null
            and (batch.activation_mode = 'active_at_mint' or state.activated_at is not null or lot.activated_at is not null)
        ) as active,
        count(*) filter (where state.scan_count > 0) as scanned
      from mint_unit as unit
      left join unit_state as state on state.brand_id = unit.brand_id and state.unit_id = unit.id
      left join mint_lot as lot
        on lot.brand_id = unit.brand_id
        and lot.mint_batch_id = batch.id
        and unit.unit_no >= lot.first_unit_no
        and unit.unit_no < lot.first_unit_no + lot.quantity
        and lot.activated_at is not null
      where unit.brand_id = batch.brand_id
        and unit.id >= batch.unit_id_low
        and unit.id <= (left(batch.unit_id_low::text, 19) || 'bfff-ffffffffffff')::uuid
    ) as units
    cross join lateral (
      values
        (case
          when batch.status in ('draft', 'queued', 'processing') then 'batches_in_progress'
          when batch.status in ('failed', 'voided') then 'batches_' || batch.status
          else 'batches_minted'
        end, 1::bigint),
        ('units_requested', case batch.status
          when 'voided' then 0
          when 'failed' then batch.minted_quantity
          else batch.requested_quantity
        end),
        ('units_active', units.active),
        ('units_revoked', units.revoked),
        ('units_scanned', units.scanned),
        ('jobs_queued', (job.status = 'QUEUED')::integer),
        ('jobs_failed', (job.status = 'FAILED')::integer),
        ('packs_completed', (
          select count(*)
          from payload_pack as pack
          where pack.brand_id = batch.brand_id
            and pack.mint_batch_id = batch.id
            and pack.status = 'completed'
        ))
    ) as counted (metric, delta)
    where batch.brand_id = counted_brand.id
      and counted.delta <> 0;
  end loop;
  perform set_config('mintage.brand_id', '', true);
  perform set_config('role', role_before, true);
end
$counting$;
