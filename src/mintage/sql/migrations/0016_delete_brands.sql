-- Brands can be deleted: one that is being deleted is closed, and its rows go in chunks.
alter table brand add column deleting_at timestamptz;

create or replace function has_brand_access(_brand_id uuid) returns boolean
language plpgsql stable set search_path = ''
as $$
declare
  user_id_told uuid := nullif(current_setting('mintage.user_id', true), '')::uuid;
  api_key_id_told uuid := nullif(current_setting('mintage.api_key_id', true), '')::uuid;
begin
  if current_user in ('mintage_service', 'mintage_resolver') then
    return true;
  elsif user_id_told is not null then
    return exists (
      select from public.brand_member
      where brand_id = _brand_id
        and user_id = user_id_told);
  elsif api_key_id_told is not null then
    return exists (
      select from public.api_key
      where brand_id = _brand_id
        and id = api_key_id_told
        and revoked_at is null
        and (expires_at is null or expires_at > now()));
  end if;
  -- The schema's owner, who deletes brands.
  return exists (
    select from pg_catalog.pg_class
    where oid = 'public.brand'::pg_catalog.regclass
      and relowner = current_user::pg_catalog.regrole);
end
$$;

-- Some rows of a brand that is being deleted, by the order of a key: the first `_rows` or so from `_from` on, and
-- where to go on (null: that was the last). With the owner's rights: no role of ours may delete what was recorded,
-- and this deletes of no brand that is open. Not for the app.
create function delete_brand_rows(_brand_id uuid, _table text, _from text, _rows integer)
returns table (deleted integer, next_from text)
language plpgsql security definer set search_path = ''
as $$
declare
  keys constant jsonb := '{
    "work_item": ["ref_id", "uuid"], "brand_turn": ["kind", "text"], "invariant_check": ["name", "text"],
    "webhook_delivery": ["id", "uuid"], "webhook": ["id", "uuid"], "clone_signal": ["unit_id", "uuid"],
    "payload_pack": ["id", "uuid"], "export_group": ["id", "uuid"], "scan_event": ["id", "uuid"],
    "scan_receipt": ["scan_id", "text"], "tally_delta": ["id", "bigint"], "brand_tally": ["day", "date"],
    "brand_total": ["metric", "text"], "batch_tally": ["mint_batch_id", "uuid"], "mint_event": ["id", "uuid"],
    "serial_registry": ["serial_number", "text"], "unit_state": ["unit_id", "uuid"], "mint_unit": ["id", "uuid"],
    "mint_lot": ["id", "uuid"], "mint_batch": ["id", "uuid"], "mint_job": ["id", "uuid"],
    "product_batch": ["id", "uuid"], "product_link": ["id", "uuid"], "product_identifier": ["id", "uuid"],
    "product": ["id", "uuid"], "api_key": ["id", "uuid"], "brand_host": ["host", "text"],
    "brand_member": ["user_id", "uuid"]
  }';
  key_name text := keys -> _table ->> 0;
  key_type text := keys -> _table ->> 1;
begin
  if key_name is null then
    raise exception 'no table of a brand: %', _table;
  end if;
  if _rows not between 1 and 100000 then
    raise exception 'rows must be 1 to 100000';
  end if;
  if not exists (select from public.brand where id = _brand_id and deleting_at is not null) then
    raise exception 'this brand is not being deleted';
  end if;
  perform pg_catalog.set_config('mintage.brand_id', _brand_id::text, true);
  perform pg_catalog.set_config('mintage.user_id', '', true);
  perform pg_catalog.set_config('mintage.api_key_id', '', true);
  execute pg_catalog.format(
    'select %1$I::text from public.%2$I where brand_id = $1 and ($2 is null or %1$I >= $2::%3$s) '
    'order by %1$I offset $3 limit 1', key_name, _table, key_type)
    into next_from
    using _brand_id, _from, _rows;
  execute pg_catalog.format(
    'delete from public.%2$I where brand_id = $1 and ($2 is null or %1$I >= $2::%3$s) '
    'and ($3 is null or %1$I < $3::%3$s)', key_name, _table, key_type)
    using _brand_id, _from, next_from;
  get diagnostics deleted = row_count;
  -- More rows of one key than asked for: that key goes whole.
  if deleted = 0 and next_from is not null then
    execute pg_catalog.format('delete from public.%2$I where brand_id = $1 and %1$I = $2::%3$s', key_name, _table, key_type)
      using _brand_id, next_from;
    get diagnostics deleted = row_count;
  end if;
  return next;
end
$$;

revoke all on function delete_brand_rows(uuid, text, text, integer) from public;
grant execute on function delete_brand_rows(uuid, text, text, integer) to mintage_service;
grant delete on brand to mintage_service;

-- Where the minter owns mint_unit, the schema's owner is let delete there.
do $minter$
declare
  role_before text := current_setting('role');
  owner_name text := current_user;
begin
  if not (select rolbypassrls from pg_roles where rolname = 'mintage_minter') then
    set local role mintage_minter;
    execute format('grant select, delete on mint_unit to %I', owner_name);
    perform set_config('role', role_before, true);
  end if;
end
$minter$;
