-- Each look-up of a scanned code is one by its whole key, whatever the planner believes of the tables.

create or replace function find_scanned(_brand_id uuid, _kinds text[], _ids uuid[], _gtins text[], _texts text[])
returns table (
  key_no integer, product_id uuid, mint_batch_id uuid, mint_lot_id uuid, unit_id uuid, batch_is_voided boolean,
  activation_mode text, activated_at timestamptz, revoked_at timestamptz, first_scanned_at timestamptz,
  lot_activated_at timestamptz, waiting_lot_ids uuid[]
)
language plpgsql set search_path = ''
as $$
#variable_conflict use_column
begin
  -- `offset 0` keeps each look-up one by its whole key, whatever the planner believes of the tables: a plan
  -- made while they were empty would read a brand's rows through, until they are analyzed.
  if 'serial' = any (_kinds) then
    return query
    select key.no::integer, b.product_id, u.mint_batch_id, null::uuid, u.id, b.is_voided, b.activation_mode,
      s.activated_at, s.revoked_at, s.first_scanned_at, null::timestamptz, null::uuid[]
    from unnest(_kinds, _gtins, _texts) with ordinality as key (kind, gtin14, serial_number, no)
    cross join lateral (
      select id, mint_batch_id
      from public.mint_unit
      where brand_id = _brand_id
        and serial_number = key.serial_number
      offset 0
    ) as u
    cross join lateral (
      select product_id, gtin14, status = 'voided' as is_voided, activation_mode
      from public.mint_batch
      where brand_id = _brand_id
        and id = u.mint_batch_id
      offset 0
    ) as b
    left join lateral (
      select activated_at, revoked_at, first_scanned_at
      from public.unit_state
      where brand_id = _brand_id
        and unit_id = u.id
      offset 0
    ) as s on true
    where key.kind = 'serial'
      and (
        b.gtin14 = key.gtin14
        or exists (
          select
          from public.product_identifier i
          where i.brand_id = _brand_id
            and i.family = 'gtin'
            and i.value_key = key.gtin14
            and i.product_id = b.product_id
          offset 0
        )
      );
  end if;
  if 'unit' = any (_kinds) then
    return query
    select key.no::integer, b.product_id, u.mint_batch_id, l.id, u.id, b.is_voided, b.activation_mode,
      s.activated_at, s.revoked_at, s.first_scanned_at, l.activated_at, null::uuid[]
    from unnest(_kinds, _ids) with ordinality as key (kind, id, no)
    cross join lateral (
      select id, mint_batch_id, unit_no
      from public.mint_unit
      where brand_id = _brand_id
        and id = key.id
      offset 0
    ) as u
    cross join lateral (
      select product_id, status = 'voided' as is_voided, activation_mode
      from public.mint_batch
      where brand_id = _brand_id
        and id = u.mint_batch_id
      offset 0
    ) as b
    left join lateral (
      select id, activated_at
      from public.mint_lot
      where brand_id = _brand_id
        and mint_batch_id = u.mint_batch_id
        and u.unit_no >= first_unit_no
        and u.unit_no < first_unit_no + quantity
      offset 0
    ) as l on true
    left join lateral (
      select activated_at, revoked_at, first_scanned_at
      from public.unit_state
      where brand_id = _brand_id
        and unit_id = u.id
      offset 0
    ) as s on true
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
    cross join lateral (
      select id, mint_batch_id, activated_at, first_unit_no + quantity as units_end
      from public.mint_lot
      where brand_id = _brand_id
        and id = key.id
      offset 0
    ) as l
    cross join lateral (
      select product_id, status, activation_mode, minted_quantity
      from public.mint_batch
      where brand_id = _brand_id
        and id = l.mint_batch_id
      offset 0
    ) as b
    where key.kind = 'lot'
      and (b.status = 'voided' or b.minted_quantity >= l.units_end);
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
        cross join lateral (
          select product_id, created_at, status, activation_mode, minted_quantity
          from public.mint_batch
          where brand_id = _brand_id
            and id = l.mint_batch_id
          offset 0
        ) as b
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
    cross join lateral (
      select id, product_id, status
      from public.mint_batch
      where brand_id = _brand_id
        and id = key.id
      offset 0
    ) as b
    where key.kind = 'batch';
  end if;
  if 'product' = any (_kinds) then
    return query
    select key.no::integer, p.id, null::uuid, null::uuid, null::uuid, null::boolean, null::text,
      null::timestamptz, null::timestamptz, null::timestamptz, null::timestamptz, null::uuid[]
    from unnest(_kinds, _ids) with ordinality as key (kind, id, no)
    cross join lateral (
      select id
      from public.product
      where brand_id = _brand_id
        and id = key.id
      offset 0
    ) as p
    where key.kind = 'product';
  end if;
end
$$;
