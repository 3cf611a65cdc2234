"""A receiver says when it wants to be called again, or that it never does (Standard Webhooks)."""

from __future__ import annotations

from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from mintage.operations.webhook_sending import WebhookAnswer, WebhookRequest, send_due_webhook
from tests.support.minting import row, transactions, value
from tests.support.refusals import payloads
from tests.support.webhooks import (
    all_sent,
    answer,
    deliveries,
    knowing,
    receiver,
    sent,
    webhook_of,
)
from tests.support.world import World

EVENT = "mint_job.completed"


async def _asks(world: World, said: bytes, *, messages: int = 1) -> tuple[datetime, dict[str, Any]]:
    """The receiver says `said` to the first of `messages`: when, and the webhook then."""
    async with receiver() as found:
        found.answers = [said]
        made = await webhook_of(world, found.url, EVENT)
        for _ in range(messages):
            await world.minted(1, gtin=None)
        now = max(each["next_try_at"] for each in await deliveries(world))
        assert await sent(world, now) == "retried"
    listed = (await world.rpc("list_webhooks"))["webhooks"]
    assert listed[0]["id"] == made["webhook"]["id"]
    return now, listed[0]


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_the_whole_webhook_waits_as_long_as_its_receiver_asks(
    world: World, status: int
) -> None:
    world = knowing(world)
    now, webhook = await _asks(world, answer(status, b"", "retry-after: 7200"), messages=2)
    until = now + timedelta(seconds=7200)
    assert webhook["held_until"] == until
    tried, untried = sorted(await deliveries(world), key=lambda each: -each["attempts"])
    assert (tried["next_try_at"], tried["attempts"]) == (until, 1)
    assert (untried["next_try_at"], untried["attempts"]) == (untried["created_at"], 0)
    assert await sent(world, until - timedelta(milliseconds=1)) == "idle"
    assert await sent(world, until) != "idle"


async def test_a_date_is_heard_as_well(world: World) -> None:
    world = knowing(world)
    now = await value(world, "select date_trunc('second', clock_timestamp())")
    date = format_datetime(now + timedelta(hours=2), usegmt=True)
    _, webhook = await _asks(world, answer(503, b"", f"Retry-After: {date}"))
    assert webhook["held_until"] == now + timedelta(hours=2)


@pytest.mark.parametrize(
    ("said", "status", "least_s", "most_s"),
    [
        ("1", 503, 4.5, 5.5),
        ("99999999", 503, 86400, 86400),
        ("soon", 503, 4.5, 5.5),
        ("7200", 500, 4.5, 5.5),
    ],
)
async def test_a_pause_is_never_shorter_than_ours_and_never_longer_than_our_longest(
    world: World, said: str, status: int, least_s: float, most_s: float
) -> None:
    world = knowing(world)
    now, _ = await _asks(world, answer(status, b"", f"retry-after: {said}"))
    (waiting,) = await deliveries(world)
    assert least_s <= (waiting["next_try_at"] - now).total_seconds() <= most_s


async def test_whoever_sends_again_or_replaces_does_not_wait(world: World) -> None:
    world = knowing(world)
    now, webhook = await _asks(world, answer(429, b"", "retry-after: 3600"))
    assert await sent(world, now) == "idle"
    (waiting,) = await deliveries(world)
    await world.rpc("redeliver_webhook", webhook_delivery_id=waiting["id"])
    assert await value(world, "select held_until from webhook") is None
    assert await sent(world) == "retried"
    async with receiver() as found:
        found.answers = [answer(429, b"", "retry-after: 3600"), answer(200)]
        replaced = await webhook_of(world, found.url, EVENT, webhook_id=webhook["id"])
        await world.minted(1, gtin=None)
        assert await sent(world) == "retried"
        assert await value(world, "select held_until from webhook") is not None
        replaced = await webhook_of(world, found.url, EVENT, webhook_id=webhook["id"])
        assert replaced["webhook"]["held_until"] is None
        await world.minted(1, gtin=None)
        assert await all_sent(world) == ["delivered"]


async def test_who_asks_for_less_later_does_not_end_a_pause(world: World) -> None:
    await webhook_of(world, "https://example.com/", EVENT)
    for _ in range(2):
        await world.minted(1, gtin=None)

    async def asks(seconds: str) -> WebhookAnswer:
        return WebhookAnswer(429, "HTTP_STATUS", None, seconds)

    async def outer(_request: WebhookRequest) -> WebhookAnswer:
        assert await send_due_webhook(transactions(world), lambda _: asks("7200")) == "retried"
        return await asks("1")

    assert await send_due_webhook(transactions(world), outer) == "retried"
    held = await row(world, "select held_until - clock_timestamp() as pause from webhook")
    assert held["pause"] > timedelta(seconds=3600)


async def test_gone_is_told_to_the_owner(world: World) -> None:
    world = knowing(world)
    async with receiver() as found:
        found.answers = [answer(410, b"", "retry-after: 60")]
        made = await webhook_of(world, found.url, EVENT)
        await world.minted(1, gtin=None)
        assert await all_sent(world) == ["disabled"]
    newest, *_ = await payloads(world, "settings_changed")
    assert newest == {
        "subject": "webhook",
        "webhook_id": str(made["webhook"]["id"]),
        "change": "disabled",
        "host": "receiver.internal",
        "reason": "gone",
    }
    (webhook,) = (await world.rpc("list_webhooks"))["webhooks"]
    assert (webhook["status"], webhook["disabled_reason"]) == ("disabled", "gone")
    assert webhook["held_until"] is None
