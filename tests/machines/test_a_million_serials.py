"""A million brought serials in one request over HTTP: taken whole or refused by name, in bounded memory."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from uuid import UUID, uuid4

import httpx2
import pytest

from tests.conftest import with_database
from tests.embedded.support import needs
from tests.machines.processes import Brand, Machines, machines
from tests.machines.servers import ask

pytestmark = [pytest.mark.long, pytest.mark.timeout(580)]
MILLION = 1_000_000
PEAK_MIB_MAX = 600


def _serials() -> list[str]:
    """Serials of the greatest length, in no order."""
    digests = (hashlib.sha256(str(number).encode()).hexdigest() for number in range(MILLION))
    return [f"X{digest[:19]}" for digest in digests]


def _peak_mib(pid: int) -> float:
    """The most memory that a process has had so far."""
    status = Path(f"/proc/{pid}/status")
    needs(status.exists(), "/proc, where Linux tells a process's peak memory")
    [line] = [line for line in status.read_text("utf-8").splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


async def test_a_million_brought_serials_are_minted_and_one_duplicate_is_named(
    server_dsn: str, tmp_path: Path
) -> None:
    name = f"test_{uuid4().hex[:12]}"
    await ask(server_dsn, f"create database {name}")
    dsn = with_database(server_dsn, name)
    async with machines(tmp_path, MINTAGE_DATABASE_URL=dsn) as fleet:
        await fleet.done("migrate")
        web = await fleet.serve("web")
        web_pid = fleet.last_pid
        service = await fleet.service(web)
        async with service.client() as client:
            client.timeout = httpx2.Timeout(120)
            brand = await fleet.brand(client)
            await _submit_a_million(fleet, brand, dsn)
        assert _peak_mib(web_pid) < PEAK_MIB_MAX
    await ask(server_dsn, f"drop database {name} with (force)")


async def _submit_a_million(fleet: Machines, brand: Brand, dsn: str) -> None:
    serials = await asyncio.to_thread(_serials)
    request = {
        "product_id": await brand.product(),
        "requested_quantity": MILLION,
        "identity_mode": "serial",
        "activation_mode": "first_scan",
        "idempotency_key": "a million",
    }
    with_duplicate = [*serials[:-1], serials[123_456]]
    # As many bodies of that size at once as a process takes.
    refused, submitted = await asyncio.gather(
        brand.ask("submit_mint_request", serials=with_duplicate, **request),
        brand.rpc("submit_mint_request", serials=serials, **request),
    )
    assert refused.status_code == 400
    problems = refused.json()["details"]
    assert f"_serials[{MILLION - 1}]" in str(problems)
    assert serials[123_456] in str(problems)
    assert await ask(dsn, "select count(*) from mint_job") == 1
    assert await ask(dsn, "select count(*) from serial_registry") == MILLION
    again = await brand.rpc("submit_mint_request", serials=serials, **request)
    assert (again["mint_job_id"], again["is_duplicate"]) == (submitted["mint_job_id"], True)

    fleet.start("mintage", "work")
    await brand.until_minted(submitted["mint_batch_id"], limit_s=300)
    counted = (
        "select count(*) from mint_unit join serial_registry using (brand_id, serial_number) "
        "where mint_unit.unit_no = serial_registry.unit_no and mint_unit.mint_batch_id = $1"
    )
    assert await ask(dsn, counted, UUID(submitted["mint_batch_id"])) == MILLION
