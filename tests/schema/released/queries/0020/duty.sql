-- name: make_scan_partitions
-- role: mintage_service
select ensure_scan_event_partitions(clock_timestamp(), 4)

-- name: all_brands
-- role: mintage_service
select id, slug
from brand
where deleting_at is null
order by slug, id
