"""The control plane on loopback, in a thread of its own, over a filled database: for clients that block.

The doors run in their own event loop; what a test needs is in `Running`. Limits on the number of calls
are far away.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from uuid import uuid4

import asyncpg
import uvicorn

from mintage.api.app import build_api
from mintage.api.door import Door
from mintage.db.connection import open_database
from mintage.perform import Platform
from mintage.secrets import new_secrets_text, parse_secrets
from mintage.settings import Limits, read_settings
from mintage.storage import open_pack_store
from mintage.tokens import now_s, service_key
from tests.conftest import with_database
from tests.contract.stage import Stage, build_stage
from tests.support.webhooks import SEALER
from tests.support.world import build_world


@dataclass(frozen=True)
class Running:
    """`ids` are the stage's, by argument; tokens are good for a day."""

    base_url: str
    ids: dict[str, list[str]]
    owner_token: str
    service_token: str


@contextmanager
def running_api(server_dsn: str, template: str, folder: Path) -> Iterator[Running]:
    """Serve until the context ends."""
    started: Future[Running] = Future()
    stopping = threading.Event()
    thread = threading.Thread(
        target=lambda: asyncio.run(_serve(server_dsn, template, folder, started, stopping)),
        name="control plane",
    )
    thread.start()
    try:
        yield started.result(timeout=60)
    finally:
        stopping.set()
        thread.join()


async def _serve(
    server_dsn: str,
    template: str,
    folder: Path,
    started: Future[Running],
    stopping: threading.Event,
) -> None:
    name = f"test_{uuid4().hex[:12]}"
    connection = await asyncpg.connect(server_dsn)
    try:
        await connection.execute(f"create database {name} template {template} strategy file_copy")
        await _serve_database(with_database(server_dsn, name), folder, started, stopping)
    except BaseException as error:
        if not started.done():
            started.set_exception(error)
        raise
    finally:
        await connection.execute(f"drop database if exists {name} with (force)")
        await connection.close()


async def _serve_database(
    dsn: str, folder: Path, started: Future[Running], stopping: threading.Event
) -> None:
    database = await open_database(
        dsn, connections=10, statement_timeout_s=30, application="fuzzing"
    )
    try:
        limits = Limits(job_lease_s=5.0, backoff_s=(0.0, 0.0), calls_a_minute=1_000_000)
        stage = await build_stage(await build_world(Platform(database, limits, sealer=SEALER)))
        settings = read_settings({"MINTAGE_DATA": str(folder)})
        secrets = parse_secrets(new_secrets_text())
        store = open_pack_store(None, settings.data_dir)
        door = Door(stage.world.platform, settings, secrets, store)
        config = uvicorn.Config(
            build_api(door), port=0, log_config=None, lifespan="off", ws="none", server_header=False
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        started.set_result(_running(stage, door, f"http://127.0.0.1:{port}"))
        while not stopping.is_set():
            await asyncio.sleep(0.05)
        server.should_exit = True
        await serving
    finally:
        await database.close()


def _running(stage: Stage, door: Door, base_url: str) -> Running:
    ids = {f"_{field.name}": [str(getattr(stage.mine, field.name))] for field in fields(stage.mine)}
    ids["_brand_id"] = [str(stage.world.brand_id)]
    ids["_mint_job_id"] += ids.pop("_preflight_id") + ids.pop("_failed_job_id")
    owner_token = door.tokens.make_session_token(
        user_id=stage.world.user_ids["owner"],
        session_id=uuid4(),
        email="owner@example.com",
        issued_at=now_s(),
        expires_at=now_s() + 86_400,
    )
    return Running(base_url, ids, owner_token, service_key(door.secrets))
