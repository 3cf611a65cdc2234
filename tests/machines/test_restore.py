"""The restore drill: a platform is backed up while it works, destroyed, and restored on a fresh server."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from standardwebhooks import Webhook

from tests.machines.processes import Brand, Machines, Service, machines, scan, until
from tests.support.webhooks import Receiver, receiver

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]
UNITS = 3_000
OPEN_UNITS = 300_000
OWNER = "owner@example.com"


@dataclass
class Life:
    """What was so before the backup, and must be so after it."""

    password: str
    brand_id: str
    packs: list[dict[str, Any]]
    urls: list[str]
    open_batch_id: str
    webhook: dict[str, Any]
    sessions: list[str]
    submitted: dict[str, datetime] = field(default_factory=dict)


async def test_a_platform_is_restored_from_its_backup(tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    async with receiver() as told:
        async with machines(tmp_path / "one", MINTAGE_WEBHOOK_PRIVATE_HOSTS="127.0.0.1") as fleet:
            fleet.folder.mkdir()
            life = await _live(fleet, told, backup)
        assert stat.S_IMODE((backup / "secrets.json").stat().st_mode) == 0o600
        assert [path.name for path in tmp_path.glob(".backup*")] == []
        shutil.rmtree(tmp_path / "one")
        told_before = list(told.ids)
        async with machines(tmp_path / "two", MINTAGE_WEBHOOK_PRIVATE_HOSTS="127.0.0.1") as fleet:
            fleet.folder.mkdir()
            assert "Restored" in await fleet.done("restore", str(backup))
            again = await fleet.run("restore", str(backup))
            assert again.returncode == 1
            assert "not empty" in again.stderr
            assert "invariants hold" in await fleet.done("check")
            url = await fleet.serve("web")
            service = await fleet.service(url)
            manifest = json.loads((backup / "manifest.json").read_text())
            async with service.client() as client:
                brand = Brand(client, life.brand_id)
                await _signs_in(service, life)
                open_at = await _is_as_of_the_backup(brand, life, manifest)
                resolver = await fleet.serve("resolver")
                answers = await asyncio.gather(*(scan(resolver, each) for each in life.urls))
                assert [answer.status_code for answer in answers] == [307, 307]
                fleet.start("mintage", "work")
                await _goes_on(brand, life, open_at, manifest)
            await _tells_once(told, told_before, life)
            assert "invariants hold" in await fleet.done("check")


async def _live(fleet: Machines, told: Receiver, backup: Path) -> Life:
    """A platform that works, until its worker is killed amid a job; backed up while clients submit."""
    await fleet.done("migrate")
    url = await fleet.serve("web")
    resolver = await fleet.serve("resolver")
    worker = fleet.start("mintage", "work")
    made = json.loads(
        await fleet.done("brand", "create", "acme", "--name", "Acme", "--owner", OWNER)
    )
    service = await fleet.service(url)
    async with service.client() as client:
        brand = Brand(client, made["brand_id"])
        webhook = await brand.rpc(
            "create_webhook",
            url=f"http://127.0.0.1:{told.port}/hooks",
            event_types=["mint_job.completed"],
        )
        product_id = await brand.product()
        common = {"product_id": product_id, "activation_mode": "first_scan"} | {
            "identity_mode": "serial"
        }
        minted = await brand.rpc("submit_mint_request", requested_quantity=UNITS, **common)
        await brand.until_minted(minted["mint_batch_id"])
        packs = await brand.exported(minted["mint_batch_id"])
        urls = await brand.resolver_urls(minted["mint_batch_id"], 2)
        assert (await scan(resolver, urls[0])).status_code == 307
        await until(lambda: _are_told(told, 1))
        sessions = [await _session(service, made["password"]) for _ in range(2)]
        opened = await brand.rpc("submit_mint_request", requested_quantity=OPEN_UNITS, **common)

        async def is_amid() -> bool:
            minted_quantity = (await brand.batch(opened["mint_batch_id"]))["minted_quantity"]
            return bool(minted_quantity > 0)

        await until(is_amid)
        worker.kill()
        life = Life(
            password=made["password"],
            brand_id=made["brand_id"],
            packs=packs,
            urls=urls,
            open_batch_id=opened["mint_batch_id"],
            webhook=webhook,
            sessions=sessions,
        )
        submitting = asyncio.create_task(_submit_on(brand, common, life))
        done = await fleet.run("backup", str(backup))
        assert done.returncode == 0, done.stderr
        assert "private keys" in done.stderr
        submitting.cancel()
        with suppress(asyncio.CancelledError):
            await submitting
        again = await fleet.run("backup", str(backup))
        assert again.returncode == 1
        assert "is there already" in again.stderr
        # After the moment: the second session's refresh token is replaced.
        life.sessions.append(await _refreshed(service, life.sessions[1]))
    return life


async def _submit_on(brand: Brand, common: dict[str, Any], life: Life) -> None:
    """One unit after another, each with the time by which it was acknowledged."""
    while True:
        answer = await brand.rpc("submit_mint_request", requested_quantity=1, **common)
        life.submitted[answer["mint_batch_id"]] = datetime.now(UTC)
        await asyncio.sleep(0.02)


async def _is_as_of_the_backup(brand: Brand, life: Life, manifest: dict[str, Any]) -> int:
    """What was acknowledged before the moment is there; the job that was open is. How far it had come."""
    batch = await brand.batch(life.open_batch_id)
    assert batch["job"]["status"] in {"RESERVED", "PROCESSING"}
    assert 0 < batch["minted_quantity"] < OPEN_UNITS
    moment = datetime.fromisoformat(manifest["moment"])
    before = {each for each, at in life.submitted.items() if at < moment}
    assert before, "clients submitted while the backup began"
    for batch_id in before:
        assert (await brand.batch(batch_id))["status"] == "queued"
    for pack in life.packs:
        content = await brand.downloaded(pack)
        assert hashlib.sha256(content).hexdigest() == pack["sha256"]
    minted: int = batch["minted_quantity"]
    return minted


async def _goes_on(brand: Brand, life: Life, open_at: int, manifest: dict[str, Any]) -> None:
    await brand.until_minted(life.open_batch_id, limit_s=180)
    batch = await brand.batch(life.open_batch_id)
    assert (batch["minted_quantity"], batch["job"]["attempts"]) == (OPEN_UNITS, 0)
    jobs = manifest["counts"]["mint_job"]
    expected = UNITS + OPEN_UNITS + jobs - 2

    async def are_exact() -> bool:
        kpis = (await brand.rpc("get_mint_kpis"))["kpis"]
        assert kpis["units_minted"] <= expected
        return bool(kpis["units_minted"] == expected and kpis["jobs_queued"] == 0)

    assert manifest["counts"]["mint_unit"] == UNITS + open_at, "all of the rest was made here"
    await until(are_exact)


async def _signs_in(service: Service, life: Life) -> None:
    """By password; by the refresh token of then; not by one that was given out after the moment."""
    await _session(service, life.password)
    kept, replaced, later = life.sessions
    await _refreshed(service, kept)
    refused = await _token(service, "refresh_token", {"refresh_token": later})
    assert refused.status_code == 400, refused.text
    ended = await _token(service, "refresh_token", {"refresh_token": replaced})
    assert ended.status_code == 400, "a token that nobody gave out ends its session"


async def _tells_once(told: Receiver, before: list[str], life: Life) -> None:
    """What was told before the moment is not told again; what is told now is signed as before."""

    async def is_told() -> bool:
        return life.open_batch_id in {
            event["data"].get("mint_batch_id") for event in told.events[len(before) :]
        }

    await until(is_told)
    assert len(set(told.ids)) == len(told.ids)
    signer = Webhook(life.webhook["secret"])
    for head, body in zip(told.heads, told.bodies, strict=True):
        signer.verify(body, head)


async def _are_told(told: Receiver, count: int) -> bool:
    return len(told.ids) >= count


async def _session(service: Service, password: str) -> str:
    """A new session's refresh token."""
    answer = await _token(service, "password", {"email": OWNER, "password": password})
    assert answer.status_code == 200, answer.text
    token: str = answer.json()["refresh_token"]
    return token


async def _refreshed(service: Service, refresh_token: str) -> str:
    answer = await _token(service, "refresh_token", {"refresh_token": refresh_token})
    assert answer.status_code == 200, answer.text
    token: str = answer.json()["refresh_token"]
    return token


async def _token(service: Service, grant: str, body: dict[str, str]) -> httpx2.Response:
    headers = {"apikey": service.anon_key}
    async with httpx2.AsyncClient(base_url=service.url, headers=headers) as client:
        return await client.post(f"/auth/v1/token?grant_type={grant}", json=body)
