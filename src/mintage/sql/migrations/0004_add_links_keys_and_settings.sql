-- Links of products, API keys in use, settings of brands, users of a foreign issuer; indexes of the lists.

create table product_link (
  brand_id   uuid not null,
  id         uuid not null,
  product_id uuid not null,
  link_type  text not null,
  href       text not null check (href ~ '^https://' and char_length(href) <= 2000),
  title      text not null check (char_length(title) between 1 and 200),
  hreflang   text,
  media_type text,
  is_default boolean not null default false,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (brand_id, id),
  foreign key (brand_id, product_id) references product (brand_id, id)
);
create unique index product_link_default on product_link (brand_id, product_id) where is_default;
create index product_link_newest on product_link (brand_id, product_id, created_at desc, id desc);
alter table product_link enable row level security;
alter table product_link force row level security;
create policy own_brand on product_link
  using (brand_id = (select current_brand_id()))
  with check (brand_id = (select current_brand_id()));
revoke all on product_link from public;
grant select, insert, update, delete on product_link to mintage_app, mintage_service;

alter table api_key add column last_used_at timestamptz;
create index api_key_newest on api_key (brand_id, created_at desc, id desc);

alter table brand
  add column gcp_length integer check (gcp_length between 6 and 12),
  add column print_profile text,
  add column biz_location text,
  add column read_point text,
  add column clone_thresholds jsonb not null default '{}' check (jsonb_typeof(clone_thresholds) = 'object'),
  add column redirect_signed_urls boolean not null default false;
grant update (gcp_length, print_profile, biz_location, read_point, clone_thresholds, redirect_signed_urls)
  on brand to mintage_app;

-- An account is one of ours, with e-mail address and password, or a user of a foreign issuer.
alter table app_user
  alter column email drop not null,
  alter column email_key drop not null,
  alter column password_hash drop not null,
  add column issuer text collate "C",
  add column subject text collate "C",
  add constraint app_user_is_of_one_kind check (
    case
      when issuer is null then num_nulls(email, email_key, password_hash) = 0 and subject is null
      else num_nonnulls(email, email_key, password_hash) = 0 and subject is not null
    end
  );
create unique index app_user_subject on app_user (issuer, subject) where issuer is not null;
alter table brand_member add column email text;

create index brand_member_newest on brand_member (brand_id, created_at desc, user_id desc);
create index brand_host_newest on brand_host (brand_id, created_at desc, host desc);
create index product_newest on product (brand_id, created_at desc, id desc);
create index product_commercial_status on product (brand_id, commercial_status, created_at desc, id desc);
create index product_mint_readiness_status on product (brand_id, mint_readiness_status, created_at desc, id desc);
create index product_batch_newest on product_batch (brand_id, created_at desc, id desc);
create index product_batch_product on product_batch (brand_id, product_id, created_at desc, id desc);
create index product_batch_status on product_batch (brand_id, status, created_at desc, id desc);
