-- The daily checks of the invariants: which is due, and what came of it.

-- name: hold_turn
-- role: mintage_service
-- One worker at a time looks for what is due; another one does without.
select pg_try_advisory_xact_lock(hashtextextended('mintage invariant_check', 0)) as is_held

-- name: claim
-- role: mintage_service
-- Nothing is due while a check is under way that began within $3 seconds: one of all at a time.
with due as (
  select
    brand.id as brand_id,
    wanted.name,
    held.started_at
  from brand
  cross join unnest($1::text[]) as wanted (name)
  left join invariant_check as held on held.brand_id = brand.id and held.name = wanted.name
  where brand.deleting_at is null
    and (held.started_at is null or held.started_at < clock_timestamp() - make_interval(secs => $2))
    and not exists (
      select
      from invariant_check as running
      where running.finished_at is null
        and running.started_at > clock_timestamp() - make_interval(secs => $3)
    )
  order by held.started_at nulls first, brand.id, wanted.name
  limit 1
)
insert into invariant_check (brand_id, name, started_at)
select brand_id, name, clock_timestamp()
from due
on conflict (brand_id, name) do update
set
  started_at = excluded.started_at,
  finished_at = null,
  broken_rows = null
returning brand_id, name, started_at

-- name: close
-- role: mintage_service
update invariant_check
set
  finished_at = clock_timestamp(),
  broken_rows = $4
where brand_id = $1
  and name = $2
  and started_at = $3
  and finished_at is null

-- name: go_easy
-- role: mintage_service
-- A check takes one core of the server, and leaves no plan to the compiler.
select
  set_config('max_parallel_workers_per_gather', '0', true) as parallel_workers,
  set_config('jit', 'off', true) as jit
