-- name: insert
insert into api_key (brand_id, id, client_id, secret_hash, name, scopes, created_by, created_at, expires_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: lock
select client_id, name, scopes, expires_at, revoked_at
from api_key
where brand_id = $1
  and id = $2
for update

-- name: set_secret
update api_key
set secret_hash = $3
where brand_id = $1
  and id = $2
  and revoked_at is null

-- name: revoke
update api_key
set revoked_at = $3
where brand_id = $1
  and id = $2
  and revoked_at is null

-- name: list_newest
select id, client_id, name, scopes, created_by, created_at, expires_at, revoked_at, last_used_at
from api_key
where brand_id = $1
  and (created_at, id) < ($2, $3)
order by created_at desc, id desc
limit $4

-- name: by_client_id
select brand_id, id, secret_hash
from api_key
where client_id = $1

-- name: use
-- The row decides once more: the secret may have been replaced, and the key revoked, since it was read.
update api_key
set last_used_at = $4
where brand_id = $1
  and id = $2
  and secret_hash = $3
  and revoked_at is null
  and (expires_at is null or expires_at > $4)
returning scopes, expires_at
