-- name: insert_event
insert into mint_event (
  brand_id, id, mint_job_id, mint_batch_id, event_type, actor_type, actor_id, payload, created_at
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
