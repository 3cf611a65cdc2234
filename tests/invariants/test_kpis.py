"""The figures after 500 random operations, folded now and then, equal a recount of the rows."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from mintage.operations.pack_execution import process_payload_pack
from mintage.operations.resolving import Key, LotId, UnitId
from mintage.operations.tallies import fold_tallies
from mintage.storage import PackStore, open_pack_store
from tests.support.figures import folded_figures, recounted
from tests.support.minting import (
    broken_cycles,
    broken_invariants,
    claimed,
    cycle,
    let_leases_lapse,
    production_batch,
    rows,
    transactions,
    value,
    with_limits,
)
from tests.support.scans import scan
from tests.support.world import World

OPERATIONS = 500
STATUSES = ("exported", "printed", "applied", "voided")


@dataclass
class Player:
    """Does one random thing after another; `done` counts what came to something."""

    world: World
    store: PackStore
    dice: random.Random
    monkeypatch: pytest.MonkeyPatch
    product_ids: list[UUID] = field(default_factory=list)
    source_ids: list[UUID | None] = field(default_factory=lambda: [None])
    submitted: list[dict[str, Any]] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)

    async def begin(self) -> None:
        for number in range(3):
            product_id = await self.world.product()
            self.product_ids.append(product_id)
            self.source_ids.append(
                await production_batch(
                    self.world,
                    product_id,
                    batch_number=f"B-{number}",
                    quantity=400,
                    is_cumulative=number > 0,
                )
            )

    async def step(self) -> None:
        deeds: dict[Callable[[], Awaitable[bool]], int] = {
            self.submit: 9,
            self.preflight_and_create: 3,
            self.run: 22,
            self.fail: 3,
            self.die: 2,
            self.retry: 4,
            self.set_status: 5,
            self.revoke: 6,
            self.scan: 25,
            self.scan_lot: 4,
            self.request_packs: 3,
            self.pack: 6,
            self.fold: 8,
        }
        (deed,) = self.dice.choices(list(deeds), list(deeds.values()))
        if await deed():
            self.done[deed.__name__] += 1

    async def submit(self) -> bool:
        dice, quantity = self.dice, self.dice.randint(1, 25)
        place = dice.randrange(len(self.product_ids))
        asked: dict[str, Any] = {
            "identity_mode": dice.choice(["serial", "batch"]),
            "activation_mode": dice.choice(["first_scan", "first_scan", "active_at_mint"]),
            "product_batch_id": dice.choice([None, self.source_ids[place + 1]]),
            "idempotency_key": f"key {dice.randint(1, 60)}" if dice.random() < 0.2 else None,
        }
        if asked["identity_mode"] == "batch" and quantity > 1:
            first = dice.randint(1, quantity - 1)
            asked["lots"] = [
                {"lot_code": "A", "qty": first},
                {"lot_code": "B", "qty": quantity - first},
            ]
        elif dice.random() < 0.3:
            asked |= {"identity_mode": "serial", "idempotency_key": None}
            start = dice.randint(0, 3000)
            asked["serials"] = [f"S{start + step}" for step in range(quantity)]
        try:
            answer = await self.world.submit(self.product_ids[place], quantity, **asked)
        except Exception as error:
            if "idempotency" not in str(error):
                raise
            return False
        if answer["ok"] and not answer["is_duplicate"]:
            self.submitted.append(answer)
        return bool(answer["ok"])

    async def preflight_and_create(self) -> bool:
        answer = await self.world.rpc(
            "preflight_mint_batch",
            product_id=self.dice.choice(self.product_ids),
            requested_quantity=self.dice.randint(1, 20),
        )
        if answer["ok"] and self.dice.random() < 0.7:
            created = await self.world.rpc("create_mint_batch_from_job", mint_job_id=answer["id"])
            self.submitted.append(created)
        return bool(answer["ok"])

    async def run(self) -> bool:
        answer = await cycle(self.world, batch_size=self.dice.choice([3, 8, 20_000]))
        return bool(answer["status"] != "IDLE")

    async def fail(self) -> bool:
        with broken_cycles(self.monkeypatch):
            answers = [await cycle(self.world) for _ in range(self.dice.randint(1, 3))]
        return any(answer["status"] == "FAILED" for answer in answers)

    async def die(self) -> bool:
        if not await value(self.world, "select count(*) from work_item where kind = 'mint_job'"):
            return False
        await claimed(self.world)
        await let_leases_lapse(self.world)
        return True

    async def retry(self) -> bool:
        failed = await rows(
            self.world, "select id from mint_job where status = 'FAILED' order by id"
        )
        if not failed:
            return False
        job_id = self.dice.choice(failed)["id"]
        return bool((await self.world.rpc("retry_mint_job", mint_job_id=job_id))["ok"])

    async def set_status(self) -> bool:
        if not self.submitted:
            return False
        answer = await self.world.rpc(
            "set_mint_batch_status",
            mint_batch_id=self.dice.choice(self.submitted)["mint_batch_id"],
            status=self.dice.choice(STATUSES),
        )
        return bool(answer["ok"])

    async def revoke(self) -> bool:
        ids = await self._ids("select id from mint_unit order by id")
        if not ids:
            return False
        some = self.dice.sample(ids, min(len(ids), self.dice.randint(1, 5)))
        answer = await self.world.rpc("revoke_mint_units", unit_ids=some, reason="by lot")
        return bool(answer["revoked"])

    async def scan(self) -> bool:
        return await self._scan(UnitId, "select id from mint_unit order by id")

    async def scan_lot(self) -> bool:
        return await self._scan(LotId, "select id from mint_lot order by id")

    async def request_packs(self) -> bool:
        if not self.submitted:
            return False
        batch_id = self.dice.choice(self.submitted)["mint_batch_id"]
        return bool((await self.world.rpc("request_payload_packs", mint_batch_id=batch_id))["ok"])

    async def pack(self) -> bool:
        outcome = await process_payload_pack(transactions(self.world), self.store)
        return outcome.result == "completed"

    async def fold(self) -> bool:
        return await fold_tallies(transactions(self.world)) > 0

    async def _scan(self, kind: Callable[[UUID], Key], statement: str) -> bool:
        ids = await self._ids(statement)
        return bool(ids) and await scan(self.world, kind(self.dice.choice(ids))) is not None

    async def _ids(self, statement: str) -> list[UUID]:
        return [each["id"] for each in await rows(self.world, statement)]


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.long)])
async def test_the_figures_after_random_operations_are_a_recount(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    world = with_limits(world, pack_units=7, job_lease_s=3600.0, pack_lease_s=3600.0)
    store = open_pack_store(None, tmp_path)
    player = Player(world, store, random.Random(seed), monkeypatch)  # noqa: S311
    await player.begin()
    seen: set[str] = set()
    for number in range(1, OPERATIONS + 1):
        await player.step()
        if number % 20 == 0:
            counted = await recounted(world)
            seen |= {name for name, figure in counted.items() if figure}
        if number % 50 == 0:
            assert await broken_invariants(world) == {}, f"after {number} operations"
        if number % 100 == 0:
            assert await folded_figures(world) == counted, f"after {number} operations"
    assert len(player.done) == 13, f"something never happened: {player.done}"
    assert seen == set(counted), "some figure was never anything but 0"
