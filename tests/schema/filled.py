"""A filled, analysed database for looking at plans: two brands that minted, three more with bare rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from mintage.db.connection import open_database
from mintage.perform import Platform
from mintage.rules.unit_ids import unit_id_bounds, unit_id_high
from mintage.settings import Limits
from tests.schema.catalog import connected
from tests.support.world import GTIN_TABLE, World, build_world

SERIAL_UNITS = 12_000
LOT_UNITS = 6_000
_BARE_ROWS = """
insert into product (brand_id, id, sku, sku_key, name, created_at, updated_at)
select $1, gen_random_uuid(), 'S' || n, 's' || n, 'Thing', now(), now()
from generate_series(1, 400) as n;

insert into product_identifier (
  brand_id, id, product_id, identifier_type, family, identifier_value, value_key, status, created_at
)
select $1, gen_random_uuid(), id, 'gtin', 'gtin', sku, lpad(substr(sku, 2), 14, '0'), 'active', now()
from product
where brand_id = $1
  and name = 'Thing';

insert into mint_job (
  brand_id, id, operation, arguments, arguments_sha256, status, product_id, requested_quantity,
  identity_mode, activation_mode, created_by_type, created_at, updated_at, finished_at
)
select $1, gen_random_uuid(), 'submit_mint_request', '{}', '',
  case when n % 50 = 0 then 'FAILED' else 'COMPLETED' end,
  (select id from product where brand_id = $1 and name = 'Thing' order by id offset n % 40 limit 1),
  10, 'serial', 'first_scan', 'user', now() - n * interval '1 hour', now(), now()
from generate_series(1, 2000) as n;

insert into mint_batch (
  brand_id, id, mint_job_id, product_id, identity_mode, activation_mode, status, gtin14, requested_quantity,
  minted_quantity, unit_id_low, serial_prefix, serial_strata, created_by_type, created_at, updated_at
)
select $1, gen_random_uuid(), id, product_id, 'serial', 'first_scan',
  case status
    when 'FAILED' then 'failed'
    else (array['minted', 'exported', 'printed', 'applied'])[1 + row_number() over () % 4]
  end,
  '00000000000017', 10,
  case status when 'FAILED' then 0 else 10 end, gen_random_uuid(),
  'A' || row_number() over (), 10, 'user', created_at, now()
from mint_job
where brand_id = $1
  and operation = 'submit_mint_request'
  and arguments_sha256 = '';

insert into mint_lot (brand_id, id, mint_batch_id, lot_no, lot_code, gtin14, quantity, first_unit_no)
select $1, gen_random_uuid(), id, 1, 'L' || row_number() over (), gtin14, 10, 0
from mint_batch
where brand_id = $1
  and gtin14 = '00000000000017';

insert into mint_unit (brand_id, id, mint_batch_id, unit_no, serial_number, created_at)
select $1, gen_random_uuid(), $1, n, 'X' || n, now()
from generate_series(1, 8000) as n;

insert into unit_state (brand_id, unit_id, activated_at, scan_count)
select $1, id, now(), 1
from mint_unit
where brand_id = $1
  and mint_batch_id = $1
  and unit_no % 4 = 0;

insert into mint_event (
  brand_id, id, mint_job_id, mint_batch_id, event_type, actor_type, payload, created_at
)
select $1, gen_random_uuid(), mint_job_id, id,
  (array['mint_requested', 'mint_job_started', 'mint_units_created', 'mint_job_completed'])[step],
  'user', '{}', created_at
from mint_batch
cross join generate_series(1, 4) as step
where brand_id = $1
  and gtin14 = '00000000000017';

insert into export_group (
  brand_id, id, mint_batch_id, format, status, pack_count, created_by_type, created_at, completed_at
)
select $1, id, id, 'csv', 'failed', 1, 'user', created_at, null
from mint_batch
where brand_id = $1
  and gtin14 = '00000000000017';

insert into payload_pack (
  brand_id, id, export_group_id, mint_batch_id, product_id, format, pack_index, pack_count, first_unit_no,
  unit_count, status, created_at
)
select $1, gen_random_uuid(), id, id, product_id, 'csv', 1, 1, 0, 10, 'failed', created_at
from mint_batch
where brand_id = $1
  and gtin14 = '00000000000017';

insert into scan_event (brand_id, id, scanned_at, unit_id, outcome, traffic_class)
select $1, gen_random_uuid(), now(), unit_id, 'recorded', 'human'
from unit_state
where brand_id = $1;

insert into tally_delta (brand_id, day, metric, mint_batch_id, delta)
select $1, current_date, 'scans', $1, 1
from generate_series(1, 2000);

insert into work_item (kind, brand_id, ref_id, enqueued_at, runnable_at)
select kind, $1, gen_random_uuid(), now() - n * interval '1 minute',
  now() + case when n % 2 = 0 then interval '1 hour' else interval '0' end
from generate_series(1, 600) as n
cross join unnest(array['mint_job', 'payload_pack']) as kind;
"""


@dataclass(frozen=True)
class Filled:
    """What the plans are asked for: the first brand, its owner, and a batch of each mode."""

    dsn: str
    brand_id: UUID
    owner_id: UUID
    batch: dict[str, Any]
    job_id: UUID
    lot_batch: dict[str, Any]
    lot: dict[str, Any]
    serial: str
    unit_id: UUID
    now: datetime

    @property
    def batch_id(self) -> UUID:
        batch_id: UUID = self.batch["id"]
        return batch_id

    @property
    def gtin14(self) -> str:
        return f"0{GTIN_TABLE}"

    def slice_of_batch(self, first_unit_no: int, count: int) -> tuple[UUID, UUID]:
        """The ids of a slice of the batch, both inclusive."""
        return unit_id_bounds(self.batch["unit_id_low"], SERIAL_UNITS, first_unit_no, count)

    def range_of_batch(self) -> tuple[UUID, UUID]:
        low = self.batch["unit_id_low"]
        return low, unit_id_high(low)

    def range_of_lot(self) -> tuple[UUID, UUID]:
        return unit_id_bounds(
            self.lot_batch["unit_id_low"],
            LOT_UNITS,
            self.lot["first_unit_no"],
            self.lot["quantity"],
        )


async def fill_database(dsn: str) -> Filled:
    """Some 70,000 units, 8,000 batches and 32,000 events of five brands; analysed."""
    database = await open_database(dsn, connections=2, statement_timeout_s=60, application="fill")
    try:
        world = await build_world(Platform(database, Limits()))
        serial_job, lot_job = await _mint(world)
    finally:
        await database.close()
    async with connected(dsn) as connection:
        more = [uuid4() for _ in range(3)]
        for brand_id in more:
            await connection.execute(
                "insert into brand (id, slug, name, created_at) values ($1, $2, 'Brand', now())",
                brand_id,
                f"brand-{brand_id}",
            )
        for brand_id in (world.brand_id, world.other_brand_id, *more):
            for statement in _BARE_ROWS.strip().split(";\n\n"):
                await connection.execute(statement, brand_id)
        await connection.execute("vacuum analyze")
        batch = await connection.fetchrow(
            "select * from mint_batch where mint_job_id = $1", serial_job
        )
        lots = await connection.fetchrow("select * from mint_batch where mint_job_id = $1", lot_job)
        assert batch is not None
        assert lots is not None
        lot = await connection.fetchrow(
            "select * from mint_lot where mint_batch_id = $1 and lot_no = 7", lots["id"]
        )
        unit = await connection.fetchrow(
            "select * from mint_unit where mint_batch_id = $1 and unit_no = 77", batch["id"]
        )
        assert lot is not None
        assert unit is not None
        return Filled(
            dsn=dsn,
            brand_id=world.brand_id,
            owner_id=world.user_ids["owner"],
            batch=dict(batch),
            job_id=serial_job,
            lot_batch=dict(lots),
            lot=dict(lot),
            serial=unit["serial_number"],
            unit_id=unit["id"],
            now=await connection.fetchval("select now()"),
        )


async def _mint(world: World) -> tuple[UUID, UUID]:
    product_id = await world.product(gtin=GTIN_TABLE)
    lots = [{"lot_code": f"LOT-{n}", "qty": LOT_UNITS // 10} for n in range(10)]
    jobs = []
    for changes in ({}, {"identity_mode": "batch", "lots": lots}):
        quantity = LOT_UNITS if changes else SERIAL_UNITS
        answer = await world.submit(product_id, quantity, **changes)
        await world.run(answer["mint_job_id"])
        jobs.append(UUID(str(answer["mint_job_id"])))
    theirs = await world.product("stranger", gtin=GTIN_TABLE)
    answer = await world.rpc(
        "submit_mint_request",
        "stranger",
        product_id=theirs,
        requested_quantity=SERIAL_UNITS,
        identity_mode="serial",
        activation_mode="first_scan",
    )
    await world.run(answer["mint_job_id"])
    return jobs[0], jobs[1]
