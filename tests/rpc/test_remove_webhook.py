"""remove_webhook: it is told nothing more, and its secret is gone."""

from __future__ import annotations

from uuid import uuid4

from mintage.errors import SUBJECT_NOT_FOUND
from tests.support.minting import row
from tests.support.refusals import payloads, refused_with, same_bytes
from tests.support.webhooks import all_sent, deliveries, webhook_of
from tests.support.world import World

RPC = "remove_webhook"
URL = "https://erp.example.com/mintage"


async def test_what_it_was_to_be_told_fails_and_its_secret_is_gone(world: World) -> None:
    made = await webhook_of(world, URL, "mint_job.completed")
    await webhook_of(world, URL, "mint_job.completed", webhook_id=made["webhook"]["id"])
    await world.minted(1)
    answer = await world.rpc(RPC, webhook_id=made["webhook"]["id"])
    assert answer == {"ok": True, "removed": True}
    kept = await row(world, "select * from webhook")
    assert (kept["secret_sealed"], kept["old_secret_sealed"]) == (None, None)
    (told,) = await deliveries(world)
    assert (told["status"], told["failure"]) == ("failed", "WEBHOOK_REMOVED")
    assert await all_sent(world) == []
    newest, *_ = await payloads(world, "settings_changed")
    assert newest["change"] == "removed"


async def test_one_that_is_gone_one_of_another_brand_and_none_are_alike(world: World) -> None:
    gone = await webhook_of(world, URL)
    await world.rpc(RPC, webhook_id=gone["webhook"]["id"])
    theirs = await webhook_of(world, URL, caller="stranger")
    first, *others = [
        await refused_with(SUBJECT_NOT_FOUND, world.rpc(RPC, webhook_id=webhook_id))
        for webhook_id in (uuid4(), gone["webhook"]["id"], theirs["webhook"]["id"])
    ]
    assert all(same_bytes(first, other) for other in others)
