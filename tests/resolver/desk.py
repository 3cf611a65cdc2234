"""Where the resolver's tests scan: an application, phones that ask it, and a look at what was stored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import httpx2

from mintage.operations.call import SERVICE
from mintage.resolver.app import Resolver, build_resolver
from mintage.resolver.scan_buffer import ScanBuffer
from tests.support.world import World

IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/17.0 Mobile/15E148 Safari/604.1"
)
HOST = "acme.example.com"
BASE_URL = f"https://{HOST}"
NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
KEY = bytes(range(32))
PROXY = "10.0.0.9"


@dataclass(frozen=True)
class Desk:
    """One resolver on `world`'s database; its clock stands at NOW."""

    world: World
    resolver: Resolver
    buffer: ScanBuffer

    @asynccontextmanager
    async def phone(self, address: str = "203.0.113.77") -> AsyncIterator[httpx2.AsyncClient]:
        """A client at `address` that asks the brand's host and follows no redirect."""
        transport = httpx2.ASGITransport(app=build_resolver(self.resolver), client=(address, 4711))
        headers = {"User-Agent": IPHONE}
        async with httpx2.AsyncClient(
            transport=transport, base_url=BASE_URL, headers=headers
        ) as client:
            yield client

    async def settle(self) -> None:
        """Everything scanned so far is in the database."""
        await self.buffer.stop()

    async def fetch(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        """Rows of the world's brand, as the service sees them."""
        identity = SERVICE.identity(self.world.brand_id)
        async with self.world.platform.database.transaction(identity) as connection:
            rows: list[asyncpg.Record] = await connection.fetch(statement, *arguments)
            return rows

    async def value(self, statement: str, *arguments: object) -> Any:
        rows = await self.fetch(statement, *arguments)
        return rows[0][0] if rows else None

    async def outcomes(self) -> list[str]:
        """The outcomes of all stored scans, sorted: the clock stands still."""
        await self.settle()
        return sorted(row["outcome"] for row in await self.fetch("select outcome from scan_event"))

    async def activations_counted(self) -> int:
        """The sum of the `units_activated` deltas."""
        return int(
            await self.value(
                "select coalesce(sum(delta), 0) from tally_delta where metric = 'units_activated'"
            )
        )

    async def urls(self, mint_batch_id: object) -> list[str]:
        """The resolver paths of a batch's units, as listed."""
        listed = await self.world.rpc("list_mint_units", mint_batch_id=mint_batch_id, limit=200)
        return [unit["resolver_url"].removeprefix(BASE_URL) for unit in listed["units"]]

    async def void(self, mint_batch_id: object) -> None:
        await self.fetch(
            "update mint_batch set status = 'voided', voided_at = now() where brand_id = $1 and id = $2",
            self.world.brand_id,
            UUID(str(mint_batch_id)),
        )

    async def revoke(self, unit_id: object) -> None:
        await self.fetch(
            "insert into unit_state (brand_id, unit_id, revoked_at) values ($1, $2, now()) "
            "on conflict (brand_id, unit_id) do update set revoked_at = excluded.revoked_at",
            self.world.brand_id,
            UUID(str(unit_id)),
        )


async def get_all(
    client: httpx2.AsyncClient, paths: list[str], at_once: int = 16
) -> list[httpx2.Response]:
    """GET every path, some of them at a time."""
    gate = asyncio.Semaphore(at_once)

    async def get(path: str) -> httpx2.Response:
        async with gate:
            return await client.get(path)

    return list(await asyncio.gather(*(get(path) for path in paths)))
