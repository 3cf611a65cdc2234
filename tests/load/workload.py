"""What the load consists of: people and programs who mint, export, list and scan over HTTP, each in turn.

A caller that is told 429 waits as long as it is told. Any other answer than the right one is a fault.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx2

from tests.machines.processes import IPHONE, Brand

KNOWN_URLS_MAX = 20_000
SCANS_AT_ONCE = 8
MISSED_SHARE = 0.002
FORMATS = ("csv", "full_manifest", "qr_manifest", "rfid")


@dataclass
class Ledger:
    """What was answered: how often, how fast, and what should not have been."""

    counted: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    urls: deque[str] = field(default_factory=lambda: deque(maxlen=KNOWN_URLS_MAX))
    batches: deque[tuple[str, str]] = field(default_factory=lambda: deque(maxlen=200))

    def took(self, what: str, started: float) -> None:
        self.seconds.setdefault(what, []).append(time.perf_counter() - started)
        self.counted[what] += 1


@dataclass(frozen=True)
class Caller:
    """One who calls the API for one brand, and one product of it."""

    brand: Brand
    product_id: str
    ledger: Ledger
    dice: random.Random

    async def rpc(self, name: str, **arguments: Any) -> dict[str, Any]:
        """The answer of an RPC, after as many 429 as it takes."""
        while True:
            started = time.perf_counter()
            response = await self.brand.ask(name, **arguments)
            if response.status_code == 429:
                self.ledger.counted["429"] += 1
                await asyncio.sleep(float(response.headers["retry-after"]))
                continue
            if response.status_code != 200:
                self.ledger.faults.append(f"{name}: {response.status_code} {response.text[:200]}")
                return {}
            self.ledger.took(name, started)
            answer: dict[str, Any] = response.json()
            return answer

    async def mints(self) -> None:
        """Submit, and wait until it is minted; then some of its URLs may be scanned."""
        quantity = self.dice.choice([10, 100, 500, 2_000, 25_000])
        answer = await self.rpc(
            "submit_mint_request",
            product_id=self.product_id,
            requested_quantity=quantity,
            identity_mode="serial",
            activation_mode=self.dice.choice(["first_scan", "active_at_mint"]),
            idempotency_key=f"load {self.dice.random()}",
        )
        if not answer.get("ok"):
            self.ledger.faults.append(f"submit: {answer}")
            return
        self.ledger.counted["units asked for"] += quantity
        batch_id = answer["mint_batch_id"]
        while True:
            found = await self.rpc("get_mint_batch_by_id", mint_batch_id=batch_id)
            status = found.get("batch", {}).get("job", {}).get("status")
            if status == "COMPLETED":
                break
            if status == "FAILED":
                self.ledger.faults.append(f"a job failed: {found}")
                return
            await asyncio.sleep(0.3)
        page = await self.rpc("list_mint_units", mint_batch_id=batch_id, limit=200)
        self.ledger.urls.extend(unit["resolver_url"] for unit in page.get("units", []))
        self.ledger.batches.append((self.brand.brand_id, batch_id))
        await asyncio.sleep(self.dice.uniform(0.5, 3.0))

    async def exports(self) -> None:
        """Ask for the packs of a batch, wait, download one and look at its hash."""
        own = [batch for brand_id, batch in self.ledger.batches if brand_id == self.brand.brand_id]
        if not own:
            await asyncio.sleep(0.5)
            return
        asked = await self.rpc(
            "request_payload_packs",
            mint_batch_id=self.dice.choice(own),
            format=self.dice.choice(FORMATS),
        )
        group_id = asked.get("export_group_id")
        if not asked.get("ok") or group_id is None:
            self.ledger.faults.append(f"export: {asked}")
            return
        while True:
            page = await self.rpc("list_payload_packs", export_group_id=group_id, limit=200)
            packs = page.get("packs", [])
            if any(pack["status"] == "failed" for pack in packs):
                self.ledger.faults.append(f"a pack failed: {packs}")
                return
            if packs and all(pack["status"] == "completed" for pack in packs):
                break
            await asyncio.sleep(0.3)
        self.ledger.counted["packs"] += len(packs)
        await self._downloads(self.dice.choice(packs))
        await asyncio.sleep(self.dice.uniform(0.5, 2.0))

    async def _downloads(self, pack: dict[str, Any]) -> None:
        client, path = self.brand.client, f"payload-packs/{pack['storage_path']}"
        while True:
            started = time.perf_counter()
            got = await client.get(f"/storage/v1/object/authenticated/{path}")
            if got.status_code != 429:
                break
            self.ledger.counted["429"] += 1
            await asyncio.sleep(float(got.headers["retry-after"]))
        if got.status_code != 200:
            self.ledger.faults.append(f"download: {got.status_code} {got.text[:200]}")
        elif hashlib.sha256(got.content).hexdigest() != pack["sha256"]:
            self.ledger.faults.append(f"a download is not what its pack states: {path}")
        self.ledger.took("download", started)
        self.ledger.counted["bytes downloaded"] += len(got.content)

    async def lists(self) -> None:
        """What a console and an ERP read: pages, figures, a search."""
        name, rows = self.dice.choice(
            [
                ("list_mint_units", "units"),
                ("list_mint_events", "events"),
                ("list_mint_batches", "batches"),
            ]
        )
        cursor: dict[str, Any] = {}
        for _ in range(self.dice.randint(1, 5)):
            page = await self.rpc(name, limit=100, **cursor)
            if not page.get("has_more"):
                break
            cursor = {"cursor": page["next_cursor"]}
        self.ledger.counted[f"{rows} pages"] += 1
        await self.rpc("get_mint_kpis")
        if self.ledger.urls:
            serial = self.dice.choice(self.ledger.urls).rpartition("/")[2]
            await self.rpc("search_brand_objects_v1", query=serial[: self.dice.randint(3, 16)])
        await asyncio.sleep(self.dice.uniform(0.1, 0.5))


@dataclass(frozen=True)
class Scanner:
    """People who scan what was printed, and now and then what nobody printed."""

    client: httpx2.AsyncClient
    ledger: Ledger
    dice: random.Random

    async def scans(self) -> None:
        """One scan."""
        if not self.ledger.urls:
            await asyncio.sleep(0.2)
            return
        parts = urlsplit(self.dice.choice(self.ledger.urls))
        path, right = parts.path, {307}
        if self.dice.random() < MISSED_SHARE:
            path, right = f"{path[:-1]}{'0' if path[-1] != '0' else '1'}", {404}
        started = time.perf_counter()
        answer = await self.client.get(path, headers={"Host": parts.netloc, "User-Agent": IPHONE})
        if answer.status_code == 429:
            # All phones have one address here, and 60 misses a minute are taken of one.
            self.ledger.counted["429 of a scan"] += 1
            await asyncio.sleep(float(answer.headers["retry-after"]))
            return
        if answer.status_code not in right:
            self.ledger.faults.append(f"scan of {path}: {answer.status_code} {answer.text[:200]}")
        self.ledger.took("scan" if answer.status_code == 307 else "miss", started)
        await asyncio.sleep(self.dice.uniform(0, 0.06))


async def repeated(
    deed: Callable[[], Awaitable[None]], stop: asyncio.Event, faults: list[str]
) -> None:
    """Do it again until it is time to stop; what it raises is a fault."""
    while not stop.is_set():
        try:
            await deed()
        except (httpx2.HTTPError, KeyError, ValueError) as error:
            faults.append(f"{deed.__qualname__}: {error!r}")
            await asyncio.sleep(1)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of them lie; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
