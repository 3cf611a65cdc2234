"""A primary dies during a mint, its synchronous standby is promoted: nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest

from tests.machines.processes import Brand, machines, until
from tests.machines.servers import Pair, ask, running_pair

pytestmark = pytest.mark.long
SUBMITTERS = 4
JOBS_EACH = 6
UNITS = 9_000
BIG_JOB_UNITS = 200_000


async def test_nothing_acknowledged_is_lost_when_the_primary_dies(tmp_path: Path) -> None:
    async with (
        running_pair() as pair,
        machines(tmp_path, MINTAGE_DATABASE_URL=pair.url) as fleet,
    ):
        await fleet.done("migrate")
        web = await fleet.serve("web")
        for _ in range(2):
            fleet.start("tests.machines.worker")
        service = await fleet.service(web)
        async with service.client() as client:
            brand = await fleet.brand(client)
            product_id = await brand.product()
            big = await _submit(brand, product_id, "big", BIG_JOB_UNITS)
            submitting = asyncio.gather(
                *(_submit_some(brand, product_id, number) for number in range(SUBMITTERS))
            )
            seen = await _seen_midway(brand, big)
            pair.kill_primary()
            refused = await brand.ask("list_mint_batches")
            assert (refused.status_code, "retry-after" in refused.headers) == (503, True)
            await pair.promote_standby()
            acknowledged = [big, *(answer for some in await submitting for answer in some)]
            for answer in acknowledged:
                await brand.until_minted(answer["mint_batch_id"])
        await _has_all(pair, acknowledged, seen)
        assert "invariants hold" in await fleet.done("check")


async def _submit(brand: Brand, product_id: str, key: str, quantity: int = UNITS) -> dict[str, Any]:
    """Submit until it is acknowledged, as a client does who names each request."""
    while True:
        try:
            response = await brand.ask(
                "submit_mint_request",
                product_id=product_id,
                requested_quantity=quantity,
                identity_mode="serial",
                activation_mode="first_scan",
                idempotency_key=key,
            )
        except httpx2.TransportError:
            continue
        if response.status_code == 503:
            await asyncio.sleep(0.1)
            continue
        answer: dict[str, Any] = response.json()
        assert response.status_code == 200, answer
        assert answer["ok"], answer
        return answer | {"quantity": quantity}


async def _submit_some(brand: Brand, product_id: str, submitter: int) -> list[dict[str, Any]]:
    acknowledged = []
    for number in range(JOBS_EACH):
        acknowledged.append(await _submit(brand, product_id, f"{submitter}-{number}"))
        await asyncio.sleep(0.05)
    return acknowledged


async def _seen_midway(brand: Brand, big: dict[str, Any]) -> list[UUID]:
    """Units that a caller was shown while their job was under way."""
    batch_id = big["mint_batch_id"]

    async def has_begun() -> bool:
        minted: int = (await brand.batch(batch_id))["minted_quantity"]
        assert minted < BIG_JOB_UNITS
        return minted > 0

    await until(has_begun)
    page = await brand.rpc("list_mint_units", mint_batch_id=batch_id, limit=200)
    return [UUID(unit["id"]) for unit in page["units"]]


async def _has_all(pair: Pair, acknowledged: list[dict[str, Any]], seen: list[UUID]) -> None:
    """On the server that is left: each job once, of each exactly its units, and those that were shown."""
    assert len({answer["mint_job_id"] for answer in acknowledged}) == len(acknowledged)
    url = pair.standby_url
    assert await ask(url, "select count(*) from mint_job") == len(acknowledged)
    total = sum(answer["quantity"] for answer in acknowledged)
    assert await ask(url, "select count(*) from mint_unit") == total
    for answer in acknowledged:
        batch_id = UUID(answer["mint_batch_id"])
        counted = "select count(distinct unit_no) from mint_unit where mint_batch_id = $1"
        assert await ask(url, counted, batch_id) == answer["quantity"]
    found = "select count(*) from mint_unit where id = any ($1::uuid[])"
    assert await ask(url, found, seen) == len(seen) == 200
