"""What tests of minting look at and meddle with: rows behind the RPCs, leases, claims, the invariants.

Statements here run on the pool's own connection, without a role of the application: as whoever owns the
database, past row-level security. What a caller does goes through `World.rpc`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from mintage.operations import mint_claims, mint_execution
from mintage.operations.call import SYSTEM, Transactions
from mintage.operations.checks import load_checks, run_check
from mintage.operations.mint_claims import Claim
from tests.support.world import World

UNFINISHED = ("QUEUED", "RESERVED", "PROCESSING")


async def execute(world: World, statement: str, *arguments: object) -> str:
    """Run a statement past row-level security; its command tag."""
    async with world.platform.database.pool.acquire() as connection:
        return await connection.execute(statement, *arguments)


async def rows(world: World, statement: str, *arguments: object) -> list[dict[str, Any]]:
    async with world.platform.database.pool.acquire() as connection:
        return [dict(row) for row in await connection.fetch(statement, *arguments)]


async def row(world: World, statement: str, *arguments: object) -> dict[str, Any]:
    (only,) = await rows(world, statement, *arguments)
    return only


async def value(world: World, statement: str, *arguments: object) -> Any:
    (only,) = (await row(world, statement, *arguments)).values()
    return only


async def counts(world: World) -> dict[str, int]:
    """How many rows each table has that a submit or a cycle makes things in (figures aside)."""
    tables = (
        "mint_job",
        "mint_batch",
        "mint_lot",
        "mint_unit",
        "serial_registry",
        "mint_event",
        "work_item",
    )
    return {table: await value(world, f"select count(*) from {table}") for table in tables}


async def job_of(world: World, submitted: dict[str, Any]) -> dict[str, Any]:
    return await row(world, "select * from mint_job where id = $1", submitted["mint_job_id"])


async def batch_of(world: World, submitted: dict[str, Any]) -> dict[str, Any]:
    return await row(world, "select * from mint_batch where id = $1", submitted["mint_batch_id"])


async def item_of(world: World, submitted: dict[str, Any]) -> dict[str, Any] | None:
    """The work item of a job, with `waits_s`: how long until it is runnable. None when there is none."""
    found = await rows(
        world,
        "select *, extract(epoch from runnable_at - clock_timestamp())::float as waits_s "
        "from work_item where ref_id = $1",
        submitted["mint_job_id"],
    )
    return found[0] if found else None


async def units_of(world: World, submitted: dict[str, Any]) -> list[dict[str, Any]]:
    """The units of a batch, by number."""
    return await rows(
        world,
        "select * from mint_unit where mint_batch_id = $1 order by unit_no",
        submitted["mint_batch_id"],
    )


async def events_of(world: World, submitted: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of a batch, oldest first."""
    page = await world.rpc("list_mint_events", mint_batch_id=submitted["mint_batch_id"], limit=200)
    assert not page["has_more"]
    return list(reversed(page["events"]))


async def event_types_of(world: World, submitted: dict[str, Any]) -> list[str]:
    return [event["event_type"] for event in await events_of(world, submitted)]


async def cycle(world: World, submitted: dict[str, Any] | None = None, /, **more: Any) -> Any:
    """One cycle, of the job named or of the one whose turn it is."""
    arguments = {"mint_job_id": submitted["mint_job_id"]} if submitted else {}
    return await world.rpc("process_mint_job_batch", "service", **arguments, **more)


async def production_batch(
    world: World, product_id: UUID, caller: str = "owner", /, **more: Any
) -> UUID:
    """A READY production batch of 1,000 unless told otherwise; its id."""
    arguments = {"batch_number": "B-1", "quantity": 1000, "status": "READY"} | more
    made = await world.rpc("create_product_batch", caller, product_id=product_id, **arguments)
    identifier: UUID = made["product_batch"]["id"]
    return identifier


async def allocated(world: World, product_batch_id: UUID) -> int:
    """What a production batch says is queued or minted against it."""
    found: int = await value(
        world, "select allocated_quantity from product_batch where id = $1", product_batch_id
    )
    return found


def transactions(world: World) -> Transactions:
    return world.platform.transactions(SYSTEM, "test")


def with_limits(world: World, **changes: Any) -> World:
    """The same world under other limits."""
    platform = world.platform
    return world.with_platform(replace(platform, limits=replace(platform.limits, **changes)))


async def claimed(world: World, submitted: dict[str, Any] | None = None) -> Claim:
    """A worker that has claimed a job and then does nothing."""
    claim = await mint_claims.claim_job(
        transactions(world), submitted["mint_job_id"] if submitted else None
    )
    assert isinstance(claim, Claim)
    return claim


async def let_leases_lapse(world: World) -> None:
    await execute(
        world,
        # Locked in the order in which a void locks them.
        "with held as (select kind, ref_id from work_item where lease_until is not null "
        "order by kind, ref_id for update) "
        "update work_item set lease_until = clock_timestamp() from held "
        "where work_item.kind = held.kind and work_item.ref_id = held.ref_id "
        "and lease_until is not null",
    )


async def broken_invariants(world: World) -> dict[str, list[Any]]:
    """The rows that break each check, in either brand; empty where all hold."""
    broken: dict[str, list[Any]] = {}
    for check in load_checks():
        for brand_id in (world.brand_id, world.other_brand_id):
            found = await run_check(transactions(world), check, brand_id)
            if found:
                broken.setdefault(check.name, []).extend(found)
    return broken


async def drained(world: World, **more: Any) -> list[dict[str, Any]]:
    """Run cycles until nothing is runnable; their answers."""
    answers: list[dict[str, Any]] = []
    while (answer := await cycle(world, **more))["status"] != "IDLE":
        answers.append(answer)
    return answers


@contextmanager
def broken_cycles(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every cycle fails while it builds its chunk, with words that are nobody's business."""

    async def build(*_: object) -> bytearray:
        raise RuntimeError("no ink in /srv/secret")

    with monkeypatch.context() as patch:
        patch.setattr(mint_execution, "_chunk_of", build)
        yield
