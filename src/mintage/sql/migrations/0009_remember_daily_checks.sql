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

revoke all on invariant_check from public;
grant select, insert, update on invariant_check to mintage_service;
