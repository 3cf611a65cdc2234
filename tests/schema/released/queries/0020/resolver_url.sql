-- name: primary_base_url
select base_url
from brand_host
where brand_id = $1
  and is_primary
