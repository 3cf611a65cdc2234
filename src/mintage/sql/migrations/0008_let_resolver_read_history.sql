-- A resolver whose login has the resolver's role alone looks, like any process, whether the schema is current.
do $history$
begin
  if to_regclass('public.schema_migration') is not null then
    grant select on public.schema_migration to mintage_resolver;
  end if;
end
$history$;
