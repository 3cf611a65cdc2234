-- A brand is closed, emptied and removed. Rows go by delete_brand_rows, which is in the schema.

-- name: find
-- role: mintage_service
select id, deleting_at
from brand
where slug = $1

-- name: work_under_way
-- role: mintage_service
-- Held, so that none is claimed meanwhile; a claim or a closing is waited for.
select ref_id
from work_item
where brand_id = $1
  and kind = 'mint_job'
order by kind, ref_id
for update

-- name: close
-- role: mintage_service
update brand
set deleting_at = clock_timestamp()
where id = $1
  and deleting_at is null

-- name: end_webhooks
-- role: mintage_service
update webhook
set status = 'disabled',
  disabled_reason = 'gone',
  disabled_at = clock_timestamp()
where brand_id = $1
  and status = 'active'

-- name: delete_rows
-- role: mintage_service
select deleted, next_from
from delete_brand_rows($1, $2, $3, $4)

-- name: remove
-- role: mintage_service
delete from brand
where id = $1
  and deleting_at is not null
