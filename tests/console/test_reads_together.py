"""Reads that a page asks for at the same moment: one transaction, and each is checked as if it were alone."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from mintage.console.reads_together import ReadsTogether
from mintage.errors import FORBIDDEN, INVALID_INPUT, MintageError
from mintage.operations.call import ANONYMOUS, Call, Caller
from mintage.perform import perform_reads
from mintage.rpcs import RPCS, Rpc
from tests.support.world import World


def reads_of(world: World, member: str) -> ReadsTogether:
    return ReadsTogether(world.platform, Caller("user", world.user_ids[member]), "test")


async def test_reads_of_one_moment_share_a_transaction(world: World) -> None:
    seen: list[object] = []

    async def list_products(call: Call, _arguments: object) -> dict[str, object]:
        seen.append(await call.connection.fetchval("select now()"))
        return {"ok": True}

    spied = Rpc(list_products, RPCS["list_products"].arguments, "mint:read", is_read_only=True)
    reads, raw = reads_of(world, "viewer"), {"_brand_id": str(world.brand_id)}

    async def inner() -> None:
        await asyncio.gather(reads.read(spied, raw), reads.read(spied, raw))

    await asyncio.gather(reads.read(spied, raw), inner())
    assert len(set(seen)) == 1
    await reads.read(spied, raw)
    assert len(set(seen)) == 2


async def test_each_read_is_judged_for_itself(world: World) -> None:
    reads, brand = reads_of(world, "viewer"), {"_brand_id": str(world.brand_id)}
    answers = await asyncio.gather(
        reads.read(RPCS["list_products"], brand),
        reads.read(RPCS["list_api_keys"], brand),
        reads.read(RPCS["list_products"], brand | {"_limit": 0}),
        reads.read(RPCS["list_mint_batches"], brand),
        return_exceptions=True,
    )
    assert isinstance(answers[0], dict)
    assert isinstance(answers[1], MintageError)
    assert isinstance(answers[2], MintageError)
    assert (answers[1].kind, answers[2].kind) == (FORBIDDEN, INVALID_INPUT)
    assert answers[3] == {"ok": True, "batches": [], "has_more": False, "next_cursor": None}


async def test_who_is_no_member_reads_nothing_together(world: World) -> None:
    brand = {"_brand_id": str(world.brand_id)}
    stranger = await asyncio.gather(
        *(
            reads_of(world, "stranger").read(RPCS[name], brand)
            for name in ("list_products", "get_mint_kpis")
        ),
        return_exceptions=True,
    )
    assert [getattr(each, "kind", None) for each in stranger] == [FORBIDDEN, FORBIDDEN]
    with pytest.raises(MintageError):
        await perform_reads(world.platform, ANONYMOUS, [(RPCS["list_products"], brand)], "test")


@pytest.mark.parametrize("name", ["create_product", "list_my_brands", "create_api_key"])
async def test_what_is_no_read_of_a_brand_is_not_performed_together(
    world: World, name: str
) -> None:
    owner = Caller("user", world.user_ids["owner"])
    brand = {"_brand_id": str(world.brand_id)}
    with pytest.raises(ValueError, match="nothing else"):
        await perform_reads(world.platform, owner, [(RPCS[name], brand)], "test")
    two = [(RPCS["list_products"], {"_brand_id": str(each)}) for each in (uuid4(), uuid4())]
    with pytest.raises(ValueError, match="one brand"):
        await perform_reads(world.platform, owner, two, "test")
