-- name: insert
-- role: mintage_service
insert into brand (id, slug, name, created_at)
values ($1, $2, $3, $4)
on conflict (slug) do nothing
returning id

-- name: insert_host
-- role: mintage_service
insert into brand_host (host, brand_id, base_url, is_primary, verified_at, created_at)
values ($1, $2, $3, true, $4, $4)
on conflict (host) do nothing
returning host

-- name: work_in
-- role: mintage_service
select set_config('mintage.brand_id', $1::text, true)

-- name: of_user
select brand.id, brand.slug, brand.name, brand_member.role, brand.created_at
from brand_member
join brand on brand.id = brand_member.brand_id
where brand_member.user_id = $1
  and (brand.created_at, brand.id) < ($2, $3)
order by brand.created_at desc, brand.id desc
limit $4

-- name: of_api_key
select brand.id, brand.slug, brand.name, null as role, brand.created_at
from api_key
join brand on brand.id = api_key.brand_id
where api_key.brand_id = $1
  and api_key.id = $2
  and 'mint:read' = any (api_key.scopes)
  and api_key.revoked_at is null
  and (api_key.expires_at is null or api_key.expires_at > $3)

-- name: of_service
-- role: mintage_service
select brand.id, brand.slug, brand.name, 'service' as role, brand.created_at
from brand
where (brand.created_at, brand.id) < ($1, $2)
  and brand.deleting_at is null
order by brand.created_at desc, brand.id desc
limit $3
