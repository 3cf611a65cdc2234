"""What the benchmarks share: a server of their own, a brand that may mint, and how figures are printed."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from uuid import UUID, uuid4

from mintage.db import embedded
from mintage.db.connection import Database, open_database
from mintage.db.migrate import migrate
from mintage.operations.call import SERVICE, Caller
from mintage.perform import Platform, perform
from mintage.rpcs import RPCS
from mintage.settings import Limits


@asynccontextmanager
async def server(kept: Path | None = None) -> AsyncIterator[str]:
    """A durable embedded PostgreSQL with Mintage's schema; its DSN. MINTAGE_BENCH_DIR says where.

    With `kept` it lies in that folder and stays there for another run.
    """
    folder = kept or Path(
        tempfile.mkdtemp(prefix="mintage-bench-", dir=os.environ.get("MINTAGE_BENCH_DIR"))
    )
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    started = await embedded.start(folder)
    try:
        dsn = await embedded.ensure_database(started, "bench")
        await migrate(dsn)
        yield dsn
    finally:
        await embedded.stop(started)
        if kept is None:
            shutil.rmtree(folder, ignore_errors=True)


async def open_platform(dsn: str) -> Platform:
    database = await open_database(dsn, connections=4, statement_timeout_s=120, application="bench")
    return Platform(database, Limits())


async def make_brand(database: Database) -> tuple[UUID, Caller]:
    """A brand with a host and an owner."""
    brand_id, user_id = uuid4(), uuid4()
    slug = f"bench-{brand_id.hex[:8]}"
    async with database.transaction(SERVICE.identity(brand_id)) as connection:
        await connection.execute(
            "insert into brand (id, slug, name, created_at) values ($1, $2, $2, clock_timestamp())",
            brand_id,
            slug,
        )
        await connection.execute(
            "insert into brand_host (host, brand_id, base_url, is_primary, verified_at, created_at)"
            " values ($1, $2, $3, true, clock_timestamp(), clock_timestamp())",
            f"{slug}.example.com",
            brand_id,
            f"https://{slug}.example.com",
        )
        await connection.execute(
            "insert into app_user (id, email, email_key, password_hash, created_at, updated_at)"
            " values ($1, $2, $2, 'none', clock_timestamp(), clock_timestamp())",
            user_id,
            f"{slug}@example.com",
        )
        await connection.execute(
            "insert into brand_member (brand_id, user_id, role, created_at, updated_at)"
            " values ($1, $2, 'owner', clock_timestamp(), clock_timestamp())",
            brand_id,
            user_id,
        )
    return brand_id, Caller("user", user_id)


async def rpc(
    platform: Platform, caller: Caller, name: str, /, **arguments: object
) -> dict[str, object]:
    """Perform one RPC; arguments without the leading underscore."""
    raw = {
        f"_{key}": str(value) if isinstance(value, UUID) else value
        for key, value in arguments.items()
    }
    return dict(await perform(platform, caller, RPCS[name], raw, "bench"))


async def make_product(platform: Platform, caller: Caller, brand_id: UUID) -> UUID:
    """A product that is ACTIVE and READY."""
    made = await rpc(
        platform,
        caller,
        "create_product",
        brand_id=brand_id,
        sku="B-1",
        name="Bench",
        gtin="9506000134352",
    )
    product = made["product"]
    if not isinstance(product, dict):
        raise TypeError("create_product answers with a product")
    product_id = UUID(str(product["id"]))
    patch = {"commercial_status": "ACTIVE", "mint_readiness_status": "READY"}
    await rpc(
        platform, caller, "update_product", brand_id=brand_id, product_id=product_id, patch=patch
    )
    return product_id


def in_process(module: str, arguments: Sequence[str]) -> dict[str, float]:
    """The figures that `python -m module` prints with these arguments, in a process of its own."""
    finished = subprocess.run(
        [sys.executable, "-m", module, *arguments], check=True, stdout=subprocess.PIPE, text=True
    )
    figures: dict[str, float] = json.loads(finished.stdout)
    return figures


def turns(pairs: int, first: str, second: str) -> Iterator[tuple[str, str]]:
    """Which side goes first in each pair: now one, now the other."""
    for pair in range(pairs):
        yield (first, second) if pair % 2 == 0 else (second, first)


def used() -> dict[str, float]:
    """What this process has used so far: `cpu_s`, `peak_mib`."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {"cpu_s": usage.ru_utime + usage.ru_stime, "peak_mib": usage.ru_maxrss / 1024}


def spread(values: Sequence[float]) -> str:
    """`median (least-most)` of some figures."""
    return f"{median(values):.3f} ({min(values):.3f}-{max(values):.3f})"
