-- name: insert_event
insert into mint_event (
  brand_id, id, mint_job_id, mint_batch_id, event_type, actor_type, actor_id, payload, created_at
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: insert_events
-- Events of one type; rows told by their batch and payload.
insert into mint_event (
  brand_id, id, mint_job_id, mint_batch_id, event_type, actor_type, actor_id, payload, created_at
)
select $1, told.id, null, told.mint_batch_id, $2, $3, $4, told.payload, $5
from unnest($6::uuid[], $7::uuid[], $8::jsonb[]) as told (id, mint_batch_id, payload)

-- name: list_newest
select id, brand_id, mint_job_id, mint_batch_id, event_type, actor_type, actor_id, payload, created_at
from mint_event
where brand_id = $1
  and created_at >= $2
  and (created_at, id) < ($3, $4)
  and event_type <> all ($6::text[])
order by created_at desc, id desc
limit $5

-- name: list_by_batch
select id, brand_id, mint_job_id, mint_batch_id, event_type, actor_type, actor_id, payload, created_at
from mint_event
where brand_id = $1
  and created_at >= $2
  and (created_at, id) < ($3, $4)
  and mint_batch_id = $6
  and ($7::uuid is null or mint_job_id = $7)
  and ($8::text is null or event_type = $8)
order by created_at desc, id desc
limit $5

-- name: list_by_job
select id, brand_id, mint_job_id, mint_batch_id, event_type, actor_type, actor_id, payload, created_at
from mint_event
where brand_id = $1
  and created_at >= $2
  and (created_at, id) < ($3, $4)
  and mint_job_id = $6
  and ($7::text is null or event_type = $7)
order by created_at desc, id desc
limit $5

-- name: list_by_type
select id, brand_id, mint_job_id, mint_batch_id, event_type, actor_type, actor_id, payload, created_at
from mint_event
where brand_id = $1
  and created_at >= $2
  and (created_at, id) < ($3, $4)
  and event_type = $6
order by created_at desc, id desc
limit $5

-- name: is_recorded_since
-- True if an event of the type tells of the user since then.
select exists (
  select
  from mint_event
  where brand_id = $1
    and event_type = $2
    and created_at > $3
    and payload ->> 'user_id' = $4
)
