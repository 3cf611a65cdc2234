"""One row of a brand in every table, written by the superuser: what row-level security is tried on."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID, uuid4

if TYPE_CHECKING:
    from tests.schema.catalog import Connection

_ROWS = """
insert into product (brand_id, id, sku, sku_key, name, created_at, updated_at)
values (:brand, :a, 'SKU-1', 'sku-1', 'Oak table', now(), now());

insert into product_identifier (
  brand_id, id, product_id, identifier_type, family, identifier_value, value_key, status, created_at
)
values (:brand, :a, :a, 'sku', 'sku', 'SKU-1', 'sku-1', 'active', now());

insert into product_link (brand_id, id, product_id, link_type, href, title, created_at, updated_at)
values (:brand, :a, :a, 'gs1:pip', 'https://example.com/oak', 'Oak table', now(), now());

insert into product_batch (brand_id, id, product_id, batch_number, status, created_at, updated_at)
values (:brand, :a, :a, 'PB-1', 'READY', now(), now());

insert into mint_job (
  brand_id, id, operation, arguments, arguments_sha256, status, product_id, identity_mode, activation_mode,
  created_by_type, created_at, updated_at
)
values (
  :brand, :a, 'submit_mint_request', '{}', '', 'QUEUED', :a, 'serial', 'first_scan', 'user', now(), now()
);

insert into mint_batch (
  brand_id, id, mint_job_id, product_id, identity_mode, activation_mode, status, requested_quantity,
  unit_id_low, serial_prefix, serial_strata, created_by_type, created_at, updated_at
)
values (
  :brand, :a, :a, :a, 'serial', 'first_scan', 'queued', 5, :a, 'A0000', 5, 'user', now(), now()
);

insert into mint_lot (brand_id, id, mint_batch_id, lot_no, lot_code, quantity, first_unit_no)
values (:brand, :a, :a, 1, 'LOT-1', 5, 0);

insert into mint_unit (brand_id, id, mint_batch_id, unit_no, serial_number, created_at)
values (:brand, :a, :a, 0, 'SERIAL-1', now());

insert into unit_state (brand_id, unit_id) values (:brand, :a);

insert into serial_registry (brand_id, serial_number, mint_batch_id, unit_no)
values (:brand, 'SERIAL-1', :a, 0);

insert into mint_event (brand_id, id, event_type, actor_type, payload, created_at)
values (:brand, :a, 'mint_requested', 'user', '{}', now());

insert into export_group (
  brand_id, id, mint_batch_id, format, status, pack_count, created_by_type, created_at
)
values (:brand, :a, :a, 'csv', 'pending', 1, 'user', now());

insert into payload_pack (
  brand_id, id, export_group_id, mint_batch_id, product_id, format, pack_index, pack_count, first_unit_no,
  unit_count, status, created_at
)
values (:brand, :a, :a, :a, :a, 'csv', 1, 1, 0, 5, 'pending', now());

insert into scan_event (brand_id, id, scanned_at, outcome, traffic_class)
values (:brand, :a, now(), 'recorded', 'human');

insert into scan_receipt (brand_id, scan_id, outcome, scanned_at, created_at)
values (:brand, 'scan-1', 'recorded', now(), now());

insert into tally_delta (brand_id, day, metric, delta) values (:brand, current_date, 'scans', 1);
insert into brand_tally (brand_id, day, metric, value) values (:brand, current_date, 'scans', 1);
insert into brand_total (brand_id, metric, value) values (:brand, 'scans', 1);
insert into batch_tally (brand_id, mint_batch_id, metric, value) values (:brand, :a, 'scans', 1);

insert into webhook (brand_id, id, url, event_types, status, secret_sealed, created_at)
values (:brand, :a, 'https://example.com/', '{mint_job.failed}', 'active', '', now());

insert into webhook_delivery (
  brand_id, id, webhook_id, event_id, event_type, data, status, next_try_at, created_at
)
values (:brand, :a, :a, :a, 'mint_job.failed', '{}', 'pending', now(), now());

insert into clone_signal (brand_id, unit_id, day, severity, raised_at)
values (:brand, :a, current_date, 'high', now());
"""


async def fill(connection: Connection, brand_id: UUID) -> UUID:
    """One row of the brand in each of its tables; the id that they all have."""
    row_id = uuid4()
    await connection.execute(_ROWS.replace(":brand", f"'{brand_id}'").replace(":a", f"'{row_id}'"))
    return row_id
