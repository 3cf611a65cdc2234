"""list_webhooks: a brand's webhooks, newest first, never a secret."""

from __future__ import annotations

import pytest

from mintage.errors import FORBIDDEN
from tests.support.refusals import refused_with
from tests.support.webhooks import webhook_of
from tests.support.world import World

RPC = "list_webhooks"
URL = "https://erp.example.com/mintage"


async def test_webhooks_are_listed_newest_first_without_their_secrets(world: World) -> None:
    made = [await webhook_of(world, URL) for _ in range(3)]
    await webhook_of(world, URL, caller="stranger")
    await world.rpc("remove_webhook", webhook_id=made[1]["webhook"]["id"])
    page = await world.rpc(RPC)
    assert page["webhooks"] == [made[2]["webhook"], made[0]["webhook"]]
    assert not any(each["secret"] in str(page) for each in made)


async def test_a_page_leads_to_the_next(world: World) -> None:
    made = [await webhook_of(world, URL) for _ in range(3)]
    first = await world.rpc(RPC, limit=2)
    second = await world.rpc(RPC, limit=2, cursor=first["next_cursor"])
    listed = [each["id"] for each in (*first["webhooks"], *second["webhooks"])]
    assert listed == [each["webhook"]["id"] for each in reversed(made)]


@pytest.mark.parametrize("caller", ["editor", "viewer", "stranger"])
async def test_others_list_no_webhooks(world: World, caller: str) -> None:
    await refused_with(FORBIDDEN, world.rpc(RPC, caller, brand_id=world.brand_id))
