-- list_products by both gate fields, and list_product_batches by product and status, are one range each.
create index product_gates on product (
  brand_id, commercial_status, mint_readiness_status, created_at desc, id desc
);
create index product_batch_product_status on product_batch (
  brand_id, product_id, status, created_at desc, id desc
);
