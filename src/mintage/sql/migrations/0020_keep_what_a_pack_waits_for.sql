-- The packs of a group are written with the brand's settings of its request; null: it was asked for before this.
alter table export_group add column brand_settings jsonb;
-- Lapses that were counted, so that each is taken off once; how often in a row an item could not be done yet.
alter table work_item
  add column lapsed_epochs bigint[] not null default '{}',
  add column postponed integer not null default 0;
