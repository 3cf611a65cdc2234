"""What the soak asks for: submits, by key until they are acknowledged; packs; a void now and then."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from mintage.db.connection import AWAY_ERRORS
from mintage.errors import UNAVAILABLE, MintageError
from tests.support.minting import value
from tests.support.world import World

SOURCES_EACH = 12
SOURCE_QUANTITY = 30_000
BACKLOG_MAX = 60
MINTED = (
    "select batch.id from mint_batch as batch where batch.status = 'minted' and not exists "
    "(select from export_group where export_group.mint_batch_id = batch.id) order by random() limit 1"
)


@dataclass(frozen=True)
class Brand:
    """A brand, its product, and its production batches, whose quantity is soon used up."""

    id: UUID
    product_id: UUID
    sources: tuple[UUID, ...]


@dataclass(frozen=True)
class Job:
    """A job that was acknowledged."""

    brand_id: UUID
    mint_job_id: UUID
    mint_batch_id: UUID
    quantity: int
    key: str


@dataclass
class Ledger:
    """What callers were told, and how often they had to ask."""

    jobs: list[Job] = field(default_factory=list)
    voided: set[UUID] = field(default_factory=set)
    counted: Counter[str] = field(default_factory=Counter)


async def make_brands(world: World, count: int) -> list[Brand]:
    """Brands that may mint, as the service makes them before anything is killed."""
    return [await _make_brand(world, number) for number in range(count)]


async def _make_brand(world: World, number: int) -> Brand:
    made = await world.rpc(
        "create_brand",
        "service",
        slug=f"soak-{number}",
        name=f"Soak {number}",
        owner_email="owner@example.com",
    )
    brand_id = made["brand_id"]
    own = {"brand_id": brand_id}
    product = await world.rpc("create_product", "service", sku="P", name="P", **own)
    product_id = product["product"]["id"]
    ready = {"commercial_status": "ACTIVE", "mint_readiness_status": "READY"}
    await world.rpc("update_product", "service", product_id=product_id, patch=ready, **own)
    sources = []
    for source_no in range(SOURCES_EACH):
        source = await world.rpc(
            "create_product_batch",
            "service",
            product_id=product_id,
            batch_number=f"B-{source_no}",
            quantity=SOURCE_QUANTITY,
            status="READY",
            **own,
        )
        sources.append(source["product_batch"]["id"])
    return Brand(brand_id, product_id, tuple(sources))


@dataclass
class Submitter:
    """Somebody who asks for one thing after another until it is time to stop."""

    world: World
    brands: list[Brand]
    ledger: Ledger
    dice: random.Random

    async def run(self, stop: asyncio.Event) -> None:
        deeds = (self.submit, self.ask_for_packs, self.void_one)
        while not stop.is_set():
            (deed,) = self.dice.choices(deeds, (10, 6, 0.3))
            await deed()
            await asyncio.sleep(self.dice.uniform(0.02, 0.3))

    async def submit(self) -> None:
        if await self._answered(lambda: _open(self.world)) > BACKLOG_MAX:
            return
        dice, brand = self.dice, self.dice.choice(self.brands)
        quantity = dice.choice([1, dice.randint(2, 300), dice.randint(300, 5000), 25_000])
        more: dict[str, Any] = {}
        if dice.random() < 0.4:
            more["product_batch_id"] = dice.choice(brand.sources)
        mode = dice.choice(["serial", "serial", "batch"])
        activation = dice.choice(["first_scan", "active_at_mint"])
        if mode == "serial" and quantity <= 5000 and dice.random() < 0.4:
            more["serials"] = [uuid4().hex[:18].upper() for _ in range(quantity)]
        key = f"soak {dice.random()}"
        answer = await self._answered(
            lambda: self.world.rpc(
                "submit_mint_request",
                "service",
                brand_id=brand.id,
                product_id=brand.product_id,
                requested_quantity=quantity,
                identity_mode=mode,
                activation_mode=activation,
                idempotency_key=key,
                **more,
            )
        )
        if not answer["ok"]:
            codes = {reason["code"] for reason in answer["blocking_reasons"]}
            assert codes == {"BATCH_QUANTITY_EXHAUSTED"}, codes
            self.ledger.counted["refused by a cap"] += 1
            return
        self.ledger.counted["found by their key"] += answer["is_duplicate"]
        ids = answer["mint_job_id"], answer["mint_batch_id"]
        self.ledger.jobs.append(Job(brand.id, *ids, quantity, key))

    async def ask_for_packs(self) -> None:
        batch_id = await self._answered(lambda: _some_minted(self.world))
        if batch_id is None:
            return
        brand_id = next(
            (job.brand_id for job in self.ledger.jobs if job.mint_batch_id == batch_id), None
        )
        if brand_id is not None:
            await self._answered(
                lambda: self.world.rpc(
                    "request_payload_packs", "service", brand_id=brand_id, mint_batch_id=batch_id
                )
            )
            self.ledger.counted["groups asked for"] += 1

    async def void_one(self) -> None:
        if not self.ledger.jobs:
            return
        job = self.dice.choice(self.ledger.jobs)
        answer = await self._answered(
            lambda: self.world.rpc(
                "set_mint_batch_status",
                "service",
                brand_id=job.brand_id,
                mint_batch_id=job.mint_batch_id,
                status="voided",
            )
        )
        assert answer["ok"], answer
        self.ledger.voided.add(job.mint_job_id)

    async def _answered(self, ask: Any) -> Any:
        """Ask until there is an answer, as a client does."""
        return await answered(ask, self.ledger)


async def answered(ask: Any, ledger: Ledger) -> Any:
    """The answer of `ask()`, asked again for as long as the database is away."""
    while True:
        try:
            return await ask()
        except MintageError as error:
            if error.kind is not UNAVAILABLE:
                raise
        except AWAY_ERRORS:
            pass
        ledger.counted["asked again"] += 1
        await asyncio.sleep(0.1)


async def _open(world: World) -> int:
    found: int = await value(world, "select count(*) from work_item")
    return found


async def _some_minted(world: World) -> UUID | None:
    found: UUID | None = await value(world, f"select ({MINTED})")
    return found
