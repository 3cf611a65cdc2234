"""A worker dies, or stands still, while it tells a webhook: the message arrives, under one webhook-id."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from standardwebhooks import Webhook

from mintage.meters import REGISTRY
from mintage.operations import steps
from mintage.operations.steps import Step, WebhookStep
from mintage.settings import Limits
from tests.support.faults import (
    Fault,
    Orders,
    dies,
    ended,
    goes_on,
    stopped,
    until_forgotten,
    worker,
)
from tests.support.webhooks import (
    HOST,
    Receiver,
    all_sent,
    answer,
    deliveries,
    knowing,
    receiver,
    sent,
    webhook_of,
)
from tests.support.world import World

WEBHOOK_STEPS: tuple[WebhookStep, ...] = get_args(WebhookStep)
# Who dies between the two commits leaves a lease; who dies before the first or after the second, none.
WITH_A_LEASE = ("webhook_claimed", "webhook_sent", "webhook_closed")
SENT = ("webhook_sent", "webhook_closed", "webhook_committed")
LIMITS = Limits(webhook_private_hosts=(HOST,))


@pytest.fixture
def world(world: World) -> World:
    return knowing(world)


async def _told(world: World, found: Receiver) -> tuple[str, dict[str, Any]]:
    """A webhook's secret, and the one delivery that waits for it."""
    made = await webhook_of(world, found.url, "mint_job.completed")
    await world.minted(1, gtin=None)
    (waiting,) = await deliveries(world)
    return made["secret"], waiting


async def _finished_by_another(world: World, *, has_lease: bool) -> list[str]:
    """What another worker's sends come to: nothing while the lease holds, then all that is left."""
    if has_lease:
        assert await sent(world) == "idle"
    lapsed = datetime.now(UTC) + timedelta(seconds=LIMITS.webhook_lease_s + 1)
    return list(await all_sent(world, lapsed))


def _lapses() -> float:
    found = REGISTRY.get_sample_value("mintage_lease_lapses_total", {"kind": "webhook_delivery"})
    assert found is not None
    return found


def _assert_one_message(found: Receiver, secret: str, waiting: dict[str, Any], times: int) -> None:
    """It arrived `times` times, the same each time, and each time signed."""
    assert found.ids == [str(waiting["event_id"])] * times
    assert len(set(found.bodies)) == 1
    for head, body in zip(found.heads, found.bodies, strict=True):
        Webhook(secret).verify(body, head)


@pytest.mark.parametrize("step", WEBHOOK_STEPS)
async def test_a_worker_killed_at_a_step_of_a_delivery_loses_no_message(
    world: World, dsn: str, tmp_path: Path, step: WebhookStep
) -> None:
    async with receiver() as found:
        secret, waiting = await _told(world, found)
        await dies(world, Orders(dsn, tmp_path, (Fault(step, "kill"),), limits=LIMITS))
        assert len(found.heads) == (step in SENT)
        (left,) = await deliveries(world)
        assert (left["lease_until"] is not None) == (step in WITH_A_LEASE)
        lapses = _lapses()
        results = await _finished_by_another(world, has_lease=step in WITH_A_LEASE)
        assert _lapses() - lapses == (step in WITH_A_LEASE)
        assert results == ([] if step == "webhook_committed" else ["delivered"])
        _assert_one_message(
            found, secret, waiting, 2 if step in SENT and step in WITH_A_LEASE else 1
        )
    (kept,) = await deliveries(world)
    assert (kept["status"], kept["attempts"]) == ("delivered", 1 + (step in WITH_A_LEASE))


async def test_a_worker_killed_while_its_receiver_thinks_loses_no_message(
    world: World, dsn: str, tmp_path: Path
) -> None:
    async with receiver() as found:
        found.answers = [None, answer(200)]
        secret, waiting = await _told(world, found)
        async with worker(Orders(dsn, tmp_path, limits=LIMITS)) as process:
            async with asyncio.timeout(60):
                while not found.heads:
                    await asyncio.sleep(0.01)
            process.kill()
            assert await ended(process) == -9
        await until_forgotten(world)
        assert await _finished_by_another(world, has_lease=True) == ["delivered"]
        _assert_one_message(found, secret, waiting, 2)


async def test_a_worker_that_wakes_up_late_books_nothing(
    world: World, dsn: str, tmp_path: Path
) -> None:
    """It was answered 500; meanwhile another has delivered."""
    async with receiver() as found:
        found.answers = [answer(500), answer(200)]
        secret, waiting = await _told(world, found)
        orders = Orders(dsn, tmp_path, (Fault("webhook_sent", "stop"),), limits=LIMITS)
        async with worker(orders) as process:
            await stopped(process)
            assert await _finished_by_another(world, has_lease=True) == ["delivered"]
            before = await deliveries(world)
            goes_on(process)
            assert await ended(process) == 0
        assert await deliveries(world) == before
        _assert_one_message(found, secret, waiting, 2)


async def test_a_plain_delivery_reaches_every_step_in_its_order(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with receiver() as found:
        await _told(world, found)
        seen: list[Step] = []
        monkeypatch.setattr(steps, "reached", seen.append)
        assert await sent(world) == "delivered"
    assert tuple(seen) == WEBHOOK_STEPS
