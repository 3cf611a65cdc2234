"""list_webhook_deliveries: what a webhook was told, newest first, by state."""

from __future__ import annotations

from mintage.errors import SUBJECT_NOT_FOUND
from tests.support.refusals import refused_with
from tests.support.webhooks import all_sent, answer, knowing, receiver, webhook_of
from tests.support.world import World

RPC = "list_webhook_deliveries"


async def test_a_delivery_tells_what_became_of_its_last_try(world: World) -> None:
    world = knowing(world)
    async with receiver() as found:
        found.answers = [answer(500, b"no\n ink\x00"), answer(204)]
        made = await webhook_of(world, found.url, "mint_job.completed", "mint_batch.status_changed")
        await world.minted(1)
        assert await all_sent(world) == ["retried", "delivered"]
    webhook_id = made["webhook"]["id"]
    page = await world.rpc(RPC, webhook_id=webhook_id)
    assert not page["has_more"]
    by_status = {each["status"]: each for each in page["deliveries"]}
    waiting, delivered = by_status["pending"], by_status["delivered"]
    assert (waiting["answer_code"], waiting["failure"]) == (500, "HTTP_STATUS")
    assert waiting["answer_excerpt"] == "no ink"
    assert waiting["next_try_at"] > waiting["last_attempt_at"]
    assert (delivered["answer_code"], delivered["failure"]) == (204, None)
    assert delivered["delivered_at"] is not None
    for status in ("pending", "delivered", "failed"):
        of_status = await world.rpc(RPC, webhook_id=webhook_id, status=status)
        expected = [by_status[status]] if status in by_status else []
        assert of_status["deliveries"] == expected


async def test_deliveries_of_another_brands_webhook_are_not_listed(world: World) -> None:
    theirs = await webhook_of(world, "https://example.com/", caller="stranger")
    await refused_with(SUBJECT_NOT_FOUND, world.rpc(RPC, webhook_id=theirs["webhook"]["id"]))
