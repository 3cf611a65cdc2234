"""While the server takes a chunk, the next one is built, and taken as it lies there."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from datetime import datetime

import pytest

from mintage.operations import mint_chunks, mint_execution, steps
from mintage.operations.mint_chunks import ChunkPlan
from tests.support.minting import cycle
from tests.support.world import World


async def test_the_next_chunk_is_built_while_this_one_is_copied(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    is_built_ahead = threading.Event()
    build, pieces = mint_chunks.build_chunk, mint_execution._pieces

    def seen_build(plan: ChunkPlan, brought: list[str] | None, created_at: datetime) -> bytearray:
        told.append(f"unit {plan.first_unit_no} is built")
        is_built_ahead.set()
        return build(plan, brought, created_at)

    async def pieces_that_wait(buffer: bytearray) -> AsyncIterator[bytes]:
        # The server has the first piece, and is not told of the end before the next chunk is begun.
        async for piece in pieces(buffer):
            yield piece
        if told.count("mint_copied") < 2:
            await asyncio.to_thread(is_built_ahead.wait, 10)

    def reached(step: str) -> None:
        if step == "mint_chunk_built":
            is_built_ahead.clear()
        if step in {"mint_chunk_built", "mint_copied"}:
            told.append(step)

    monkeypatch.setattr(mint_chunks, "build_chunk", seen_build)
    monkeypatch.setattr(mint_execution, "_pieces", pieces_that_wait)
    monkeypatch.setattr(steps, "reached", reached)
    submitted = await world.submit(await world.product(), 30)
    for _ in range(3):
        await cycle(world, submitted, batch_size=10)
    assert told == [
        "unit 0 is built",
        "mint_chunk_built",
        "unit 10 is built",
        "mint_copied",
        "mint_chunk_built",
        "unit 20 is built",
        "mint_copied",
        "mint_chunk_built",
        "mint_copied",
    ]
