"""The platform as the first release was: its own statements, in the order in which its programs sent them.

What lay between the statements (Python of that release) is written again here, as little of it as it takes:
ids are drawn in order rather than at random, and units are inserted rather than copied. Not here: what is
asked while the database is brought up to date (`test_upgrade`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from mintage.db.connection import Connection, Database, DatabaseRole, Identity
from mintage.db.queries import Statement
from tests.schema.released_states import queries_of

Step = tuple[str, tuple[object, ...]]
"""A statement by noun and name, and its arguments."""
RELEASE = "0001"
FAR = datetime(9999, 1, 1, tzinfo=UTC)
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
LAST_ID = UUID(int=2**128 - 1)
_INSERT_UNITS = """
insert into mint_unit (brand_id, id, mint_batch_id, unit_no, serial_number, created_at)
select $1, (left($3::uuid::text, 19) || left(tail.hex, 4) || '-' || right(tail.hex, 12))::uuid, $2, unit.no,
  case when $6::text is not null then $6 || lpad(unit.no::text, 7, '0') else brought.serial_number end, $8
from generate_series($4::integer, $4::integer + $5::integer - 1) as unit (no)
cross join lateral (select to_hex(-9223372036854775808 + unit.no::bigint * $9::bigint) as hex) as tail
left join unnest($7::text[]) with ordinality as brought (serial_number, place) on unit.no = $4 + place - 1
"""


def _stride(units: int) -> int:
    """Between the ids of a batch's units in their order: a draw falls on the first of each stratum."""
    return 2**62 // units


def unit_ids(batch: Any, *unit_nos: int) -> list[UUID]:
    """The ids of units of a batch, by its `unit_id_low` and `requested_quantity`."""
    stride = _stride(batch["requested_quantity"])
    return [UUID(int=batch["unit_id_low"].int + no * stride) for no in unit_nos]


@dataclass(frozen=True)
class Job:
    """A job that was submitted, and its batch."""

    id: UUID
    batch_id: UUID


@dataclass
class OldPlatform:
    """Calls of one brand by the statements of the first release."""

    database: Database
    brand_id: UUID
    user_id: UUID
    _counter: int = 0

    @cached_property
    def _statements(self) -> dict[str, Statement]:
        return {f"{each.noun}.{each.name}": each for each in queries_of(RELEASE)}

    def _identity(self, role: str, *, in_brand: bool = True) -> Identity:
        database_role = DatabaseRole(role)
        is_user = database_role is DatabaseRole.APP
        return Identity(
            database_role,
            self.brand_id if in_brand else None,
            user_id=self.user_id if is_user else None,
        )

    async def call(self, name: str, *arguments: object, in_brand: bool = True) -> list[Any]:
        """One statement in a transaction of its own; run again after a deadlock, as every call was."""
        steps = [(name, arguments)]
        (answer,) = await self._together(steps, in_brand=in_brand)
        return answer

    async def _together(self, steps: list[Step], *, in_brand: bool = True) -> list[list[Any]]:
        role = self._statements[steps[0][0]].role
        while True:
            try:
                async with self.database.transaction(
                    self._identity(role, in_brand=in_brand)
                ) as connection:
                    answers = [
                        await self._fetch(connection, name, *arguments) for name, arguments in steps
                    ]
            except asyncpg.DeadlockDetectedError:
                continue
            return answers

    async def _fetch(self, connection: Connection, name: str, *arguments: object) -> list[Any]:
        return list(await connection.fetch(self._statements[name].text, *arguments))

    async def product(self, sku: str, gtin14: str) -> UUID:
        """A product that may be minted, with a GTIN."""
        product_id, now = uuid4(), datetime.now(UTC)
        brand = self.brand_id
        await self._together(
            [
                ("product.insert", (brand, product_id, sku, sku.lower(), "Oak", None, None, now)),
                (
                    "product_identifier.insert",
                    (
                        brand,
                        uuid4(),
                        product_id,
                        "gtin",
                        "gtin",
                        gtin14,
                        gtin14,
                        now,
                        self.user_id,
                    ),
                ),
            ]
        )
        return product_id

    async def submit(
        self,
        product_id: UUID,
        quantity: int,
        *,
        gtin14: str | None = None,
        lots: tuple[tuple[str, int], ...] = (),
        serials: tuple[str, ...] = (),
        pause_s: float = 0.0,
    ) -> Job:
        """A job of `quantity` units: in lots, with brought serials, or with serials of ours."""
        job, now, brand = Job(uuid4(), uuid4()), datetime.now(UTC), self.brand_id
        mode = "batch" if lots else "serial"
        is_ours = not (lots or serials)
        asked = {"requested_quantity": quantity}
        sha256 = hashlib.sha256(str(asked).encode()).digest()
        by = (self.user_id, "user")
        first_unit_nos = [sum(size for _, size in lots[:place]) for place in range(len(lots))]
        operation, event = "submit_mint_request", "mint_requested"
        prefix, strata = (f"P{self._counter + 1:06}", quantity) if is_ours else (None, None)
        status, activation = "QUEUED", "first_scan"
        asked_for = (product_id, None, quantity, mode, activation, *by, now)
        identity = (gtin14, quantity, 0, self._unit_id_low(), prefix, strata, bool(serials))
        batch = (job.batch_id, job.id, product_id, None, mode, activation, "queued", *identity)
        lot_ids, lot_nos = [uuid4() for _ in lots], list(range(1, len(lots) + 1))
        codes, sizes = [code for code, _ in lots], [size for _, size in lots]
        lot_rows = (job.batch_id, gtin14, lot_ids, lot_nos, codes, sizes, first_unit_nos)
        brought = (job.batch_id, list(serials), list(range(len(serials))))
        told = (uuid4(), job.id, job.batch_id, event, "user", self.user_id, asked, now)
        steps: list[Step] = [
            (
                "mint_job.insert",
                (brand, job.id, operation, str(job.id), asked, sha256, status, *asked_for),
            ),
            ("mint_batch.insert", (brand, *batch, *by, now)),
            ("mint_batch.insert_lots", (brand, *lot_rows)),
            ("mint_batch.register_serials", (brand, *brought)),
            ("mint_event.insert_event", (brand, *told)),
            ("work_item.enqueue", ("mint_job", brand, job.id, pause_s)),
            ("work_item.wake", ("mint_job",)),
        ]
        await self._together(steps)
        return job

    def _unit_id_low(self) -> UUID:
        self._counter += 1
        return UUID(f"01890000-{self._counter:04x}-7000-8000-000000000000")

    async def cycle(self, units: int, job: Job | None = None) -> bool:
        """A worker's cycle of a job, of any that is runnable if none is named; False where there was none."""
        if job is None:
            claimed = await self.call("work_item.claim", "mint_job", "old", 60.0, in_brand=False)
        else:
            claimed = await self.call(
                "work_item.claim_one", "mint_job", job.id, "old", 60.0, in_brand=False
            )
        if not claimed:
            return False
        item = claimed[0]
        (reserved,) = await self.call(
            "mint_job.reserve", self.brand_id, item["ref_id"], item["attempts"], item["now"]
        )
        while True:
            try:
                async with self.database.transaction(self._identity("mintage_service")) as worker:
                    await self._work(worker, item, reserved, units)
            except asyncpg.DeadlockDetectedError:
                continue
            return True

    async def _work(self, connection: Connection, item: Any, reserved: Any, units: int) -> None:
        first = reserved["minted_quantity"]
        count = min(units, reserved["requested_quantity"] - first)
        batch_id, now, brand = reserved["mint_batch_id"], datetime.now(UTC), self.brand_id
        brought = None
        if reserved["has_brought_serials"]:
            registered = await self._fetch(
                connection, "mint_batch.brought_serials", brand, batch_id, first, first + count
            )
            brought = [each["serial_number"] for each in registered]
        await connection.execute("set local role mintage_minter")
        await connection.execute(
            _INSERT_UNITS,
            *(brand, batch_id, reserved["unit_id_low"], first, count, reserved["serial_prefix"]),
            *(brought, now, _stride(reserved["requested_quantity"])),
        )
        await connection.execute("set local role mintage_service")
        payload = {"count": count, "first_unit_no": first}
        is_last = first + count == reserved["requested_quantity"]
        (closed,) = await self._fetch(
            connection,
            "mint_job.close_cycle",
            *(brand, item["ref_id"], batch_id),
            *unit_ids(reserved, first, first + count - 1),
            *(item["lease_epoch"], first, count, now, "system", None),
            *([uuid4()], ["mint_units_created"], [payload]),
        )
        assert closed["is_closed"], dict(closed)
        if is_last:
            await self._fetch(
                connection,
                "work_item.remove",
                *("mint_job", brand, item["ref_id"], item["lease_epoch"]),
            )

    async def export(self, job: Job, product_id: UUID, units: int, packs: int) -> list[UUID]:
        """A group of `packs` packs, open; their ids."""
        group_id, now, brand = uuid4(), datetime.now(UTC), self.brand_id
        ids, size = [uuid4() for _ in range(packs)], units // packs
        asked: tuple[object, ...] = (
            group_id,
            job.batch_id,
            "csv",
            None,
            {},
            packs,
            self.user_id,
            "user",
            now,
        )
        of_all = (group_id, job.batch_id, product_id, "csv", None, packs, now)
        numbers, firsts = list(range(1, packs + 1)), [size * no for no in range(packs)]
        await self._together(
            [
                ("export.insert_group", (brand, *asked)),
                ("export.insert_packs", (brand, *of_all, ids, numbers, firsts, [size] * packs)),
                ("export.enqueue_packs", (brand, now, ids)),
            ]
        )
        return ids

    async def pack(self, pack_id: UUID) -> None:
        """A worker's pack, from its claim to its closing; the file is one that nobody reads."""
        (item,) = await self.call(
            "work_item.claim_one", "payload_pack", pack_id, "old", 60.0, in_brand=False
        )
        now, brand = datetime.now(UTC), self.brand_id
        ((started,),) = await self._together([("export.start_pack", (brand, pack_id))])
        path = f"{brand}/{started['export_group_id']}/{started['pack_index']:04}-1.csv"
        await self._together(
            [
                ("export.start_group", (brand, started["export_group_id"])),
                ("export.lock_item", (brand, pack_id, item["lease_epoch"])),
                ("export.lock_batch", (brand, pack_id)),
                ("export.complete_pack", (brand, pack_id, path, 1, "0" * 64, now)),
                ("export.finish_group", (brand, started["export_group_id"], now)),
                ("work_item.remove", ("payload_pack", brand, pack_id, item["lease_epoch"])),
            ]
        )

    async def scan(self, serial: str, gtin14: str) -> Any:
        """Resolve a unit by its serial, activate it, store the scan; what it was resolved to."""
        (unit,) = await self.call("resolve.unit_by_serial", self.brand_id, serial, gtin14)
        now = datetime.now(UTC)
        activated = await self.call(
            "scan.activate_unit", self.brand_id, unit["unit_id"], unit["mint_batch_id"], now
        )
        outcome = "activated" if activated else "already_active"
        await self.call(
            "scan.store_scans",
            self.brand_id,
            *([uuid4()], [now], [unit["unit_id"]], [None], [unit["mint_batch_id"]]),
            *([unit["product_id"]], [outcome], ["human"], [None], ["Firefox"], ["Linux"]),
            *(["desktop"], [f"/01/{gtin14}/21/{serial}"]),
        )
        return unit

    async def fold(self) -> int:
        """The duty that folds tallies."""
        (_, (folded,)) = await self._together(
            [("tally.lock_fold", (str(self.brand_id),)), ("tally.fold", (self.brand_id, 10_000))]
        )
        return int(folded["folded"])
