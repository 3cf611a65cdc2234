-- name: now
select clock_timestamp() as now

-- name: of_user
select
  clock_timestamp() as now,
  (select role from brand_member where brand_id = $1 and user_id = $2) as role

-- name: of_api_key
select
  clock_timestamp() as now,
  (
    select scopes
    from api_key
    where brand_id = $1
      and id = $2
      and revoked_at is null
      and (expires_at is null or expires_at > clock_timestamp())
  ) as scopes

-- name: of_service
-- role: mintage_service
select
  clock_timestamp() as now,
  exists (select from brand where id = $1 and deleting_at is null) as is_known
