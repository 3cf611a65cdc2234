"""A primary dies during a mint, its synchronous standby is promoted: nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest

from tests.machines.processes import Brand, machines, scan, until
from tests.machines.servers import Pair, ask, running_pair

pytestmark = pytest.mark.long
SUBMITTERS = 4
JOBS_EACH = 6
UNITS = 9_000
BIG_JOB_UNITS = 200_000
BROUGHT = [f"BROUGHT-{number:03}" for number in range(300)]


@dataclass
class Shown:
    """What callers were shown while the primary lived: all of it must be there afterwards."""

    job_ids: set[str] = field(default_factory=set)
    unit_ids: set[str] = field(default_factory=set)
    event_ids: set[str] = field(default_factory=set)
    minted_quantity: int = 0


async def test_nothing_acknowledged_is_lost_when_the_primary_dies(tmp_path: Path) -> None:
    async with (
        running_pair() as pair,
        machines(tmp_path, MINTAGE_DATABASE_URL=pair.url) as fleet,
    ):
        await fleet.done("migrate")
        web, resolver = await asyncio.gather(fleet.serve("web"), fleet.serve("resolver"))
        for _ in range(2):
            fleet.start("tests.machines.worker")
        service = await fleet.service(web)
        async with service.client() as client:
            brand = await fleet.brand(client)
            product_id = await brand.product()
            small = await _submit(brand, product_id, "small", 2)
            await brand.until_minted(small["mint_batch_id"])
            [printed_url, _] = await brand.resolver_urls(small["mint_batch_id"], 2)
            big = await _submit(brand, product_id, "big", BIG_JOB_UNITS)
            shown = Shown()
            submitting = asyncio.gather(
                *(_submit_some(brand, product_id, number, shown) for number in range(SUBMITTERS))
            )
            await _look_midway(brand, big, shown)
            assert (await scan(resolver, printed_url)).status_code == 307
            pair.kill_primary()
            were_acknowledged = set(shown.job_ids)
            refused = await brand.ask("list_mint_batches")
            assert (refused.status_code, "retry-after" in refused.headers) == (503, True)
            await pair.promote_standby()
            await _has_what_was_shown(pair, big, shown, were_acknowledged)
            acknowledged = [small, big, *(answer for some in await submitting for answer in some)]
            for answer in acknowledged:
                await brand.until_minted(answer["mint_batch_id"])
        await _has_all(pair, acknowledged)
        assert "invariants hold" in await fleet.done("check")


async def _submit(
    brand: Brand,
    product_id: str,
    key: str,
    quantity: int = UNITS,
    serials: list[str] | None = None,
) -> dict[str, Any]:
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
                serials=serials,
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


async def _submit_some(
    brand: Brand, product_id: str, submitter: int, shown: Shown
) -> list[dict[str, Any]]:
    acknowledged = []
    for number in range(JOBS_EACH):
        key = f"{submitter}-{number}"
        if number % 3 == 0:
            serials = [f"{key}-{serial}" for serial in BROUGHT]
            answer = await _submit(brand, product_id, key, len(serials), serials)
        else:
            answer = await _submit(brand, product_id, key)
        shown.job_ids.add(answer["mint_job_id"])
        acknowledged.append(answer)
        await asyncio.sleep(0.05)
    return acknowledged


async def _look_midway(brand: Brand, big: dict[str, Any], shown: Shown) -> None:
    """Units, events and a count that a caller was shown while a job was under way."""
    batch_id = big["mint_batch_id"]

    async def has_begun() -> bool:
        shown.minted_quantity = (await brand.batch(batch_id))["minted_quantity"]
        assert shown.minted_quantity < BIG_JOB_UNITS
        return shown.minted_quantity > 0 and len(shown.job_ids) >= SUBMITTERS

    await until(has_begun)
    units = await brand.rpc("list_mint_units", mint_batch_id=batch_id, limit=200)
    shown.unit_ids = {unit["id"] for unit in units["units"]}
    events = await brand.rpc("list_mint_events", limit=200)
    shown.event_ids = {event["id"] for event in events["events"]}
    assert shown.event_ids
    assert len(shown.unit_ids) == 200


async def _has_what_was_shown(
    pair: Pair, big: dict[str, Any], shown: Shown, acknowledged: set[str]
) -> None:
    """On the server that was promoted, before clients have submitted anything again."""
    url = pair.standby_url
    for table, ids in (
        ("mint_job", acknowledged),
        ("mint_unit", shown.unit_ids),
        ("mint_event", shown.event_ids),
    ):
        found = f"select count(*) from {table} where id = any ($1::text[]::uuid[])"
        assert await ask(url, found, sorted(ids)) == len(ids), table
    minted = "select count(*) from mint_unit where mint_batch_id = $1"
    counted = await ask(url, minted, UUID(big["mint_batch_id"]))
    assert isinstance(counted, int)
    assert counted >= shown.minted_quantity
    assert await ask(url, "select count(*) from unit_state where activated_at is not null") == 1


async def _has_all(pair: Pair, acknowledged: list[dict[str, Any]]) -> None:
    """On the server that is left: each job once, and of each exactly its units."""
    assert len({answer["mint_job_id"] for answer in acknowledged}) == len(acknowledged)
    url = pair.standby_url
    assert await ask(url, "select count(*) from mint_job") == len(acknowledged)
    total = sum(answer["quantity"] for answer in acknowledged)
    assert await ask(url, "select count(*) from mint_unit") == total
    for answer in acknowledged:
        batch_id = UUID(answer["mint_batch_id"])
        counted = "select count(distinct unit_no) from mint_unit where mint_batch_id = $1"
        assert await ask(url, counted, batch_id) == answer["quantity"]
    brought = SUBMITTERS * len([number for number in range(JOBS_EACH) if number % 3 == 0])
    registered = await ask(url, "select count(*) from serial_registry")
    assert registered == brought * len(BROUGHT)
