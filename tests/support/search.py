"""What is searched, and all pages of a search."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from tests.support.world import World

RPC = "search_brand_objects_v1"


async def search_pages(world: World, text: str, limit: int = 20) -> list[list[dict[str, Any]]]:
    """All pages of a search; an answer's own promises are checked."""
    found: list[list[dict[str, Any]]] = []
    cursor = None
    while True:
        answer = await world.rpc(RPC, query=text, limit=limit, cursor=cursor)
        assert list(answer) == ["ok", "results", "has_more", "next_cursor"]
        assert answer["has_more"] is (answer["next_cursor"] is not None)
        assert len(answer["results"]) <= limit
        found.append(answer["results"])
        cursor = answer["next_cursor"]
        if cursor is None:
            return found
        assert len(found) < 1000, "the pages have no end"


async def serial_batch(world: World, *serials: str, **more: Any) -> dict[str, Any]:
    """A minted batch of these serials: submit's answer."""
    return await world.minted(len(serials), serials=list(serials), **more)


async def lot_batch(world: World, *codes: str, product_id: UUID) -> UUID:
    """A queued batch of these lots, one unit each; its id."""
    lots = [{"lot_code": code, "qty": 1} for code in codes]
    submitted = await world.submit(product_id, len(codes), identity_mode="batch", lots=lots)
    batch_id: UUID = submitted["mint_batch_id"]
    return batch_id
