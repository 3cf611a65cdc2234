"""Random sequences of operations, one after another and several at once: every invariant holds all the way.

The seed of a sequence is its name; the same seed makes the same sequence (when nothing runs beside it).
"""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from mintage.errors import MintageError
from mintage.operations.pack_execution import process_payload_pack
from mintage.operations.resolving import UnitId
from mintage.operations.tallies import fold_tallies
from mintage.storage import PackStore, open_pack_store
from tests.support.figures import folded_figures, recounted
from tests.support.minting import (
    broken_cycles,
    broken_invariants,
    claimed,
    cycle,
    drained,
    event_types_of,
    let_leases_lapse,
    production_batch,
    rows,
    transactions,
    value,
    with_limits,
)
from tests.support.scans import scan
from tests.support.world import World

STEPS = 120
LIFE = re.compile(
    r"mint_requested (mint_job_started |mint_units_created |mint_job_failed mint_job_retried )*"
    r"(mint_lots_confirmed )?(mint_job_completed |mint_job_failed )"
)
TOLD_ELSEWHERE = {"mint_batch_status_changed", "mint_units_revoked"}
MINTED = {"minted", "exported", "printed", "applied"}


@dataclass
class Actor:
    """Somebody who does one random thing after another in `world`."""

    world: World
    store: PackStore
    dice: random.Random
    monkeypatch: pytest.MonkeyPatch
    is_alone: bool = True
    products: list[UUID] = field(default_factory=list)
    sources: list[UUID] = field(default_factory=list)
    submitted: list[dict[str, Any]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    async def step(self) -> None:
        deeds: dict[Callable[[], Awaitable[object]], int] = {
            self.submit: 8,
            self.run_a_cycle: 12,
            self.run_a_named_job: 3,
            self.fail_cycles: 2 if self.is_alone else 0,
            self.lose_a_job: 1,
            self.claim_and_die: 2,
            self.let_leases_lapse: 2,
            self.make_a_product: 1,
            self.make_a_source: 2,
            self.change_a_source: 2,
            self.change_a_product: 1,
            self.fold: 2,
            self.request_packs: 1,
            self.write_a_pack: 2,
            self.move_a_batch: 3,
            self.retry_a_job: 2,
            self.revoke_units: 1,
            self.scan_a_unit: 4,
        }
        (deed,) = self.dice.choices(list(deeds), list(deeds.values()))
        try:
            await deed()
        except MintageError as error:
            if error.kind.status not in {400, 409}:
                raise
            self.refused.append(error.kind.code)

    async def make_a_product(self) -> None:
        self.products.append(await self.world.product(gtin=None))

    async def make_a_source(self) -> None:
        product_id = self._some(self.products)
        self.sources.append(
            await production_batch(
                self.world,
                product_id,
                batch_number=f"B{len(self.sources)}-{self.dice.random()}"[:20],
                quantity=self.dice.choice([None, 30, 100, 1000]),
                is_cumulative=self.dice.random() < 0.8,
                status=self.dice.choice(["READY", "READY", "READY", "DRAFT"]),
            )
        )

    async def submit(self) -> None:
        dice, quantity = self.dice, self.dice.randint(1, 60)
        asked: dict[str, Any] = {
            "identity_mode": dice.choice(["serial", "batch"]),
            "activation_mode": dice.choice(["first_scan", "active_at_mint"]),
        }
        if self.sources and dice.random() < 0.6:
            asked["product_batch_id"] = dice.choice(self.sources)
        if dice.random() < 0.3:
            asked["idempotency_key"] = f"key {dice.randint(1, 5)}"
        if asked["identity_mode"] == "batch" and dice.random() < 0.5:
            first = dice.randint(0, quantity)
            parts = [("A", first), ("B", quantity - first)]
            asked["lots"] = [{"lot_code": code, "qty": part} for code, part in parts if part]
        elif asked["identity_mode"] == "serial" and dice.random() < 0.4:
            start = dice.randint(0, 2000)
            asked["serials"] = [f"S{start + step}" for step in range(quantity)]
            dice.shuffle(asked["serials"])
        answer = await self.world.submit(self._some(self.products), quantity, **asked)
        if answer["ok"]:
            self.submitted.append(answer)
        else:
            self.refused += [reason["code"] for reason in answer["blocking_reasons"]]

    async def run_a_cycle(self) -> None:
        await cycle(self.world, batch_size=self.dice.choice([1, 7, 20, 20_000]))

    async def run_a_named_job(self) -> None:
        if self.submitted:
            job = self._some(self.submitted)
            await cycle(self.world, job, batch_size=self.dice.choice([1, 7, 20]))

    async def fail_cycles(self) -> None:
        if self.submitted:
            job = self._some(self.submitted)
            with broken_cycles(self.monkeypatch):
                for _ in range(self.dice.randint(1, 3)):
                    await cycle(self.world, job)

    async def lose_a_job(self) -> None:
        """Three workers die on it."""
        if self.submitted:
            job = self._some(self.submitted)
            for _ in range(3):
                await _claim_if_free(self.world, job)
                await let_leases_lapse(self.world)
            await cycle(self.world, job)

    async def claim_and_die(self) -> None:
        if await value(self.world, "select count(*) from work_item where kind = 'mint_job'"):
            await _claim_if_free(self.world, None)

    async def let_leases_lapse(self) -> None:
        await let_leases_lapse(self.world)

    async def change_a_source(self) -> None:
        if self.sources:
            patch = self.dice.choice(
                [
                    {"quantity": self.dice.choice([None, 20, 200])},
                    {"is_cumulative": self.dice.random() < 0.5},
                    {"status": self.dice.choice(["READY", "CLOSED"])},
                ]
            )
            source = self._some(self.sources)
            await self.world.rpc("update_product_batch", product_batch_id=source, patch=patch)

    async def change_a_product(self) -> None:
        status = self.dice.choice(["READY", "READY", "NOT_READY"])
        patch = {"mint_readiness_status": status}
        product_id = self._some(self.products)
        await self.world.rpc("update_product", product_id=product_id, patch=patch)

    async def fold(self) -> None:
        await fold_tallies(transactions(self.world))

    async def request_packs(self) -> None:
        if self.submitted:
            batch_id = self._some(self.submitted)["mint_batch_id"]
            await self.world.rpc("request_payload_packs", mint_batch_id=batch_id)

    async def write_a_pack(self) -> None:
        await process_payload_pack(transactions(self.world), self.store)

    async def move_a_batch(self) -> None:
        if self.submitted:
            batch_id = self._some(self.submitted)["mint_batch_id"]
            status = self.dice.choice(["exported", "printed", "applied", "voided"])
            await self.world.rpc("set_mint_batch_status", mint_batch_id=batch_id, status=status)

    async def retry_a_job(self) -> None:
        if self.submitted:
            job_id = self._some(self.submitted)["mint_job_id"]
            await self.world.rpc("retry_mint_job", mint_job_id=job_id)

    async def revoke_units(self) -> None:
        units = await self._some_units(3)
        if units:
            await self.world.rpc("revoke_mint_units", unit_ids=units, reason="recalled")

    async def scan_a_unit(self) -> None:
        for unit_id in await self._some_units(2):
            await scan(self.world, UnitId(unit_id))

    async def _some_units(self, count: int) -> list[UUID]:
        page = await self.world.rpc("list_mint_units", limit=200)
        return [
            unit["id"] for unit in self.dice.sample(page["units"], min(count, len(page["units"])))
        ]

    def _some(self, things: list[Any]) -> Any:
        return self.dice.choice(things)


async def _claim_if_free(world: World, job: dict[str, Any] | None) -> None:
    with suppress(AssertionError):  # finished, leased already, or its third lapse failed it
        await claimed(world, job)


@pytest.fixture
def store(tmp_path: Path) -> PackStore:
    return open_pack_store(None, tmp_path)


@pytest.fixture
def world(world: World) -> World:
    """Leases lapse when an actor says so."""
    return with_limits(world, job_lease_s=3600.0, pack_lease_s=3600.0, pack_units=10)


def _seeds(count: int, long: int) -> list[Any]:
    short = [pytest.param(seed, id=f"seed-{seed}") for seed in range(count)]
    more = range(count, count + long)
    return short + [pytest.param(seed, id=f"seed-{seed}", marks=pytest.mark.long) for seed in more]


@pytest.mark.parametrize("seed", _seeds(1, 17))
async def test_invariants_hold_after_any_sequence_of_operations(
    world: World, store: PackStore, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    actor = Actor(world, store, random.Random(seed), monkeypatch)  # noqa: S311
    await actor.make_a_product()
    for step in range(STEPS):
        await actor.step()
        if step % 30 == 29:
            assert await broken_invariants(world) == {}
    await _settle(world, store)
    await _assert_all_is_told(actor.submitted, world, in_order=True)


@pytest.mark.parametrize("seed", _seeds(1, 7))
async def test_invariants_hold_when_several_do_random_things_at_once(
    world: World, store: PackStore, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    actors = [
        Actor(world, store, random.Random(1000 * seed + number), monkeypatch, False)  # noqa: S311
        for number in range(4)
    ]
    for actor in actors:
        await actor.make_a_product()
    for actor in actors:
        actor.products = [each.products[0] for each in actors]

    async def act(actor: Actor) -> None:
        for _ in range(STEPS // 2):
            await actor.step()

    await asyncio.gather(*(act(actor) for actor in actors))
    assert await broken_invariants(world) == {}
    await _settle(world, store)
    submitted = [each for actor in actors for each in actor.submitted]
    await _assert_all_is_told(submitted, world, in_order=False)


async def _settle(world: World, store: PackStore) -> None:
    """Run all that is left, as workers would once everybody has gone home."""
    while await value(world, "select count(*) from work_item"):
        await let_leases_lapse(world)
        await drained(world)
        while (await process_payload_pack(transactions(world), store)).result != "idle":
            pass
    assert await folded_figures(world) == await recounted(world)
    assert await value(world, "select count(*) from tally_delta") == 0
    assert await broken_invariants(world) == {}


async def _assert_all_is_told(
    submitted: list[dict[str, Any]], world: World, *, in_order: bool
) -> None:
    """Each batch's events are those of one life, which ended as its status says.

    Calls that ran at once may have looked at the clock in another order than they came in: then the
    events are counted only.
    """
    assert submitted
    known = {each["id"]: each for each in await rows(world, "select * from mint_batch")}
    assert {each["mint_batch_id"] for each in submitted} == set(known)
    for each in {each["mint_batch_id"]: each for each in submitted}.values():
        batch = known[each["mint_batch_id"]]
        types = [name for name in await event_types_of(world, each) if name.startswith("mint_")]
        types = [name for name in types if name not in TOLD_ELSEWHERE]
        assert not in_order or LIFE.fullmatch(" ".join(types) + " "), types
        told = Counter(types)
        is_whole = batch["minted_quantity"] == batch["requested_quantity"]
        assert told["mint_requested"] == 1
        assert told["mint_job_started"] <= 1
        assert told["mint_job_completed"] == is_whole
        assert told["mint_job_completed"] + told["mint_job_failed"] == 1 + told["mint_job_retried"]
        assert told["mint_lots_confirmed"] == (is_whole and batch["identity_mode"] == "batch")
        assert batch["status"] == "voided" or (batch["status"] in MINTED) == is_whole
        assert batch["status"] in {*MINTED, "failed", "voided"}
