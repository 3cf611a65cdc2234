"""Web, resolver and workers as processes of their own, all through one PgBouncer."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from uuid import uuid4

import pytest

from tests.conftest import with_database
from tests.machines.pooler import pgbouncer
from tests.machines.processes import Brand, free_port, machines, scan, until
from tests.machines.servers import ask

pytestmark = pytest.mark.long
UNITS = 25_000


async def test_the_main_job_runs_on_many_machines(server_dsn: str, tmp_path: Path) -> None:
    name = f"test_{uuid4().hex[:12]}"
    await ask(server_dsn, f"create database {name}")
    dsn = with_database(server_dsn, name)
    async with (
        pgbouncer(dsn, port=free_port()) as pooled,
        machines(tmp_path, MINTAGE_DATABASE_URL=pooled) as fleet,
    ):
        refused = await fleet.run("migrate")
        assert "MINTAGE_DIRECT_DATABASE_URL" in refused.stderr
        await fleet.done("migrate", MINTAGE_DIRECT_DATABASE_URL=dsn)
        web, resolver = await asyncio.gather(fleet.serve("web"), fleet.serve("resolver"))
        fleet.start("mintage", "work")
        fleet.start("mintage", "work", MINTAGE_DIRECT_DATABASE_URL=dsn)
        service = await fleet.service(web)
        async with service.client() as client:
            brand = await fleet.brand(client)
            batch_ids = await _mint(brand)
            await _export(brand, batch_ids[0])
            await _scan(brand, batch_ids[0], resolver)
        counted = (
            "select count(distinct unit_no) from mint_unit where mint_batch_id = $1::text::uuid"
        )
        for batch_id in batch_ids:
            assert await ask(dsn, counted, batch_id) == UNITS
        assert "invariants hold" in await fleet.done("check")
    await ask(server_dsn, f"drop database {name} with (force)")


async def _mint(brand: Brand) -> list[str]:
    product_id = await brand.product()
    common = {
        "product_id": product_id,
        "requested_quantity": UNITS,
        "activation_mode": "first_scan",
    }
    lots = [{"lot_code": "L1", "qty": UNITS - 1}, {"lot_code": "L2", "qty": 1}]
    submitted = await asyncio.gather(
        *(brand.rpc("submit_mint_request", identity_mode="serial", **common) for _ in range(2)),
        brand.rpc("submit_mint_request", identity_mode="batch", lots=lots, **common),
    )
    for answer in submitted:
        await brand.until_minted(answer["mint_batch_id"])
    return [answer["mint_batch_id"] for answer in submitted]


async def _export(brand: Brand, batch_id: str) -> None:
    packs = await brand.exported(batch_id)
    assert sum(pack["unit_count"] for pack in packs) == UNITS
    for pack in packs[:2]:
        content = await brand.downloaded(pack)
        assert hashlib.sha256(content).hexdigest() == pack["sha256"]


async def _scan(brand: Brand, batch_id: str, resolver: str) -> None:
    urls = await brand.resolver_urls(batch_id, 20)
    answers = await asyncio.gather(*(scan(resolver, url) for url in urls))
    assert [answer.status_code for answer in answers] == [307] * len(urls)
    assert (await scan(resolver, urls[0] + "X")).status_code == 404

    async def are_counted() -> bool:
        kpis = (await brand.rpc("get_mint_kpis"))["kpis"]
        return (kpis["scans_total"], kpis["units_active"]) == (len(urls), len(urls))

    await until(are_counted)
