"""redeliver_webhook: told again under the same webhook-id."""

from __future__ import annotations

from uuid import uuid4

from mintage.errors import SUBJECT_NOT_FOUND
from tests.support.minting import execute
from tests.support.refusals import blocked_by, refused_with, same_bytes
from tests.support.webhooks import (
    all_sent,
    deliveries,
    knowing,
    receiver,
    webhook_of,
)
from tests.support.world import World

RPC = "redeliver_webhook"


async def test_what_was_delivered_is_sent_again_as_the_same_message(world: World) -> None:
    world = knowing(world)
    async with receiver() as found:
        await webhook_of(world, found.url, "mint_job.completed")
        await world.minted(1)
        assert await all_sent(world) == ["delivered"]
        (told,) = await deliveries(world)
        again = await world.rpc(RPC, webhook_delivery_id=told["id"])
        assert again == {"ok": True, "webhook_delivery_id": told["id"], "status": "pending"}
        assert await all_sent(world) == ["delivered"]
        assert found.ids[0] == found.ids[1]
        assert found.bodies[0] == found.bodies[1]


async def test_a_disabled_webhook_is_told_nothing_again(world: World) -> None:
    await webhook_of(world, "https://example.com/", "mint_job.completed")
    await world.minted(1)
    await execute(
        world,
        "update webhook set status = 'disabled', disabled_reason = 'gone', disabled_at = now()",
    )
    (told,) = await deliveries(world)
    call = world.rpc(RPC, webhook_delivery_id=told["id"])
    assert await blocked_by(call) == ["WEBHOOK_NOT_ACTIVE"]


async def test_another_brands_delivery_is_an_unknown_one(world: World) -> None:
    await webhook_of(world, "https://example.com/", "mint_job.completed")
    await world.minted(1)
    (told,) = await deliveries(world)
    unknown = await refused_with(SUBJECT_NOT_FOUND, world.rpc(RPC, webhook_delivery_id=uuid4()))
    foreign = await refused_with(
        SUBJECT_NOT_FOUND, world.rpc(RPC, "stranger", webhook_delivery_id=told["id"])
    )
    assert same_bytes(unknown, foreign)
