"""Mintage's processes as an operator starts them, each a machine of its own, and what one asks of them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import httpx2

WAIT_LIMIT_S = 60
GTIN_TABLE = "9506000134352"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
)


@dataclass
class Machines:
    """Processes that share a database, secrets and packs. `environment` is every one's.

    `limit_s`: how long a command may take.
    """

    folder: Path
    environment: dict[str, str]
    limit_s: float = WAIT_LIMIT_S
    _started: list[tuple[subprocess.Popen[bytes], BinaryIO]] = field(default_factory=list)

    async def run(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """`mintage WORDS`, to its end."""

        def run() -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [sys.executable, "-m", "mintage", *words],
                env=self._environment(more),
                capture_output=True,
                text=True,
                timeout=self.limit_s,
                check=False,
            )

        return await asyncio.to_thread(run)

    async def done(self, *words: str, **more: str) -> str:
        """The standard output of a command that must succeed."""
        finished = await self.run(*words, **more)
        assert finished.returncode == 0, finished.stderr
        return finished.stdout

    def start(self, module: str, *words: str, **more: str) -> subprocess.Popen[bytes]:
        """A process that stays, until the end of the test."""
        log = (self.folder / f"{len(self._started)}.log").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-m", module, *words],
            env=self._environment(more),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        self._started.append((process, log))
        return process

    @property
    def last_pid(self) -> int:
        """The process that was started last."""
        return self._started[-1][0].pid

    async def serve(self, door: str, **more: str) -> str:
        """`mintage web` or `mintage resolver`, answering; its base URL."""
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        process = self.start("mintage", door, MINTAGE_PORT=str(port), **more)

        async def answers() -> bool:
            assert process.poll() is None, self.logs()
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                return False
            writer.close()
            await writer.wait_closed()
            return True

        await until(answers)
        return url

    async def service(self, url: str) -> Service:
        """The service's way into the API at `url`."""
        keys = json.loads(await self.done("key", "platform"))
        return Service(url, keys["anon_key"], keys["service_key"])

    async def brand(self, client: httpx2.AsyncClient) -> Brand:
        """A new brand of a new owner."""
        words = ("brand", "create", "acme", "--name", "Acme", "--owner", "owner@example.com")
        made = json.loads(await self.done(*words))
        return Brand(client, made["brand_id"])

    def logs(self) -> str:
        return "\n".join(path.read_text("utf-8") for path in sorted(self.folder.glob("*.log")))

    async def stop(self) -> None:
        """End what was started, in order; who does not go is killed."""
        for process, _ in self._started:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process, log in self._started:
            try:
                await asyncio.to_thread(process.wait, 20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            log.close()

    def _environment(self, more: dict[str, str]) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if "MINTAGE_" not in name}
        return inherited | self.environment | more


@asynccontextmanager
async def machines(folder: Path, **environment: str) -> AsyncIterator[Machines]:
    found = Machines(folder, {"MINTAGE_DATA": str(folder / "data")} | environment)
    try:
        yield found
    finally:
        await found.stop()


@dataclass(frozen=True)
class Service:
    """The service role over HTTP."""

    url: str
    anon_key: str
    service_key: str

    @asynccontextmanager
    async def client(self) -> AsyncIterator[httpx2.AsyncClient]:
        headers = {"apikey": self.anon_key, "Authorization": f"Bearer {self.service_key}"}
        async with httpx2.AsyncClient(base_url=self.url, headers=headers, timeout=30) as client:
            yield client


async def scan(resolver_url: str, printed_url: str) -> httpx2.Response:
    """A person's GET of a printed URL, sent to the resolver at `resolver_url`."""
    parts = urlsplit(printed_url)
    headers = {"Host": parts.netloc, "User-Agent": IPHONE}
    async with httpx2.AsyncClient(timeout=30) as client:
        return await client.get(resolver_url + parts.path, headers=headers)


@dataclass(frozen=True)
class Brand:
    """One brand's RPCs, through `client`."""

    client: httpx2.AsyncClient
    brand_id: str

    async def ask(self, rpc: str, **arguments: Any) -> httpx2.Response:
        body = {"_brand_id": self.brand_id} | {f"_{name}": it for name, it in arguments.items()}
        return await self.client.post(f"/rest/v1/rpc/{rpc}", json=body)

    async def rpc(self, rpc: str, **arguments: Any) -> dict[str, Any]:
        """The answer of an RPC, which must be `ok`."""
        response = await self.ask(rpc, **arguments)
        answer: dict[str, Any] = response.json()
        assert response.status_code == 200, answer
        assert answer["ok"], answer
        return answer

    async def product(self, gtin: str | None = GTIN_TABLE) -> str:
        made = await self.rpc("create_product", sku="SKU-1", name="Oak table", gtin=gtin)
        product_id: str = made["product"]["id"]
        patch = {"commercial_status": "ACTIVE", "mint_readiness_status": "READY"}
        await self.rpc("update_product", product_id=product_id, patch=patch)
        return product_id

    async def batch(self, mint_batch_id: str) -> dict[str, Any]:
        answer = await self.rpc("get_mint_batch_by_id", mint_batch_id=mint_batch_id)
        batch: dict[str, Any] = answer["batch"]
        return batch

    async def until_minted(self, mint_batch_id: str, *, limit_s: float = WAIT_LIMIT_S) -> None:
        async def is_minted() -> bool:
            batch = await self.batch(mint_batch_id)
            assert batch["job"]["status"] != "FAILED", batch
            is_complete: bool = batch["job"]["status"] == "COMPLETED"
            return is_complete

        await until(is_minted, limit_s=limit_s)

    async def exported(self, mint_batch_id: str) -> list[dict[str, Any]]:
        """The packs of a batch as CSV, once all are written."""
        asked = await self.rpc("request_payload_packs", mint_batch_id=mint_batch_id, format="csv")
        packs: list[dict[str, Any]] = []

        async def are_complete() -> bool:
            nonlocal packs
            page = await self.rpc(
                "list_payload_packs", export_group_id=asked["export_group_id"], limit=200
            )
            packs = page["packs"]
            assert all(pack["status"] != "failed" for pack in packs), packs
            return all(pack["status"] == "completed" for pack in packs)

        await until(are_complete)
        return packs

    async def downloaded(self, pack: dict[str, Any]) -> bytes:
        """The file of a pack, by a signed URL."""
        path = f"/storage/v1/object/sign/payload-packs/{pack['storage_path']}"
        signed = await self.client.post(path, json={"expiresIn": 60})
        got = await self.client.get("/storage/v1" + signed.json()["signedURL"])
        assert got.status_code == 200, got.text
        return got.content

    async def resolver_urls(self, mint_batch_id: str, limit: int) -> list[str]:
        page = await self.rpc("list_mint_units", mint_batch_id=mint_batch_id, limit=limit)
        return [unit["resolver_url"] for unit in page["units"]]


async def until(
    is_so: Callable[[], Coroutine[Any, Any, bool]], *, limit_s: float = WAIT_LIMIT_S
) -> None:
    """Wait for what must come about; the limit is only there to end a test that fails."""
    async with asyncio.timeout(limit_s):
        while not await is_so():
            await asyncio.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
