-- name: take_share
-- One GCRA step for all processes (rules/rates.py): $2 calls that were made are charged, and of what is
-- then left at most $3 more are given, the fewer the less is left. $4: calls in a period of $5 seconds.
insert into rate_limit as kept (caller_key, paid_back_at, granted)
select
  $1,
  clock_timestamp() + ($2::integer + first.granted) * $5::double precision / $4::integer * interval '1 second',
  first.granted
from (select least($3::integer, ceil(greatest($4::integer - $2::integer, 0) / 8.0)::integer)) as first (granted)
on conflict (caller_key) do update set
  (paid_back_at, granted) = (
    select
      owed.until + share.granted * $5::double precision / $4::integer * interval '1 second',
      share.granted
    from (select clock_timestamp()) as clock (now)
    cross join lateral (
      select
        greatest(kept.paid_back_at, clock.now)
          + $2::integer * $5::double precision / $4::integer * interval '1 second'
    ) as owed (until)
    cross join lateral (
      select
        floor(
          ($5::double precision - extract(epoch from owed.until - clock.now)::double precision + 1e-6)
            / ($5::double precision / $4::integer)
        )
    ) as calls (remaining)
    cross join lateral (
      select least($3::integer, ceil(greatest(calls.remaining, 0) / 8.0)::integer)
    ) as share (granted)
  )
returning
  granted,
  extract(epoch from paid_back_at - clock_timestamp())::double precision as owed_s

-- name: remove_paid_back
-- role: mintage_service
delete from rate_limit
where paid_back_at < clock_timestamp()
