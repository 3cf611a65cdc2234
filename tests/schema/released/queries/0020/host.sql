-- name: drop_primary
-- role: mintage_service
update brand_host
set is_primary = false
where brand_id = $1
  and is_primary
  and host <> $2

-- name: set
-- role: mintage_service
-- A host that another brand has is left alone: no row comes back.
insert into brand_host (host, brand_id, base_url, is_primary, verified_at, created_at)
values ($1, $2, $3, $4, $5, $5)
on conflict (host) do update
set base_url = excluded.base_url,
  is_primary = brand_host.is_primary or excluded.is_primary,
  verified_at = coalesce(brand_host.verified_at, excluded.verified_at)
where brand_host.brand_id = excluded.brand_id
returning host, base_url, is_primary, verified_at

-- name: list_newest
select host, base_url, is_primary, verified_at, created_at
from brand_host
where brand_id = $1
  and (created_at, host) < ($2, $3)
order by created_at desc, host desc
limit $4
