-- What stands in for Citus: its functions' signatures, and those of its rules that our schema could break.
create schema citus;
create type citus.distribution_type as enum ('hash', 'range', 'append');
create table pg_dist_node (nodeid integer primary key, isactive boolean, noderole text);
create table pg_dist_partition (logicalrelid regclass primary key, partmethod text, colocated_with text);
insert into pg_dist_node values (1, true, 'primary');

create function create_distributed_table(
  table_name regclass, distribution_column text, distribution_type citus.distribution_type default 'hash',
  colocate_with text default 'default', shard_count integer default null
) returns void
language plpgsql
as $$
begin
  if exists (
    select
    from pg_index
    where indrelid = table_name
      and indisunique
      and not exists (
        select
        from pg_attribute
        where attrelid = table_name
          and attname = distribution_column
          and attnum = any (indkey::smallint[])
      )
  ) then
    raise exception 'cannot create constraint on "%": a unique key lacks the distribution column', table_name;
  end if;
  if exists (
    select
    from pg_constraint
    where contype = 'f'
      and conrelid = table_name
      and confrelid not in (select logicalrelid from pg_dist_partition)
  ) then
    raise exception 'cannot create foreign key constraint: "%" references a table that is not distributed', table_name;
  end if;
  if colocate_with <> 'default' and not exists (
    select from pg_dist_partition where logicalrelid = colocate_with::regclass and partmethod = 'hash'
  ) then
    raise exception 'relation % is not distributed', colocate_with;
  end if;
  insert into pg_dist_partition values (table_name, 'hash', colocate_with);
end
$$;

create function create_reference_table(table_name regclass) returns void
language plpgsql
as $$
begin
  if exists (
    select
    from pg_constraint
    where contype = 'f'
      and conrelid = table_name
      and confrelid not in (select logicalrelid from pg_dist_partition where partmethod = 'reference')
  ) then
    raise exception '"%" references a table that is no reference table', table_name;
  end if;
  insert into pg_dist_partition values (table_name, 'reference', null);
end
$$;

create function citus_add_local_table_to_metadata(table_name regclass, cascade_via_foreign_keys boolean default false)
returns void
language sql
as 'insert into pg_dist_partition values (table_name, ''local'', null)';
