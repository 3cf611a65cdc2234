-- Distributes the schema by brand_id with Citus: `mintage migrate --distribute`, in one transaction. Written by
-- Citus's documentation, for version 12 and later; not tried on a cluster.

-- Tables reference each other: one after the other on every node.
set local citus.multi_shard_modify_mode to 'sequential';
-- Which brand a transaction is in is told to the nodes that it reaches.
set local citus.propagate_set_commands to 'local';

-- On every node, whole: what is asked before a brand is known, and what row-level security asks everywhere.
select create_reference_table('brand');
select create_reference_table('brand_host');
select create_reference_table('app_user');
select create_reference_table('user_session');
select create_reference_table('brand_member');
select create_reference_table('api_key');

-- By brand: a brand's rows lie together. What is referenced comes first.
select create_distributed_table('product', 'brand_id');
select create_distributed_table('product_identifier', 'brand_id', colocate_with => 'product');
select create_distributed_table('product_link', 'brand_id', colocate_with => 'product');
select create_distributed_table('product_batch', 'brand_id', colocate_with => 'product');
select create_distributed_table('mint_job', 'brand_id', colocate_with => 'product');
select create_distributed_table('mint_batch', 'brand_id', colocate_with => 'product');
select create_distributed_table('mint_lot', 'brand_id', colocate_with => 'product');
select create_distributed_table('mint_unit', 'brand_id', colocate_with => 'product');
select create_distributed_table('unit_state', 'brand_id', colocate_with => 'product');
select create_distributed_table('serial_registry', 'brand_id', colocate_with => 'product');
select create_distributed_table('mint_event', 'brand_id', colocate_with => 'product');
select create_distributed_table('export_group', 'brand_id', colocate_with => 'product');
select create_distributed_table('payload_pack', 'brand_id', colocate_with => 'product');
-- With its months, those that are made later too.
select create_distributed_table('scan_event', 'brand_id', colocate_with => 'product');
select create_distributed_table('scan_receipt', 'brand_id', colocate_with => 'product');
select create_distributed_table('tally_delta', 'brand_id', colocate_with => 'product');
select create_distributed_table('brand_tally', 'brand_id', colocate_with => 'product');
select create_distributed_table('brand_total', 'brand_id', colocate_with => 'product');
select create_distributed_table('batch_tally', 'brand_id', colocate_with => 'product');
select create_distributed_table('webhook', 'brand_id', colocate_with => 'product');
select create_distributed_table('webhook_delivery', 'brand_id', colocate_with => 'product');
select create_distributed_table('clone_signal', 'brand_id', colocate_with => 'product');

-- On the coordinator alone: the queue is one, and locked row by row.
select citus_add_local_table_to_metadata('work_item');
select citus_add_local_table_to_metadata('brand_turn');
select citus_add_local_table_to_metadata('invariant_check');
select citus_add_local_table_to_metadata('rate_limit');
