-- name: read
-- A brand's first page in one statement: each costs a round trip and looks whether the caller is a member. The
-- figures are those of tally.read, the days from $2 those of scan_event.activity before they are summed; of the
-- events sign-ins are told if $3, and so is who acted; scans since $4 that look like a copy's, the newest of each severity. With limits
-- or types as parameters PostgreSQL would plan it anew each time, which costs twice what it does.
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
      select id, mint_batch_id, event_type, actor_type, actor_id, payload, created_at
      from mint_event
      where brand_id = $1
        and ($3::boolean or event_type not in ('signed_in', 'sign_in_failed'))
      order by created_at desc, id desc
      limit 8
    ) as event
  ) as events,
  (
    select coalesce(jsonb_object_agg(actor.id, actor.name), '{}')
    from (
      (
        select brand_member.user_id as id, coalesce(brand_member.email, app_user.email) as name
        from brand_member
        join app_user on app_user.id = brand_member.user_id
        where $3::boolean
          and brand_member.brand_id = $1
          and coalesce(brand_member.email, app_user.email) is not null
        order by brand_member.created_at desc, brand_member.user_id desc
        limit 200
      )
      union all
      (
        select id, name
        from api_key
        where $3::boolean
          and brand_id = $1
        order by created_at desc, id desc
        limit 200
      )
    ) as actor
  ) as names,
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
