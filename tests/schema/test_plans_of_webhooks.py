"""A webhook that much waits for costs its sender what one with little does: plans on a long outbox."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast
from uuid import UUID

import pytest_asyncio

from mintage.operations.listing import BEGINNING, END
from tests.schema.catalog import connected
from tests.schema.filled import Filled
from tests.schema.plans import plan_of
from tests.support.webhooks import webhook_of
from tests.support.world import World

if TYPE_CHECKING:
    from tests.schema.catalog import Connection

WAITING = 3000
# To one webhook all is due, to the other all waits for its next try.
ROWS = """
insert into webhook_delivery (
  brand_id, id, webhook_id, event_id, event_type, data, status, next_try_at, created_at
)
select webhook.brand_id, gen_random_uuid(), webhook.id, gen_random_uuid(), 'mint_job.completed', '{}',
  'pending', now() + n * interval '1 millisecond'
    + case when webhook.url like '%due' then - interval '1 hour' else interval '1 hour' end, now()
from webhook
cross join generate_series(1, $1) as n
"""


@dataclass(frozen=True)
class Outbox:
    """A brand with two webhooks; `webhook_id` is the one that all is due for."""

    connection: Connection
    brand_id: UUID
    owner_id: UUID
    webhook_id: UUID

    async def rows_read(self, name: str, *values: object, index: str) -> int:
        """How many deliveries a statement reads; it must do so by `index`, among others."""
        filled = cast("Filled", self)
        plan = await plan_of(self.connection, filled, name, *values, analyze=True)
        assert plan.scans(index), plan.indexes
        return plan.rows_read("webhook_delivery")


@pytest_asyncio.fixture
async def outbox(world: World, dsn: str) -> AsyncIterator[Outbox]:
    ids = [
        (await webhook_of(world, f"https://example.com/{name}", "mint_job.completed"))["webhook"][
            "id"
        ]
        for name in ("due", "later")
    ]
    async with connected(dsn) as connection:
        await connection.execute(ROWS, WAITING)
        await connection.execute("vacuum analyze webhook_delivery")
        yield Outbox(connection, world.brand_id, world.user_ids["owner"], ids[0])


async def test_what_is_due_is_found_without_reading_what_waits(outbox: Outbox) -> None:
    assert await outbox.rows_read("webhook.due", None, index="webhook_delivery_due") <= 2


async def test_a_claim_counts_what_is_under_way_and_reads_no_more(outbox: Outbox) -> None:
    now = await outbox.connection.fetchval("select now()")
    values = (outbox.brand_id, outbox.webhook_id, now, 60.0, 2)
    index = "webhook_delivery_under_way"
    assert await outbox.rows_read("webhook_delivery.claim", *values, index=index) <= 4


async def test_what_failed_is_found_without_reading_what_did_not(outbox: Outbox) -> None:
    values = (outbox.brand_id, outbox.webhook_id, BEGINNING, END)
    index = "webhook_delivery_status"
    assert await outbox.rows_read("webhook_delivery.has_failed", *values, index=index) == 0
    many = (*values, 1000, END)
    assert await outbox.rows_read("webhook_delivery.redeliver_failed", *many, index=index) == 0
