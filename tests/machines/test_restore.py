"""The restore drill: a platform is backed up while it works, destroyed, and restored on a fresh server."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import stat
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.machines.processes import Brand, machines, scan, until

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]
UNITS = 3_000
OPEN_UNITS = 100_000


async def test_a_platform_is_restored_from_its_backup(tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    async with machines(tmp_path / "one") as fleet:
        fleet.folder.mkdir()
        url = await fleet.serve("serve")
        made = json.loads(
            await fleet.done(
                "brand", "create", "acme", "--name", "Acme", "--owner", "owner@example.com"
            )
        )
        service = await fleet.service(url)
        async with service.client() as client:
            before = await _work(Brand(client, made["brand_id"]), url)
            told = await fleet.run("backup", str(backup))
            assert told.returncode == 0, told.stderr
            assert "private keys" in told.stderr
            again = await fleet.run("backup", str(backup))
            assert again.returncode == 1
            assert "is there already" in again.stderr
    assert stat.S_IMODE((backup / "secrets.json").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.glob(".backup*")] == []
    shutil.rmtree(tmp_path / "one")
    async with machines(tmp_path / "two") as fleet:
        fleet.folder.mkdir()
        assert "Restored" in await fleet.done("restore", str(backup))
        again = await fleet.run("restore", str(backup))
        assert again.returncode == 1
        assert "not empty" in again.stderr
        assert "invariants hold" in await fleet.done("check")
        url = await fleet.serve("serve")
        service = await fleet.service(url)
        async with service.client() as client:
            await _sign_in(url, service.anon_key, "owner@example.com", made["password"])
            await _goes_on(Brand(client, made["brand_id"]), url, before)
        assert "invariants hold" in await fleet.done("check")


async def _work(brand: Brand, url: str) -> dict[str, Any]:
    """Units, packs, a scan, and a job that is under way; what must be so after."""
    product_id = await brand.product()
    common = {"product_id": product_id, "identity_mode": "serial", "activation_mode": "first_scan"}
    minted = await brand.rpc("submit_mint_request", requested_quantity=UNITS, **common)
    await brand.until_minted(minted["mint_batch_id"])
    packs = await brand.exported(minted["mint_batch_id"])
    urls = await brand.resolver_urls(minted["mint_batch_id"], 2)
    assert (await scan(url, urls[0])).status_code == 307

    async def is_counted() -> bool:
        scans = (await brand.rpc("get_mint_kpis"))["kpis"]["scans_total"]
        return bool(scans == 1)

    await until(is_counted)
    under_way = await brand.rpc("submit_mint_request", requested_quantity=OPEN_UNITS, **common)

    async def has_begun() -> bool:
        batch = await brand.batch(under_way["mint_batch_id"])
        return bool(batch["job"]["status"] != "PENDING")

    await until(has_begun)
    return {"packs": packs, "urls": urls, "open": under_way["mint_batch_id"]}


async def _goes_on(brand: Brand, url: str, before: dict[str, Any]) -> None:
    answers = await asyncio.gather(*(scan(url, each) for each in before["urls"]))
    assert [answer.status_code for answer in answers] == [307, 307]
    for pack in before["packs"]:
        assert hashlib.sha256(await brand.downloaded(pack)).hexdigest() == pack["sha256"]
    await brand.until_minted(before["open"], limit_s=180)

    async def are_exact() -> bool:
        minted = (await brand.rpc("get_mint_kpis"))["kpis"]["units_minted"]
        assert minted <= UNITS + OPEN_UNITS
        return bool(minted == UNITS + OPEN_UNITS)

    await until(are_exact)


async def _sign_in(url: str, anon_key: str, email: str, password: str) -> None:
    async with httpx2.AsyncClient(base_url=url, headers={"apikey": anon_key}) as client:
        answer = await client.post(
            "/auth/v1/token?grant_type=password", json={"email": email, "password": password}
        )
    assert answer.status_code == 200, answer.text
