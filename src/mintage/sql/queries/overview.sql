-- name: read
-- A brand's first page in one statement: each costs a round trip and looks whether the caller is a member. The
-- figures are those of tally.read, the days from $2 those of scan_event.activity before they are summed; of the
-- events those of the types $3 are left out; scans since $4 that look like a copy's, the newest of each severity.
select
  coalesce(
    (
      select created_at
      from tally_delta
      where brand_id = $1
      order by id
      limit 1
    ),
    statement_timestamp()
  ) as as_of,
  (
    select coalesce(jsonb_object_agg(metric, value), '{}')
    from brand_total
    where brand_id = $1
  ) as totals,
  (
    select coalesce(jsonb_agg(jsonb_build_array(day, metric, value)), '[]')
    from brand_tally
    where brand_id = $1
      and day >= $2::date
  ) as folded,
  (
    select coalesce(jsonb_agg(jsonb_build_array(waiting.day, waiting.metric, waiting.value)), '[]')
    from (
      select day, metric, sum(delta) as value
      from tally_delta
      where brand_id = $1
        and day >= $2::date
      group by day, metric
    ) as waiting
  ) as waiting,
  (
    select coalesce(jsonb_agg(to_jsonb(event) order by event.created_at desc, event.id desc), '[]')
    from (
      select id, mint_batch_id, event_type, actor_type, payload, created_at
      from mint_event
      where brand_id = $1
        and event_type <> all ($3::text[])
      order by created_at desc, id desc
      limit 8
    ) as event
  ) as events,
  (
    select coalesce(jsonb_agg(to_jsonb(scan) order by scan.scanned_at desc, scan.id desc), '[]')
    from (
      (
        select id, scanned_at, unit_id, outcome, country, severity
        from scan_event
        where brand_id = $1
          and severity = 'high'
          and scanned_at >= $4
        order by scanned_at desc, id desc
        limit 24
      )
      union all
      (
        select id, scanned_at, unit_id, outcome, country, severity
        from scan_event
        where brand_id = $1
          and severity = 'elevated'
          and scanned_at >= $4
        order by scanned_at desc, id desc
        limit 24
      )
    ) as scan
  ) as signals,
  (
    select coalesce(jsonb_agg(to_jsonb(batch)), '[]')
    from (
      select
        running.id,
        running.status,
        running.requested_quantity,
        running.minted_quantity,
        (select sku from product where brand_id = $1 and id = running.product_id) as product_sku
      from (
        (
          select id, status, requested_quantity, minted_quantity, product_id
          from mint_batch
          where brand_id = $1
            and status = 'processing'
          order by created_at desc, id desc
          limit 10
        )
        union all
        (
          select id, status, requested_quantity, minted_quantity, product_id
          from mint_batch
          where brand_id = $1
            and status = 'queued'
          order by created_at desc, id desc
          limit 10
        )
        limit 10
      ) as running
    ) as batch
  ) as running
