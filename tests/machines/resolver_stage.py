"""A server of a test's own with a brand, its units, and a login that has the resolver's role and no other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from mintage.db import embedded
from mintage.db.connection import open_database
from mintage.db.migrate import migrate
from mintage.perform import Platform
from mintage.settings import Limits
from tests.machines.servers import DATABASE, ask, scratch_folder
from tests.schema.servers import as_login
from tests.support.world import World, build_world

LOGIN = "public_side"


@dataclass
class Stage:
    """`urls` are printed ones, of units that wait for their first scan."""

    folder: Path
    server: embedded.EmbeddedServer
    dsn: str
    product_id: str
    urls: list[str]

    @property
    def resolvers_dsn(self) -> str:
        return as_login(self.dsn, LOGIN)

    async def stop_server(self) -> None:
        """As an administrator does who wants nobody to wait: sessions are cut off."""
        await embedded.stop(self.server)

    async def start_server(self) -> None:
        self.server = await embedded.start(self.folder, durable=False)


@asynccontextmanager
async def resolver_stage(units: int) -> AsyncIterator[Stage]:
    async with scratch_folder() as folder:
        server = await embedded.start(folder / "server", durable=False)
        stage: Stage | None = None
        try:
            dsn = await embedded.ensure_database(server, DATABASE)
            await migrate(dsn)
            await ask(dsn, f"create role {LOGIN} login in role mintage_resolver")
            product_id, urls = await _minted(dsn, units)
            stage = Stage(folder / "server", server, dsn, product_id, urls)
            yield stage
        finally:
            await embedded.stop(stage.server if stage is not None else server)


async def _minted(dsn: str, units: int) -> tuple[str, list[str]]:
    database = await open_database(
        dsn, connections=3, statement_timeout_s=30, application="control plane"
    )
    try:
        world: World = await build_world(Platform(database, Limits()))
        submitted = await world.minted(units)
        urls: list[str] = []
        cursor = None
        while len(urls) < units:
            page = await world.rpc(
                "list_mint_units",
                mint_batch_id=submitted["mint_batch_id"],
                limit=200,
                cursor=cursor,
            )
            urls += [unit["resolver_url"] for unit in page["units"]]
            cursor = page["next_cursor"]
        batch = await world.rpc("get_mint_batch_by_id", mint_batch_id=submitted["mint_batch_id"])
        return str(batch["batch"]["product_id"]), urls
    finally:
        await asyncio.shield(database.close())
