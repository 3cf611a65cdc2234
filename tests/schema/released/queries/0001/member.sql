-- name: user_of_email
select id
from app_user
where email_key = $1

-- name: insert_user
insert into app_user (id, email, email_key, password_hash, created_at, updated_at)
values ($1, $2, $3, $4, $5, $5)
on conflict (email_key) do nothing
returning id

-- name: lock
select user_id, role
from brand_member
where brand_id = $1
  and (role = 'owner' or user_id = any ($2::uuid[]))
order by user_id
for update

-- name: insert
insert into brand_member (brand_id, user_id, role, created_at, updated_at)
values ($1, $2, $3, $4, $4)
on conflict (brand_id, user_id) do nothing
returning user_id

-- name: update
update brand_member
set
  role = $4,
  updated_at = $5
where brand_id = $1
  and user_id = $2
  and role = $3
