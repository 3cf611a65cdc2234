"""What tests of webhooks do again and again: rows as they would be, a receiver, sending by a moved clock."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any
from uuid import UUID

from mintage.operations.call import SYSTEM
from mintage.operations.webhook_secrets import Sealer
from mintage.operations.webhook_sending import SendResult, send_due_webhook
from mintage.rules.webhooks import WEBHOOK_EVENT_TYPES
from mintage.worker.webhook_http import Address, WebhookSender
from tests.support.minting import rows, with_limits
from tests.support.world import World

if TYPE_CHECKING:
    from mintage.db.connection import Connection

HOST = "receiver.internal"
SEALER = Sealer(lambda: (b"\x07" * 32,))


@dataclass
class Receiver:
    """A server on loopback: `answers` are whole HTTP answers, the last one for ever; None lets it wait."""

    port: int = 0
    answers: list[bytes | None] = field(default_factory=lambda: [answer(204)])
    heads: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}/hooks?token=hidden"

    @property
    def ids(self) -> list[str]:
        return [head["webhook-id"] for head in self.heads]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for body in self.bodies]


def answer(status: int, body: bytes = b"", *headers: str) -> bytes:
    """An HTTP answer."""
    head = [
        f"HTTP/1.1 {status} Said",
        f"content-length: {len(body)}",
        "connection: close",
        *headers,
    ]
    return "\r\n".join([*head, "", ""]).encode() + body


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver that answers 204 until it is told otherwise."""
    found = Receiver()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:-2]
            head = {
                name.lower(): value for name, _, value in (line.partition(": ") for line in lines)
            }
            body = await reader.readexactly(int(head["content-length"]))
            said = found.answers.pop(0) if len(found.answers) > 1 else found.answers[0]
            found.heads.append(head)
            found.bodies.append(body)
            if said is None:
                await reader.read()
            else:
                writer.write(said)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        found.port = server.sockets[0].getsockname()[1]
        yield found


async def to_loopback(host: str, _port: int) -> Sequence[Address]:
    """A resolver that knows one name."""
    if host != HOST:
        raise OSError(f"no address of {host}")
    return [IPv4Address("127.0.0.1")]


def knowing(world: World, **changes: Any) -> World:
    """The world of an operator who has named the receiver's host."""
    return with_limits(world, webhook_private_hosts=(HOST,), **changes)


async def webhook_of(
    world: World, url: str, *event_types: str, caller: str = "owner", **more: Any
) -> dict[str, Any]:
    """A webhook as `create_webhook` answers it; for all events unless told otherwise."""
    wanted = list(event_types or WEBHOOK_EVENT_TYPES)
    return await world.rpc("create_webhook", caller, url=url, event_types=wanted, **more)


async def sent(world: World, at: datetime | None = None) -> SendResult:
    """Send what is due by the clock, or at `at`: one delivery."""
    platform = replace(world.platform, pinned_now=at)
    sender = WebhookSender(platform.limits, resolve=to_loopback)
    return await send_due_webhook(platform.transactions(SYSTEM, "test"), sender.send)


async def all_sent(world: World, at: datetime | None = None) -> list[SendResult]:
    """Send until nothing is due."""
    results: list[SendResult] = []
    while (result := await sent(world, at)) != "idle":
        results.append(result)
    return results


async def deliveries(world: World) -> list[dict[str, Any]]:
    """The outbox, oldest first."""
    return await rows(world, "select * from webhook_delivery order by created_at, event_id, id")


async def put_webhook(
    connection: Connection, brand_id: UUID, webhook_id: UUID, delivery_id: UUID
) -> None:
    """A webhook that is active, whatever it was, and a delivery of it that has failed."""
    await connection.execute(
        "insert into webhook (brand_id, id, url, event_types, status, secret_sealed, created_at) "
        "values ($1, $2, 'https://example.com/', '{mint_job.completed}', 'active', '', now()) "
        "on conflict (brand_id, id) do update "
        "set status = 'active', secret_sealed = '', removed_at = null",
        brand_id,
        webhook_id,
    )
    await connection.execute(
        "insert into webhook_delivery "
        "(brand_id, id, webhook_id, event_id, event_type, data, status, failure, created_at) "
        "values ($1, $2, $3, $2, 'mint_job.completed', '{}', 'failed', 'TIMEOUT', now()) "
        "on conflict (brand_id, id) do update set status = 'failed', next_try_at = null",
        brand_id,
        delivery_id,
        webhook_id,
    )


def webhook_examples(webhook_id: str) -> list[dict[str, object]]:
    """Right arguments of `create_webhook`: a new one, and another one in place of `webhook_id`."""
    url = "https://example.com/mintage"
    return [
        {"_url": url, "_event_types": ["mint_job.completed"]},
        {"_url": url, "_event_types": list(WEBHOOK_EVENT_TYPES), "_webhook_id": webhook_id},
    ]


def redeliver_examples(webhook_id: str, delivery_id: str) -> list[dict[str, object]]:
    """Right arguments of `redeliver_webhook`: one delivery, and all that failed in a time."""
    some_time: dict[str, object] = {"_from": "2020-01-31T12:00:00Z", "_to": "2099-01-31T12:00:00Z"}
    return [{"_webhook_delivery_id": delivery_id}, some_time | {"_webhook_id": webhook_id}]
