"""redeliver_webhook: told again under the same webhook-id."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from mintage.errors import INVALID_INPUT, SUBJECT_NOT_FOUND
from tests.support.minting import execute, value, with_limits
from tests.support.refusals import blocked_by, refused_with, same_bytes
from tests.support.webhooks import (
    all_sent,
    answer,
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
        assert again == {
            "ok": True,
            "webhook_delivery_id": told["id"],
            "status": "pending",
            "redelivered": 1,
            "has_more": False,
        }
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


async def _failed(world: World, count: int) -> tuple[UUID, list[dict[str, Any]]]:
    """A webhook and its deliveries, an hour apart, all failed."""
    made = await webhook_of(world, "https://example.com/", "mint_job.completed")
    for _ in range(count):
        await world.minted(1, gtin=None)
    await execute(
        world,
        "update webhook_delivery set status = 'failed', failure = 'TIMEOUT', attempts = 10, "
        "next_try_at = null, created_at = date_trunc('hour', now()) - number * interval '1 hour' "
        "from (select id, row_number() over (order by created_at desc) as number "
        "from webhook_delivery where webhook_id = $1) as numbered "
        "where webhook_delivery.id = numbered.id",
        made["webhook"]["id"],
    )
    return made["webhook"]["id"], await deliveries(world)


async def test_what_failed_in_a_time_is_sent_again_in_its_order(world: World) -> None:
    webhook_id, failed = await _failed(world, 5)
    given = {"from": failed[1]["created_at"], "to": failed[4]["created_at"]}
    times = {name: moment.isoformat() for name, moment in given.items()}
    await execute(
        world,
        "update webhook_delivery set status = 'delivered', failure = null, delivered_at = now() "
        "where id = $1",
        failed[2]["id"],
    )
    again = await world.rpc(RPC, webhook_id=webhook_id, **times)
    assert again == {
        "ok": True,
        "webhook_delivery_id": None,
        "status": "pending",
        "redelivered": 2,
        "has_more": False,
    }
    now = await deliveries(world)
    assert [(each["status"], each["attempts"]) for each in now] == [
        ("failed", 10),
        ("pending", 0),
        ("delivered", 10),
        ("pending", 0),
        ("failed", 10),
    ]
    assert now[1]["next_try_at"] < now[3]["next_try_at"] <= await value(world, "select now()")


async def test_a_call_takes_so_many_and_says_that_there_are_more(world: World) -> None:
    world = with_limits(world, webhook_redeliveries_max=2)
    webhook_id, failed = await _failed(world, 4)
    others, _ = await _failed(world, 1)
    answers = [await world.rpc(RPC, webhook_id=webhook_id) for _ in range(3)]
    taken = [(answer["redelivered"], answer["has_more"]) for answer in answers]
    assert taken == [(2, True), (2, False), (0, False)]
    now = {each["id"]: each for each in await deliveries(world)}
    assert {now[each["id"]]["status"] for each in failed} == {"pending"}
    assert [each["status"] for each in now.values() if each["webhook_id"] == others] == ["failed"]


async def test_what_was_not_sent_to_a_disabled_webhook_is_sent_after_it_begins_anew(
    world: World,
) -> None:
    world = knowing(world)
    async with receiver() as found:
        found.answers = [answer(410), answer(200)]
        made = await webhook_of(world, found.url, "mint_job.completed")
        for _ in range(3):
            await world.minted(1, gtin=None)
        assert await all_sent(world) == ["disabled"]
        webhook_id = made["webhook"]["id"]
        call = world.rpc(RPC, webhook_id=webhook_id)
        assert await blocked_by(call) == ["WEBHOOK_NOT_ACTIVE"]
        await webhook_of(world, found.url, "mint_job.completed", webhook_id=webhook_id)
        assert (await world.rpc(RPC, webhook_id=webhook_id))["redelivered"] == 3
        assert await all_sent(world) == ["delivered"] * 3
        told = await deliveries(world)
    assert set(found.ids) == {str(each["event_id"]) for each in told}
    assert [each["failure"] for each in told] == [None] * 3


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({}, ["_webhook_delivery_id", "_webhook_id"]),
        ({"webhook_id": 1, "webhook_delivery_id": 1}, ["_webhook_id"]),
        ({"webhook_delivery_id": 1, "from": "2026-01-31T12:00:00Z"}, ["_from"]),
        ({"webhook_delivery_id": 1, "to": "2026-01-31T12:00:00Z"}, ["_to"]),
        ({"webhook_id": 1, "from": "yesterday"}, ["_from"]),
    ],
)
async def test_either_a_delivery_or_a_webhook_is_named(
    world: World, given: dict[str, Any], named: list[str]
) -> None:
    ids = {name: uuid4() if each == 1 else each for name, each in given.items()}
    error = await refused_with(INVALID_INPUT, world.rpc(RPC, **ids))
    assert [problem.argument for problem in error.problems] == named


async def test_another_brands_webhook_is_an_unknown_one(world: World) -> None:
    webhook_id, _ = await _failed(world, 1)
    unknown = await refused_with(SUBJECT_NOT_FOUND, world.rpc(RPC, webhook_id=uuid4()))
    foreign = await refused_with(
        SUBJECT_NOT_FOUND, world.rpc(RPC, "stranger", webhook_id=webhook_id)
    )
    assert same_bytes(unknown, foreign)
    assert {each["status"] for each in await deliveries(world)} == {"failed"}
