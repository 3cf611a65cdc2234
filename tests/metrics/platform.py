"""A whole platform in this process, opened as `mintage serve` opens it, and work for it to do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2

from mintage.app import Doors, Runtime, listen_for_metrics, open_doors, open_runtime, run_worker
from mintage.perform import Platform
from mintage.settings import read_settings
from mintage.tokens import service_key
from tests.machines.processes import IPHONE, free_port
from tests.support.webhooks import Receiver
from tests.support.world import World, build_world

TOKEN = "0123456789abcdef01234567"
PUBLIC = "http://mint.example.com"


@dataclass(frozen=True)
class Running:
    """`client` asks the doors as the service, `metrics_url` is the listener of its own."""

    runtime: Runtime
    client: httpx2.AsyncClient
    world: World
    metrics_url: str

    async def scrape(self, accept: str = "text/plain") -> httpx2.Response:
        async with httpx2.AsyncClient() as client:
            return await client.get(f"{self.metrics_url}/metrics", headers={"accept": accept})

    async def rpc(self, name: str, /, **given: object) -> dict[str, Any]:
        body = {"_brand_id": str(self.world.brand_id)} | {
            f"_{key}": value for key, value in given.items()
        }
        answer = await self.client.post(f"/rest/v1/rpc/{name}", json=body)
        content: dict[str, Any] = answer.json()
        assert answer.status_code == 200, content
        return content

    async def tell(self, receiver: Receiver) -> str:
        """A webhook of the receiver for ends of jobs; its secret."""
        url = f"http://127.0.0.1:{receiver.port}/hooks?token=hidden"
        made = await self.rpc("create_webhook", url=url, event_types=["mint_job.completed"])
        secret: str = made["secret"]
        return secret

    async def until_told(self, receiver: Receiver) -> None:
        """Return once what the receiver was sent is booked."""
        webhook_id = (await self.rpc("list_webhooks"))["webhooks"][0]["id"]
        async with asyncio.timeout(60):
            while not (
                receiver.heads
                and (
                    await self.rpc(
                        "list_webhook_deliveries", webhook_id=webhook_id, status="delivered"
                    )
                )["deliveries"]
            ):
                await asyncio.sleep(0.02)

    async def work(self, units: int = 20) -> None:
        """Mint, export, scan, miss, sign in wrongly: something of everything that is counted."""
        product_id = str(await self.world.product(gtin="9506000134352"))
        submitted = await self.rpc(
            "submit_mint_request",
            product_id=product_id,
            requested_quantity=units,
            identity_mode="serial",
            activation_mode="first_scan",
        )
        batch_id = submitted["mint_batch_id"]
        async with asyncio.timeout(60):
            while (await self.rpc("get_mint_batch_by_id", mint_batch_id=batch_id))["batch"][
                "status"
            ] != "minted":
                await asyncio.sleep(0.02)
            group = await self.rpc("request_payload_packs", mint_batch_id=batch_id, format="csv")
            group_id = group["export_group_id"]
            while not all(
                pack["status"] == "completed"
                for pack in (await self.rpc("list_payload_packs", export_group_id=group_id))[
                    "packs"
                ]
            ):
                await asyncio.sleep(0.02)
        listed = await self.rpc("list_mint_units", mint_batch_id=batch_id)
        scanned = listed["units"][0]["resolver_url"]
        for url in (scanned, scanned, scanned[:-1] + ("2" if scanned[-1] != "2" else "3")):
            await self.client.get(url, headers={"user-agent": IPHONE, "authorization": ""})
        await self.client.get(
            "https://acme.example.com/mu/00000000-0000-0000-0000-000000000000",
            headers={"user-agent": IPHONE},
        )
        wrong = {"email": "owner@example.com", "password": "wrong password"}
        await self.client.post("/auth/v1/token?grant_type=password", json=wrong)
        await self.client.get("/console/sign-in")
        await self.client.get("/console/b/acme/units/x")
        await self.client.get("/nothing/here")


@asynccontextmanager
async def running(dsn: str, folder: Path, **environment: str) -> AsyncIterator[Running]:
    """A platform on the migrated database of `dsn`, with both ways to its metrics."""
    port = free_port()
    given = {
        "MINTAGE_DATA": str(folder),
        "MINTAGE_DATABASE_URL": dsn,
        "MINTAGE_URL": PUBLIC,
        "MINTAGE_METRICS_LISTEN": f"127.0.0.1:{port}",
        "MINTAGE_WEBHOOK_PRIVATE_HOSTS": "127.0.0.1",
    } | environment
    settings = read_settings(given)
    settings = replace(settings, limits=replace(settings.limits, poll_interval_s=0.05))
    async with AsyncExitStack() as stack:
        runtime = await stack.enter_async_context(
            open_runtime(settings, application="test", may_migrate=False)
        )
        app = await stack.enter_async_context(open_doors(runtime, Doors()))
        world = await build_world(Platform(runtime.platform.database, settings.limits))
        await stack.enter_async_context(run_worker(runtime))
        await stack.enter_async_context(listen_for_metrics(runtime))
        client = await stack.enter_async_context(
            httpx2.AsyncClient(
                transport=httpx2.ASGITransport(app),
                base_url=PUBLIC,
                headers={"authorization": f"Bearer {service_key(runtime.secrets)}"},
            )
        )
        yield Running(runtime, client, world, f"http://127.0.0.1:{port}")
