-- Rate limits that all processes share. What a crash of the server forgets costs nothing: no WAL is written.

create unlogged table rate_limit (
  caller_key   bytea primary key check (octet_length(caller_key) = 32),
  paid_back_at timestamptz not null,
  granted      integer not null
) with (fillfactor = 50);
revoke all on rate_limit from public;
grant select, insert, update on rate_limit to mintage_app, mintage_service;
grant delete on rate_limit to mintage_service;
