"""Webhooks are told what happened, signed, at least once; what fails is tried again by the clock."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from mintage.operations import mint_execution
from mintage.operations.call import SYSTEM
from mintage.operations.pack_execution import process_payload_pack
from mintage.operations.webhook_sending import (
    COUNTS,
    WebhookAnswer,
    WebhookRequest,
    remove_old_webhook_deliveries,
    send_due_webhook,
)
from mintage.storage import open_pack_store
from mintage.worker.duties import Duty
from mintage.worker.loop import CHANNEL, Lane, Worker
from tests.support.catalogue import at
from tests.support.minting import (
    broken_cycles,
    cycle,
    execute,
    row,
    rows,
    transactions,
    value,
    with_limits,
)
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

URL = "https://example.com/"


def told(found: list[dict[str, Any]]) -> Counter[tuple[str, str | None]]:
    """Types of events, with the status of those that have one."""
    return Counter((each["event_type"], each["data"].get("status")) for each in found)


async def test_a_message_is_verified_by_the_library_and_by_its_own_secret_only(
    world: World,
) -> None:
    world = knowing(world)
    async with receiver() as found:
        made = await webhook_of(world, found.url, "mint_job.completed")
        submitted = await world.minted(3)
        assert await all_sent(world) == ["delivered"]
    (head,), (body,) = found.heads, found.bodies
    message = Webhook(made["secret"]).verify(body, head)
    assert message["type"] == "mint_job.completed"
    assert message["data"] == {
        "brand_id": str(world.brand_id),
        "mint_job_id": str(submitted["mint_job_id"]),
        "mint_batch_id": str(submitted["mint_batch_id"]),
        "minted_quantity": 3,
    }
    assert datetime.fromisoformat(message["timestamp"]).tzinfo is not None
    assert head["host"] == f"receiver.internal:{found.port}"
    assert head["content-type"] == "application/json"
    for secret, changed in ((f"whsec_{'A' * 43}=", body), (made["secret"], body + b" ")):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(changed, head)


@pytest.mark.long
async def test_a_replaced_secret_signs_as_well_for_a_day(world: World) -> None:
    world = knowing(world)
    async with receiver() as found:
        old = await webhook_of(world, found.url, "mint_job.completed")
        new = await webhook_of(
            world, found.url, "mint_job.completed", webhook_id=old["webhook"]["id"]
        )
        await world.minted(1, gtin=None)
        await world.minted(1, gtin=None)
        assert await sent(world) == "delivered"
        for made in (old, new):
            Webhook(made["secret"]).verify(found.bodies[0], found.heads[0])
        assert await sent(world, datetime.now(UTC) + timedelta(days=1, minutes=1)) == "delivered"
    assert len(found.heads[1]["webhook-signature"].split(" ")) == 1


async def test_a_rolled_back_event_is_not_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await webhook_of(world, URL)
    submitted = await world.submit(await world.product(), 1)

    async def told_and_broken(*arguments: Any) -> None:
        await announced(*arguments)
        raise RuntimeError("no ink")

    announced = mint_execution._announce_end
    with monkeypatch.context() as patch:
        patch.setattr(mint_execution, "_announce_end", told_and_broken)
        assert (await cycle(world, submitted))["ok"] is False
    assert await deliveries(world) == []
    await world.run(submitted["mint_job_id"])
    assert told(await deliveries(world)) == {
        ("mint_job.completed", None): 1,
        ("mint_batch.status_changed", "minted"): 1,
    }


@pytest.mark.long
async def test_a_job_that_fails_is_retried_and_voided_is_told_step_by_step(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await webhook_of(world, URL)
    submitted = await world.submit(await world.product(), 2)
    with broken_cycles(monkeypatch):
        await world.run(submitted["mint_job_id"])
    await world.rpc("retry_mint_job", mint_job_id=submitted["mint_job_id"])
    await world.rpc(
        "set_mint_batch_status",
        mint_batch_id=submitted["mint_batch_id"],
        status="voided",
        reason="Ms. Oak said so",
    )
    found = await deliveries(world)
    assert told(found) == {
        ("mint_job.failed", None): 2,
        ("mint_batch.status_changed", "failed"): 1,
        ("mint_job.retried", None): 1,
        ("mint_batch.status_changed", "queued"): 1,
        ("mint_batch.status_changed", "voided"): 1,
    }
    assert "Oak" not in str(found)
    first = next(each for each in found if each["event_type"] == "mint_job.failed")
    recorded = await rows(world, "select id from mint_event where event_type = 'mint_job_failed'")
    assert first["event_id"] in [each["id"] for each in recorded]


@pytest.mark.long
async def test_packs_and_their_group_are_told(world: World, tmp_path: Any) -> None:
    await webhook_of(world, URL)
    submitted = await world.minted(1, gtin=None)
    await world.rpc("request_payload_packs", mint_batch_id=submitted["mint_batch_id"], format="csv")
    store = open_pack_store(None, tmp_path)
    while (await process_payload_pack(transactions(world), store)).result != "idle":
        pass
    found = [each for each in await deliveries(world) if "mint_job" not in each["event_type"]]
    assert told(found) == {
        ("mint_batch.status_changed", "minted"): 1,
        ("mint_batch.status_changed", "exported"): 1,
        ("payload_pack.completed", None): len(
            [each for each in found if each["event_type"] == "payload_pack.completed"]
        ),
        ("export_group.completed", None): 1,
    }
    again = await world.minted(1, gtin=None)
    await world.rpc("request_payload_packs", mint_batch_id=again["mint_batch_id"], format="csv")
    await execute(world, "delete from webhook_delivery")
    await world.rpc("set_mint_batch_status", mint_batch_id=again["mint_batch_id"], status="voided")
    kinds = {each["event_type"] for each in await deliveries(world)}
    assert kinds == {"payload_pack.failed", "export_group.failed", "mint_batch.status_changed"}


async def test_a_clone_signal_is_told_once_for_each_severity_that_is_reached(world: World) -> None:
    await webhook_of(world, URL, "clone_signal.raised")
    await webhook_of(world, URL, "clone_signal.raised")
    submitted = await world.minted(1, gtin=None)
    unit_id = await value(world, "select id from mint_unit")
    thresholds = {
        "scans_a_day_review": 2,
        "scans_a_day_elevated": 4,
        "scans_a_day_high": 6,
    }
    await world.rpc("update_brand_settings", patch={"clone_thresholds": thresholds})
    noon = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for _ in range(8):
        await world.rpc(
            "record_scan_event", "service", unit_id=unit_id, scanned_at=noon.isoformat()
        )
    found = await deliveries(world)
    by_event: dict[UUID, list[dict[str, Any]]] = {}
    for each in found:
        by_event.setdefault(each["event_id"], []).append(each)
    assert [len(each) for each in by_event.values()] == [2, 2, 2]
    assert [each[0]["data"]["severity"] for each in by_event.values()] == [
        "review",
        "elevated",
        "high",
    ]
    assert found[0]["data"] == {
        "brand_id": str(world.brand_id),
        "unit_id": str(unit_id),
        "mint_batch_id": str(submitted["mint_batch_id"]),
        "product_id": str(await value(world, "select product_id from mint_batch")),
        "day": noon.date().isoformat(),
        "severity": "review",
    }


@pytest.mark.long
async def test_nobody_is_told_of_what_he_does_not_want_or_of_another_brand(world: World) -> None:
    await webhook_of(world, URL, "mint_job.failed")
    await webhook_of(world, URL, caller="stranger")
    await world.minted(1, gtin=None)
    assert await deliveries(world) == []


async def test_a_failure_is_tried_again_by_the_schedule_and_then_failed(world: World) -> None:
    world = knowing(world, webhook_disable_days=365)
    schedule = world.platform.limits.webhook_retry_s
    async with receiver() as found:
        found.answers = [answer(503)]
        await webhook_of(world, found.url, "mint_job.completed")
        await world.minted(1, gtin=None)
        for tried, pause_s in enumerate(schedule, 1):
            (waiting,) = await deliveries(world)
            now = waiting["next_try_at"]
            assert await sent(world, now - timedelta(milliseconds=1)) == "idle"
            assert await sent(world, now) == "retried"
            (waiting,) = await deliveries(world)
            assert waiting["attempts"] == tried
            waited_s = (waiting["next_try_at"] - now).total_seconds()
            assert 0.9 * pause_s <= waited_s <= 1.1 * pause_s
        assert await sent(world, waiting["next_try_at"]) == "failed"
        (over,) = await deliveries(world)
        assert (over["status"], over["attempts"]) == ("failed", len(schedule) + 1)
        assert (over["answer_code"], over["next_try_at"]) == (503, None)
        await world.rpc("redeliver_webhook", webhook_delivery_id=over["id"])
        found.answers = [answer(200)]
        assert await sent(world) == "delivered"
    assert len(set(found.ids)) == 1
    assert len(set(found.bodies)) == 1


@pytest.mark.long
async def test_a_webhook_that_fails_for_days_is_disabled_and_told_nothing_more(
    world: World,
) -> None:
    world = knowing(world)
    async with receiver() as found:
        found.answers = [answer(500)]
        await webhook_of(world, found.url, "mint_job.completed")
        await world.minted(1, gtin=None)
        now = await value(world, "select next_try_at from webhook_delivery")
        assert await sent(world, now) == "retried"
        await world.minted(1, gtin=None)
        limit = now + timedelta(days=world.platform.limits.webhook_disable_days)
        assert await sent(world, limit - timedelta(seconds=1)) == "retried"
        assert await sent(world, limit + timedelta(days=1)) == "disabled"
        assert await sent(world, limit + timedelta(days=9)) == "idle"
    kept = await row(world, "select * from webhook")
    assert (kept["status"], kept["disabled_reason"]) == ("disabled", "failing")
    assert {each["status"] for each in await deliveries(world)} == {"failed"}
    newest, *_ = await payloads(world, "settings_changed")
    assert (newest["change"], newest["reason"]) == ("disabled", "failing")
    assert "hidden" not in str(newest)
    before = len(await deliveries(world))
    await world.minted(1, gtin=None)
    assert len(await deliveries(world)) == before


@pytest.mark.long
async def test_a_success_ends_a_time_of_failure(world: World) -> None:
    world = knowing(world)
    async with receiver() as found:
        found.answers = [answer(500), answer(200)]
        await webhook_of(world, found.url, "mint_job.completed")
        await world.minted(1, gtin=None)
        assert await sent(world) == "retried"
        assert await value(world, "select failing_since from webhook") is not None
        assert await sent(world, datetime.now(UTC) + timedelta(minutes=1)) == "delivered"
    assert await value(world, "select failing_since from webhook") is None


async def test_gone_disables_at_once(world: World) -> None:
    world = knowing(world)
    async with receiver() as found:
        found.answers = [answer(410)]
        await webhook_of(world, found.url, "mint_job.completed")
        await world.minted(1, gtin=None)
        await world.minted(1, gtin=None)
        assert await all_sent(world) == ["disabled"]
    assert await value(world, "select disabled_reason from webhook") == "gone"
    assert Counter(each["failure"] for each in await deliveries(world)) == {
        "GONE": 1,
        "WEBHOOK_DISABLED": 1,
    }


@pytest.mark.long
async def test_a_worker_that_dies_in_the_middle_leaves_a_message_that_is_sent_again(
    world: World,
) -> None:
    world = knowing(world)
    async with receiver() as found:
        found.answers = [None, answer(200)]
        await webhook_of(world, found.url, "mint_job.completed")
        await world.minted(1, gtin=None)
        dying = asyncio.create_task(sent(world))
        while not found.heads:
            await asyncio.sleep(0.01)
        dying.cancel()
        await asyncio.gather(dying, return_exceptions=True)
        assert await sent(world) == "idle"
        lapsed = datetime.now(UTC) + timedelta(seconds=world.platform.limits.webhook_lease_s + 1)
        assert await sent(world, lapsed) == "delivered"
    assert found.ids[0] == found.ids[1]
    (kept,) = await deliveries(world)
    assert kept["attempts"] == 2


async def test_a_late_sender_closes_nothing(world: World) -> None:
    await webhook_of(world, URL, "mint_job.completed")
    await world.minted(1, gtin=None)
    later = datetime.now(UTC) + timedelta(minutes=5)
    second = replace(world.platform, pinned_now=later).transactions(SYSTEM, "test")

    async def well(_request: WebhookRequest) -> WebhookAnswer:
        return WebhookAnswer(200)

    async def slow(_request: WebhookRequest) -> WebhookAnswer:
        assert await send_due_webhook(second, well) == "delivered"
        return WebhookAnswer(500, "HTTP_STATUS")

    assert await send_due_webhook(transactions(world), slow) == "lost"
    (kept,) = await deliveries(world)
    assert kept["status"] == "delivered"


@pytest.mark.long
async def test_several_workers_send_each_message_once(world: World) -> None:
    world = with_limits(world, webhook_sends_at_once_each=100)
    for _ in range(2):
        await webhook_of(world, URL, "mint_job.completed", "mint_batch.status_changed")
    for _ in range(4):
        await world.minted(1, gtin=None)
    told_of: list[tuple[str, str]] = []

    async def note(request: WebhookRequest) -> WebhookAnswer:
        told_of.append((request.headers["webhook-id"], request.headers["webhook-signature"]))
        await asyncio.sleep(0)
        return WebhookAnswer(200)

    async def work() -> None:
        while await send_due_webhook(transactions(world), note) != "idle":
            pass

    await asyncio.gather(*(work() for _ in range(4)))
    assert len(told_of) == 16
    assert set(Counter(identifier for identifier, _ in told_of).values()) == {2}
    assert {each["status"] for each in await deliveries(world)} == {"delivered"}


@pytest.mark.long
async def test_a_slow_webhook_has_two_under_way_and_others_go_on(world: World) -> None:
    await webhook_of(world, URL, "mint_job.completed")
    for _ in range(3):
        await world.minted(1, gtin=None)
    going_on = asyncio.Event()
    urls: list[str] = []

    async def send(request: WebhookRequest) -> WebhookAnswer:
        urls.append(request.url)
        if request.url == URL:
            await going_on.wait()
        return WebhookAnswer(200)

    async def one() -> str:
        return await send_due_webhook(transactions(world), send)

    held = []
    for count in (1, 2):
        held.append(asyncio.create_task(one()))
        while len(urls) < count:
            await asyncio.sleep(0.01)
    await webhook_of(world, "https://example.com/quick", "mint_job.completed")
    await world.minted(1, gtin=None)
    assert [await one(), await one()] == ["delivered", "idle"]
    assert urls == [URL, URL, "https://example.com/quick"]
    going_on.set()
    assert await asyncio.gather(*held) == ["delivered", "delivered"]
    assert await one() == "delivered"


@pytest.mark.long
async def test_a_void_and_the_end_of_a_job_are_told_as_one_of_them_wins(world: World) -> None:
    await webhook_of(
        world, URL, "mint_job.completed", "mint_job.failed", "mint_batch.status_changed"
    )
    submitted = await world.submit(await world.product(), 1)
    await asyncio.gather(
        cycle(world, submitted),
        world.rpc(
            "set_mint_batch_status", mint_batch_id=submitted["mint_batch_id"], status="voided"
        ),
    )
    found = told(await deliveries(world))
    ended = ("mint_job.completed", None), ("mint_batch.status_changed", "minted")
    failed = (("mint_job.failed", None),)
    status = await value(world, "select status from mint_job")
    expected = ended if status == "COMPLETED" else failed
    assert found == Counter([*expected, ("mint_batch.status_changed", "voided")])


@pytest.mark.long
async def test_a_lane_is_woken_and_tells(world: World, dsn: str) -> None:
    world = knowing(world, poll_interval_s=3600.0)
    told_of = asyncio.Event()

    async def note(_request: WebhookRequest) -> WebhookAnswer:
        told_of.set()
        return WebhookAnswer(200)

    async def step() -> bool:
        return await send_due_webhook(transactions(world), note) != "idle"

    no_duties: tuple[Duty, ...] = ()
    worker = Worker(world.platform, dsn, (Lane("webhook_delivery", step, 2),), no_duties)
    running = asyncio.create_task(worker.run())
    await webhook_of(world, URL, "mint_job.completed")
    heard = (
        "select count(*) from pg_stat_activity "
        "where datname = current_database() and query ilike '%listen%' || $1 || '%'"
    )
    while not await value(world, heard, CHANNEL):
        await asyncio.sleep(0.01)
    await world.minted(1, gtin=None)
    async with asyncio.timeout(60):
        await told_of.wait()
    worker.stop()
    await running


@pytest.mark.long
async def test_finished_deliveries_are_removed_when_they_are_old(world: World) -> None:
    world = knowing(world)
    async with receiver() as found:
        made = await webhook_of(world, found.url, "mint_job.completed")
        await world.minted(1, gtin=None)
        await all_sent(world)
        await world.minted(1, gtin=None)
    soon, later = [datetime.now(UTC) + timedelta(days=days) for days in (29, 31)]
    for moment, removed in ((soon, 0), (later, 1)):
        moved = at(world, moment).platform.transactions(SYSTEM, "test")
        assert await remove_old_webhook_deliveries(moved) == removed
    (waiting,) = await deliveries(world)
    assert waiting["status"] == "pending"
    await world.rpc("remove_webhook", webhook_id=made["webhook"]["id"])
    moved = at(world, later).platform.transactions(SYSTEM, "test")
    await remove_old_webhook_deliveries(moved)
    assert await value(world, "select count(*) from webhook") == 0


@pytest.mark.long
async def test_sends_are_counted_by_what_they_come_to(world: World) -> None:
    world = knowing(world)
    before = COUNTS["delivered"]
    async with receiver() as found:
        await webhook_of(world, found.url, "mint_job.completed")
        await world.minted(1, gtin=None)
        await all_sent(world)
    assert COUNTS["delivered"] == before + 1
