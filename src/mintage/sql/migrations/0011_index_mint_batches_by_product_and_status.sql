-- list_mint_batches by product and status at once is one range, however few of a product's batches have it.
create index mint_batch_product_status on mint_batch (brand_id, product_id, status, created_at desc, id desc);
