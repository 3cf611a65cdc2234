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
select user_id, role, email
from brand_member
where brand_id = $1
  and (role = 'owner' or user_id = any ($2::uuid[]))
order by user_id
for update

-- name: insert
insert into brand_member (brand_id, user_id, role, email, created_at, updated_at)
values ($1, $2, $3, $4, $5, $5)
on conflict (brand_id, user_id) do nothing
returning user_id

-- name: update
update brand_member
set
  role = $4,
  email = $5,
  updated_at = $6
where brand_id = $1
  and user_id = $2
  and role = $3

-- name: user_of_subject
select id
from app_user
where issuer = $1
  and subject = $2

-- name: insert_user_of_subject
insert into app_user (id, issuer, subject, created_at, updated_at)
values ($1, $2, $3, $4, $4)
on conflict (issuer, subject) where issuer is not null do nothing
returning id

-- name: remove
delete from brand_member
where brand_id = $1
  and user_id = $2
  and role = $3

-- name: list_newest
select
  brand_member.user_id as id,
  coalesce(brand_member.email, app_user.email) as email,
  brand_member.role,
  brand_member.created_at
from brand_member
join app_user on app_user.id = brand_member.user_id
where brand_member.brand_id = $1
  and (brand_member.created_at, brand_member.user_id) < ($2, $3)
order by brand_member.created_at desc, brand_member.user_id desc
limit $4

-- name: actors
-- Who has acted, as people know them: members by their e-mail addresses, keys by their names.
(
  select brand_member.user_id as id, coalesce(brand_member.email, app_user.email) as name
  from brand_member
  join app_user on app_user.id = brand_member.user_id
  where brand_member.brand_id = $1
    and coalesce(brand_member.email, app_user.email) is not null
  order by brand_member.created_at desc, brand_member.user_id desc
  limit $2
)
union all
(
  select id, name
  from api_key
  where brand_id = $1
  order by created_at desc, id desc
  limit $2
)
