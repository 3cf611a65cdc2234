"""Signatures as Standard Webhooks has them, by other means than ours; and secrets are in no line of a log."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from mintage.operations.webhook_secrets import Sealer
from mintage.operations.webhook_sending import (
    WebhookAnswer,
    WebhookRequest,
    send_due_webhook,
    signatures,
)
from mintage.worker.loop import Lane, Worker
from tests.support.minting import transactions, value
from tests.support.webhooks import all_sent, answer, knowing, receiver, sent, webhook_of
from tests.support.world import World

EVENT = "mint_job.completed"
LIBRARIES = ("httpx2", "httpcore2", "httpcore", "asyncio", "asyncpg")


@pytest.mark.parametrize("hours", [0, 2, -7])
def test_the_published_vector_is_signed_as_published(hours: int) -> None:
    """github.com/standard-webhooks/standard-webhooks, libraries/javascript/src/webhook.test.ts @ 10d3e46d."""
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    moment = datetime.fromtimestamp(1614265330, timezone(timedelta(hours=hours)))
    found = signatures([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", moment, '{"test": 2432232314}')
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_what_arrives_is_signed_by_each_secret_as_the_specification_says(
    world: World,
) -> None:
    """HMAC-SHA256 of `id.timestamp.body` under the bytes behind `whsec_`, by the standard library alone."""
    world = knowing(world)
    async with receiver() as found:
        old = await webhook_of(world, found.url, EVENT)
        new = await webhook_of(world, found.url, EVENT, webhook_id=old["webhook"]["id"])
        await world.minted(1)
        assert await all_sent(world) == ["delivered"]
    (head,), (body,) = found.heads, found.bodies
    content = f"{head['webhook-id']}.{head['webhook-timestamp']}.".encode() + body
    expected = []
    for made in (new, old):
        key = base64.b64decode(made["secret"].removeprefix("whsec_"), validate=True)
        assert 24 <= len(key) <= 64
        mac = hmac.new(key, content, hashlib.sha256).digest()
        expected.append("v1," + base64.b64encode(mac).decode())
    assert head["webhook-signature"].split(" ") == expected
    assert abs(int(head["webhook-timestamp"]) - datetime.now(UTC).timestamp()) < 300
    assert "." not in head["webhook-id"]


@pytest.fixture
def log_of_all(log: Callable[[], str]) -> Iterator[Callable[[], str]]:
    """The log, were all let through that libraries have to say."""
    loggers = {name: logging.getLogger(name).level for name in LIBRARIES}
    (handler,) = [each for each in logging.getLogger().handlers if _is_ours(each)]
    before = handler.level
    handler.setLevel(logging.NOTSET)
    for name in loggers:
        logging.getLogger(name).setLevel(logging.DEBUG)
    yield log
    handler.setLevel(before)
    for name, level in loggers.items():
        logging.getLogger(name).setLevel(level)


def _is_ours(handler: logging.Handler) -> bool:
    return type(handler).__module__ == "mintage.telemetry"


async def test_no_line_of_a_log_has_a_url_a_secret_or_a_signature(
    world: World, dsn: str, log_of_all: Callable[[], str]
) -> None:
    """However a delivery fails."""
    world = knowing(world)
    async with receiver() as found, receiver() as elsewhere:
        made = await webhook_of(world, found.url, EVENT)
        found.answers = [
            answer(500, b"told you: hidden"),
            answer(302, b"", f"location: {elsewhere.url}"),
            answer(429, b"", "retry-after: hidden"),
            b"no HTTP, hidden\r\n\r\n",
        ]
        for _ in found.answers:
            await world.minted(1, gtin=None)
        assert await all_sent(world) == ["retried"] * 4
        given = await value(world, "select max(next_try_at) from webhook_delivery")
        await _fails_in_a_worker(world, dsn, given)
    assert await sent(world, given + timedelta(minutes=5)) == "retried"
    others = Sealer(lambda: (b"\x08" * 32,))
    keyless = world.with_platform(replace(world.platform, sealer=others))
    assert await sent(keyless, given + timedelta(hours=1)) == "idle"
    told = log_of_all()
    events = {json.loads(line)["event"] for line in told.splitlines()}
    assert events >= {
        "a webhook was not delivered",
        "a step failed",
        "a webhook's secret was sealed with another key",
        "a library logged something",
    }
    key = made["secret"].removeprefix("whsec_")
    for hidden in ("hidden", key, *(head["webhook-signature"] for head in found.heads)):
        assert hidden not in told


async def _fails_in_a_worker(world: World, dsn: str, now: datetime) -> None:
    """A fault of ours while sending, whose text has all that is in the request."""
    moved = replace(world.platform, pinned_now=now)

    async def breaks(request: WebhookRequest) -> WebhookAnswer:
        raise RuntimeError(f"{request.url} {request.headers} {request.body!r}")

    async def step() -> bool:
        worker.stop()
        result = await send_due_webhook(transactions(world.with_platform(moved)), breaks)
        return result != "idle"

    worker = Worker(world.platform, dsn, (Lane("webhook_delivery", step),), ())
    await worker.run()


def test_a_request_in_a_message_hides_what_it_carries() -> None:
    request = WebhookRequest(
        "https://example.com/?token=hidden", {"webhook-signature": "v1,x"}, b""
    )
    assert "hidden" not in repr(request)
    assert "v1,x" not in repr(request)
