-- name: by_email
select
  id,
  email,
  password_hash,
  created_at,
  updated_at
from app_user
where email_key = $1

-- name: of_session
select
  app_user.id,
  app_user.email,
  app_user.password_hash,
  app_user.created_at,
  app_user.updated_at,
  user_session.created_at as started_at
from user_session
join app_user on app_user.id = user_session.user_id
where user_session.id = $1
  and user_session.user_id = $2
  and user_session.ended_at is null
  and user_session.expires_at > $3

-- name: visitor
-- A row for each of the visitor's brands, the newest first; one of nulls where there is none. $3 is the time
-- that a test has pinned.
select app_user.email, brand.id, brand.slug, brand.name, brand_member.role
from user_session
join app_user on app_user.id = user_session.user_id
left join (
  brand_member join brand on brand.id = brand_member.brand_id
) on brand_member.user_id = app_user.id
where user_session.id = $1
  and user_session.user_id = $2
  and user_session.ended_at is null
  and user_session.expires_at > coalesce($3::timestamptz, statement_timestamp())
order by brand.created_at desc nulls last, brand.id desc
limit $4

-- name: insert_session
insert into user_session (id, user_id, refresh_hash, created_at, refreshed_at, expires_at)
values ($1, $2, $3, $4, $4, $5)

-- name: rotate_session
update user_session
set
  refresh_hash = $3,
  refreshed_at = $4,
  expires_at = $5
from app_user
where user_session.id = $1
  and user_session.refresh_hash = $2
  and user_session.ended_at is null
  and user_session.expires_at > $4
  and app_user.id = user_session.user_id
returning
  app_user.id,
  app_user.email,
  app_user.password_hash,
  app_user.created_at,
  app_user.updated_at,
  user_session.created_at as started_at

-- name: session
select user_id, refresh_hash, ended_at
from user_session
where id = $1

-- name: end_session
update user_session
set
  ended_at = $3,
  end_reason = $2
where id = $1
  and ended_at is null

-- name: end_all_sessions
update user_session
set
  ended_at = $2,
  end_reason = 'signed_out'
where user_id = $1
  and ended_at is null

-- name: end_other_sessions
update user_session
set
  ended_at = $3,
  end_reason = 'signed_out'
where user_id = $1
  and id <> $2
  and ended_at is null

-- name: brands_of_user
select brand_id
from brand_member
where user_id = $1
order by brand_id
limit $2

-- name: remove_old_sessions
-- role: mintage_service
delete from user_session
where id = any (array(
  select id
  from user_session
  where expires_at < clock_timestamp() - make_interval(days => $1::integer)
  order by id
  limit $2
))
