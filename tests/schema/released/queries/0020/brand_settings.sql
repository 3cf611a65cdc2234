-- name: get
select
  name, default_identity_mode, default_activation_mode, strata, gcp_length, print_profile, biz_location,
  read_point, clone_thresholds, redirect_signed_urls
from brand
where id = $1

-- name: lock
select
  name, default_identity_mode, default_activation_mode, strata, gcp_length, print_profile, biz_location,
  read_point, clone_thresholds, redirect_signed_urls
from brand
where id = $1
for no key update

-- name: update
update brand
set
  name = $2,
  default_identity_mode = $3,
  default_activation_mode = $4,
  strata = $5,
  gcp_length = $6,
  print_profile = $7,
  biz_location = $8,
  read_point = $9,
  clone_thresholds = $10,
  redirect_signed_urls = $11
where id = $1
