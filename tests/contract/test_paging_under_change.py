"""Pages while others write: no row that existed when page 1 was read is repeated or skipped (SPEC §2).

A reader leafs through each list in turn, while another caller mints, a third voids, and scans come in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support.minting import broken_invariants, drained, rows
from tests.support.world import World

ROUNDS_MIN = 2
STEPS_MIN = 15
"""How often each of the others has acted before the reader stops."""
PAGE_ROWS = 7
LISTS: dict[str, tuple[str, str]] = {
    "list_mint_batches": ("batches", "mint_batch"),
    "list_mint_units": ("units", "mint_unit"),
    "list_mint_events": ("events", "mint_event"),
    "list_scan_events": ("scan_events", "scan_event"),
    "list_payload_packs": ("packs", "payload_pack"),
}


@dataclass
class Traffic:
    """What the others do, until they are told to stop; `done` counts it by kind."""

    world: World
    product_id: Any
    is_over: asyncio.Event = field(default_factory=asyncio.Event)
    done: dict[str, int] = field(default_factory=dict)

    async def keep(self, kind: str, step: Callable[[], Awaitable[object]]) -> None:
        """Take one step after another."""
        while not self.is_over.is_set():
            await step()
            self.done[kind] = self.done.get(kind, 0) + 1

    @property
    def is_heavy(self) -> bool:
        return all(self.done.get(kind, 0) >= STEPS_MIN for kind in ("mint", "void", "scan"))

    async def mint(self) -> None:
        submitted = await self.world.submit(self.product_id, 5)
        await self.world.rpc(
            "process_mint_job_batch", "service", mint_job_id=submitted["mint_job_id"]
        )
        await self.world.rpc("request_payload_packs", mint_batch_id=submitted["mint_batch_id"])

    async def void(self) -> None:
        answer = await self.world.rpc("list_mint_batches", status="minted", limit=3)
        if answer["batches"]:
            batch_id = answer["batches"][-1]["id"]
            await self.world.rpc("set_mint_batch_status", mint_batch_id=batch_id, status="voided")
        await asyncio.sleep(0.01)

    async def scan(self) -> None:
        answer = await self.world.rpc("list_mint_units", limit=1)
        unit_id = answer["units"][0]["id"]
        await self.world.rpc("record_scan_event", "service", unit_id=unit_id)


async def _stored(world: World, table: str) -> list[Any]:
    found = await rows(world, f"select id from {table} where brand_id = $1", world.brand_id)
    return [row["id"] for row in found]


async def _leafed(world: World, rpc: str) -> list[Any]:
    """The ids of all pages, read to the end, with the others at work between any two."""
    key, _ = LISTS[rpc]
    found: list[Any] = []
    cursor: str | None = None
    while True:
        answer = await world.rpc(rpc, limit=PAGE_ROWS, cursor=cursor)
        found += [row["id"] for row in answer[key]]
        cursor = answer["next_cursor"]
        if cursor is None:
            return found
        await asyncio.sleep(0)


async def _read(world: World, rpc: str) -> None:
    before = await _stored(world, LISTS[rpc][1])
    assert len(before) > PAGE_ROWS, "or there is but one page"
    found = await _leafed(world, rpc)
    assert len(found) == len(set(found)), f"{rpc} repeats a row"
    assert set(before) <= set(found), f"{rpc} skips a row"


async def _fill(world: World, traffic: Traffic) -> None:
    for _ in range(12):
        await traffic.mint()
        await traffic.scan()


@pytest.mark.timeout(120)
async def test_no_row_is_repeated_or_skipped_while_others_mint_void_and_scan(world: World) -> None:
    traffic = Traffic(world, await world.product())
    await _fill(world, traffic)
    async with asyncio.TaskGroup() as others:
        others.create_task(traffic.keep("mint", traffic.mint))
        others.create_task(traffic.keep("void", traffic.void))
        others.create_task(traffic.keep("scan", traffic.scan))
        try:
            rounds = 0
            while rounds < ROUNDS_MIN or not traffic.is_heavy:
                for rpc in LISTS:
                    await _read(world, rpc)
                rounds += 1
        finally:
            traffic.is_over.set()
    voided = await rows(world, "select from mint_batch where status = 'voided'")
    assert voided, "or nothing changed under the reader"
    assert await broken_invariants(world) == {}


async def test_a_status_filter_moves_rows_but_repeats_none(world: World) -> None:
    # A row that leaves the filter is gone; one that stays is there once.
    product_id = await world.product()
    batches = [(await world.submit(product_id, 2))["mint_batch_id"] for _ in range(9)]
    await drained(world)
    first = await world.rpc("list_mint_batches", status="minted", limit=3)
    found = [row["id"] for row in first["batches"]]
    await world.rpc("set_mint_batch_status", mint_batch_id=batches[0], status="voided")
    await world.rpc("set_mint_batch_status", mint_batch_id=found[0], status="voided")
    cursor = first["next_cursor"]
    while cursor is not None:
        answer = await world.rpc("list_mint_batches", status="minted", limit=3, cursor=cursor)
        found += [row["id"] for row in answer["batches"]]
        cursor = answer["next_cursor"]
    assert found == batches[:0:-1]
