-- Resolving many keys of a brand at once.

-- What scanned codes name, many at once: the brand is set here and the keys are looked for in it, in one
-- call. Read by key only. Row-level security holds: the functions run with the rights of their caller.
create function find_scanned(_brand_id uuid, _kinds text[], _ids uuid[], _gtins text[], _texts text[])
returns table (
  key_no integer, product_id uuid, mint_batch_id uuid, mint_lot_id uuid, unit_id uuid, batch_is_voided boolean,
  activation_mode text, activated_at timestamptz, revoked_at timestamptz, first_scanned_at timestamptz,
  lot_activated_at timestamptz, waiting_lot_ids uuid[]
)
language plpgsql set search_path = ''
as $$
#variable_conflict use_column
begin
  if 'serial' = any (_kinds) then
    return query
    select key.no::integer, u.product_id, u.mint_batch_id, null::uuid, u.id, u.is_voided, u.activation_mode,
      s.activated_at, s.revoked_at, s.first_scanned_at, null::timestamptz, null::uuid[]
    from unnest(_kinds, _gtins, _texts) with ordinality as key (kind, gtin14, serial_number, no)
    cross join lateral (
      select u.id, u.mint_batch_id, b.product_id, b.gtin14, b.status = 'voided' as is_voided, b.activation_mode
      from public.mint_unit u
      join public.mint_batch b
        on b.brand_id = u.brand_id
        and b.id = u.mint_batch_id
      where u.brand_id = _brand_id
        and u.serial_number = key.serial_number
      order by u.id
      limit 1
    ) as u
    left join public.unit_state s
      on s.brand_id = _brand_id
      and s.unit_id = u.id
    where key.kind = 'serial'
      and (
        u.gtin14 = key.gtin14
        or exists (
          select
          from public.product_identifier i
          where i.brand_id = _brand_id
            and i.family = 'gtin'
            and i.value_key = key.gtin14
            and i.product_id = u.product_id
        )
      );
  end if;
  if 'unit' = any (_kinds) then
    return query
    select key.no::integer, b.product_id, u.mint_batch_id, l.id, u.id, b.status = 'voided', b.activation_mode,
      s.activated_at, s.revoked_at, s.first_scanned_at, l.activated_at, null::uuid[]
    from unnest(_kinds, _ids) with ordinality as key (kind, id, no)
    join public.mint_unit u
      on u.brand_id = _brand_id
      and u.id = key.id
    join public.mint_batch b
      on b.brand_id = _brand_id
      and b.id = u.mint_batch_id
    left join public.mint_lot l
      on l.brand_id = _brand_id
      and l.mint_batch_id = u.mint_batch_id
      and u.unit_no >= l.first_unit_no
      and u.unit_no < l.first_unit_no + l.quantity
    left join public.unit_state s
      on s.brand_id = _brand_id
      and s.unit_id = u.id
    where key.kind = 'unit';
  end if;
  if 'lot' = any (_kinds) then
    return query
    select key.no::integer, b.product_id, l.mint_batch_id, l.id, null::uuid, b.status = 'voided',
      b.activation_mode, null::timestamptz, null::timestamptz, null::timestamptz, l.activated_at,
      case
        when b.status <> 'voided' and b.activation_mode = 'first_scan' and l.activated_at is null
          then array[l.id]
        else array[]::uuid[]
      end
    from unnest(_kinds, _ids) with ordinality as key (kind, id, no)
    join public.mint_lot l
      on l.brand_id = _brand_id
      and l.id = key.id
    join public.mint_batch b
      on b.brand_id = _brand_id
      and b.id = l.mint_batch_id
    where key.kind = 'lot'
      and (b.status = 'voided' or b.minted_quantity >= l.first_unit_no + l.quantity);
  end if;
  if 'lot_code' = any (_kinds) then
    -- An unknown lot of a known GTIN leads to the product.
    return query
    select key.no::integer, coalesce(l.product_id, p.product_id), l.mint_batch_id, l.id, null::uuid,
      l.is_voided, null::text, null::timestamptz, null::timestamptz, null::timestamptz, null::timestamptz,
      l.waiting_lot_ids
    from unnest(_kinds, _gtins, _texts) with ordinality as key (kind, gtin14, lot_code, no)
    left join lateral (
      with named as (
        select l.id, l.mint_batch_id, b.product_id, b.created_at, b.status = 'voided' as is_voided,
          b.activation_mode = 'first_scan' and l.activated_at is null as is_waiting
        from public.mint_lot l
        join public.mint_batch b
          on b.brand_id = l.brand_id
          and b.id = l.mint_batch_id
        where l.brand_id = _brand_id
          and l.gtin14 = key.gtin14
          and l.lot_code = key.lot_code
          and (b.status = 'voided' or b.minted_quantity >= l.first_unit_no + l.quantity)
      )
      select n.id, n.mint_batch_id, n.product_id, n.is_voided,
        array(
          select w.id
          from named w
          where w.is_waiting
            and not w.is_voided
          order by w.id
        ) as waiting_lot_ids
      from named n
      order by n.is_voided, n.created_at desc, n.mint_batch_id desc, n.id
      limit 1
    ) as l on true
    left join lateral (
      select i.product_id
      from public.product_identifier i
      where i.brand_id = _brand_id
        and i.family = 'gtin'
        and i.value_key = key.gtin14
      order by i.deactivated_at desc nulls first, i.id
      limit 1
    ) as p on true
    where key.kind = 'lot_code'
      and coalesce(l.product_id, p.product_id) is not null;
  end if;
  if 'gtin' = any (_kinds) then
    return query
    select key.no::integer, p.product_id, null::uuid, null::uuid, null::uuid, null::boolean, null::text,
      null::timestamptz, null::timestamptz, null::timestamptz, null::timestamptz, null::uuid[]
    from unnest(_kinds, _gtins) with ordinality as key (kind, gtin14, no)
    cross join lateral (
      select i.product_id
      from public.product_identifier i
      where i.brand_id = _brand_id
        and i.family = 'gtin'
        and i.value_key = key.gtin14
      order by i.deactivated_at desc nulls first, i.id
      limit 1
    ) as p
    where key.kind = 'gtin';
  end if;
  if 'batch' = any (_kinds) then
    return query
    select key.no::integer, b.product_id, b.id, null::uuid, null::uuid, b.status = 'voided', null::text,
      null::timestamptz, null::timestamptz, null::timestamptz, null::timestamptz, null::uuid[]
    from unnest(_kinds, _ids) with ordinality as key (kind, id, no)
    join public.mint_batch b
      on b.brand_id = _brand_id
      and b.id = key.id
    where key.kind = 'batch';
  end if;
  if 'product' = any (_kinds) then
    return query
    select key.no::integer, p.id, null::uuid, null::uuid, null::uuid, null::boolean, null::text,
      null::timestamptz, null::timestamptz, null::timestamptz, null::timestamptz, null::uuid[]
    from unnest(_kinds, _ids) with ordinality as key (kind, id, no)
    join public.product p
      on p.brand_id = _brand_id
      and p.id = key.id
    where key.kind = 'product';
  end if;
end
$$;

create function resolve(_brand_id uuid, _kinds text[], _ids uuid[], _gtins text[], _texts text[])
returns table (
  key_no integer, product_id uuid, mint_batch_id uuid, mint_lot_id uuid, unit_id uuid, batch_is_voided boolean,
  activation_mode text, activated_at timestamptz, revoked_at timestamptz, first_scanned_at timestamptz,
  lot_activated_at timestamptz, waiting_lot_ids uuid[], links jsonb
)
language plpgsql set search_path = ''
as $$
#variable_conflict use_column
begin
  perform pg_catalog.set_config('mintage.brand_id', _brand_id::text, true);
  -- Keys are few and tables are large, whatever their statistics say just now.
  perform pg_catalog.set_config('enable_seqscan', 'off', true);
  perform pg_catalog.set_config('plan_cache_mode', 'force_generic_plan', true);
  return query
  select found.key_no, found.product_id, found.mint_batch_id, found.mint_lot_id, found.unit_id,
    found.batch_is_voided, found.activation_mode, found.activated_at, found.revoked_at, found.first_scanned_at,
    found.lot_activated_at, found.waiting_lot_ids, links.links
  from public.find_scanned(_brand_id, _kinds, _ids, _gtins, _texts) as found
  cross join lateral (
    select jsonb_agg(
      jsonb_build_array(l.link_type, l.href, l.title, l.hreflang, l.media_type, l.is_default)
      order by l.link_type, l.created_at, l.id
    ) as links
    from public.product_link l
    where l.brand_id = _brand_id
      and l.product_id = found.product_id
  ) as links;
end
$$;

revoke all on function find_scanned(uuid, text[], uuid[], text[], text[]), resolve(uuid, text[], uuid[], text[], text[])
  from public;
grant execute on function find_scanned(uuid, text[], uuid[], text[], text[]), resolve(uuid, text[], uuid[], text[], text[])
  to mintage_service, mintage_resolver;
grant select on product_link to mintage_resolver;
