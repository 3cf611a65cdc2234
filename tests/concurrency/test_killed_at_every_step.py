"""A worker dies at each named step of a cycle and of a pack: another one finishes, exactly once."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path
from typing import Any, get_args

import pytest

from mintage.operations import steps
from mintage.operations.pack_execution import process_payload_pack
from mintage.operations.pack_sweep import sweep_orphans
from mintage.operations.steps import (
    MintFailureStep,
    MintStep,
    PackFailureStep,
    PackStep,
    Step,
    WebhookStep,
)
from mintage.rules.webhooks import WebhookEventType
from mintage.settings import Limits
from mintage.storage import PackStore, open_pack_store
from tests.support.exactly import assert_minted_exactly, assert_packed_exactly
from tests.support.faults import Fault, Orders, dies
from tests.support.minting import (
    broken_invariants,
    cycle,
    drained,
    item_of,
    let_leases_lapse,
    rows,
    transactions,
    value,
    with_limits,
)
from tests.support.webhooks import deliveries, webhook_of
from tests.support.world import World

pytestmark = pytest.mark.long

MINT_STEPS: tuple[MintStep, ...] = get_args(MintStep)
MINT_FAILURE_STEPS: tuple[MintFailureStep, ...] = get_args(MintFailureStep)
PACK_STEPS: tuple[PackStep, ...] = get_args(PackStep)
PACK_FAILURE_STEPS: tuple[PackFailureStep, ...] = get_args(PackFailureStep)
WEBHOOK_STEPS: tuple[WebhookStep, ...] = get_args(WebhookStep)
UNITS, CHUNK = 7, 3
TOLD: dict[WebhookEventType, int | None] = {
    "mint_job.completed": UNITS,
    "mint_batch.status_changed": None,
}
# Who dies between the two commits leaves a lease; who dies before the first or after the second, none.
WITH_A_MINT_LEASE = MINT_STEPS[MINT_STEPS.index("mint_claimed") : -1]
WITH_A_PACK_LEASE = PACK_STEPS[PACK_STEPS.index("pack_claimed") : -1]
SOURCES = Path(__file__).parents[2] / "src" / "mintage"


@pytest.fixture
def world(world: World) -> World:
    """Leases lapse when a test says so; packs are of four units."""
    return with_limits(world, job_lease_s=3600.0, pack_lease_s=3600.0, pack_units=4)


@pytest.fixture
def store(tmp_path: Path) -> PackStore:
    return open_pack_store(None, tmp_path)


async def _submitted(world: World, kind: str = "own") -> dict[str, Any]:
    kinds: dict[str, dict[str, Any]] = {
        "own": {},
        "brought": {"serials": [f"S{number}" for number in range(UNITS)]},
        "batch": {"identity_mode": "batch"},
    }
    more = kinds[kind]
    return await world.submit(await world.product(), UNITS, **more)


async def _packed(world: World, store: PackStore) -> None:
    while (await process_payload_pack(transactions(world), store)).result != "idle":
        pass


async def _is_leased(world: World) -> bool:
    found: bool = await value(
        world, "select coalesce(bool_or(lease_owner is not null), false) from work_item"
    )
    return found


async def _killed_while_minting(
    world: World, dsn: str, folder: Path, step: MintStep, *, kind: str = "own", time: int = 1
) -> None:
    await webhook_of(world, "https://example.com/", *TOLD)
    submitted = await _submitted(world, kind)
    await dies(world, Orders(dsn, folder, (Fault(step, "kill", time),), CHUNK))
    assert await _is_leased(world) == (step in WITH_A_MINT_LEASE)
    await let_leases_lapse(world)
    answers = await drained(world, batch_size=CHUNK)
    assert all(answer["ok"] for answer in answers)
    await assert_minted_exactly(world, submitted, UNITS)
    outbox = await deliveries(world)
    told = [(each["event_type"], each["data"].get("minted_quantity")) for each in outbox]
    assert sorted(told) == sorted(TOLD.items())
    assert await broken_invariants(world) == {}


@pytest.mark.parametrize("step", MINT_STEPS)
async def test_a_worker_killed_at_a_step_of_minting_loses_and_doubles_nothing(
    world: World, dsn: str, tmp_path: Path, step: MintStep
) -> None:
    await _killed_while_minting(world, dsn, tmp_path, step)


@pytest.mark.parametrize("kind", ["own", "brought", "batch"])
@pytest.mark.parametrize("time", [2, 3])
@pytest.mark.parametrize("step", [step for step in MINT_STEPS if step != "mint_item_removed"])
async def test_a_worker_killed_in_a_later_cycle_loses_and_doubles_nothing(
    world: World, dsn: str, tmp_path: Path, step: MintStep, time: int, kind: str
) -> None:
    await _killed_while_minting(world, dsn, tmp_path, step, kind=kind, time=time)


@pytest.mark.parametrize("step", MINT_FAILURE_STEPS)
async def test_a_worker_killed_while_it_books_a_failed_cycle_books_nothing(
    world: World, dsn: str, tmp_path: Path, step: MintFailureStep
) -> None:
    submitted = await _submitted(world)
    faults = (Fault("mint_copied", "fail"), Fault(step, "kill"))
    attempts_max = 1 if step == "mint_job_failed" else 3
    limits = Limits(job_lease_s=3600.0, attempts_max=attempts_max)
    await dies(world, Orders(dsn, tmp_path, faults, CHUNK, limits=limits))
    item = await item_of(world, submitted)
    assert item is not None
    assert (item["attempts"], item["lease_epoch"]) == (0, 1)
    await let_leases_lapse(world)
    assert (await cycle(world, batch_size=CHUNK))["ok"]
    await drained(world)
    await assert_minted_exactly(world, submitted, UNITS)
    assert await broken_invariants(world) == {}


async def _killed_while_packing(
    world: World, dsn: str, store: PackStore, folder: Path, step: PackStep, time: int
) -> None:
    submitted = await world.minted(UNITS)
    await world.rpc("request_payload_packs", mint_batch_id=submitted["mint_batch_id"])
    await dies(world, Orders(dsn, folder, (Fault(step, "kill", time),)))
    assert await _is_leased(world) == (step in WITH_A_PACK_LEASE)
    before = await rows(world, "select * from payload_pack where status = 'completed'")
    await let_leases_lapse(world)
    await _packed(world, store)
    packs = await rows(world, "select * from payload_pack")
    assert all(pack in packs for pack in before), "a completed pack is never rebuilt"
    await assert_packed_exactly(world, submitted, folder, 2)
    for part in folder.rglob("*#*"):
        os.utime(part, (0, 0))
    await sweep_orphans(transactions(world), store)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) == 3
    assert await broken_invariants(world) == {}


@pytest.mark.parametrize("step", PACK_STEPS)
async def test_a_worker_killed_at_a_step_of_packing_loses_and_doubles_nothing(
    world: World, dsn: str, store: PackStore, tmp_path: Path, step: PackStep
) -> None:
    await _killed_while_packing(world, dsn, store, tmp_path, step, time=1)


@pytest.mark.parametrize("step", PACK_STEPS)
async def test_a_worker_killed_in_the_last_pack_loses_and_doubles_nothing(
    world: World, dsn: str, store: PackStore, tmp_path: Path, step: PackStep
) -> None:
    await _killed_while_packing(world, dsn, store, tmp_path, step, time=2)


@pytest.mark.parametrize("step", PACK_FAILURE_STEPS)
async def test_a_worker_killed_while_it_books_a_failed_pack_keeps_no_half(
    world: World, dsn: str, store: PackStore, tmp_path: Path, step: PackFailureStep
) -> None:
    submitted = await world.minted(UNITS)
    await world.rpc("request_payload_packs", mint_batch_id=submitted["mint_batch_id"])
    faults = (Fault("pack_written", "fail"), Fault(step, "kill"))
    attempts_max = 1 if step == "pack_failed" else 3
    limits = Limits(pack_lease_s=3600.0, attempts_max=attempts_max, backoff_s=(0.0, 0.0))
    await dies(world, Orders(dsn, tmp_path, faults, CHUNK, limits=limits))
    attempts = await value(world, "select sum(attempts) from work_item")
    assert attempts == (1 if step == "pack_failure_committed" else 0)
    await let_leases_lapse(world)
    await _packed(world, store)
    await assert_packed_exactly(world, submitted, tmp_path, 2)
    assert await sweep_orphans(transactions(world), store) == 1
    assert await broken_invariants(world) == {}


async def test_a_plain_run_reaches_every_step_in_its_order(
    world: World, store: PackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Step] = []
    monkeypatch.setattr(steps, "reached", seen.append)
    submitted = await _submitted(world)
    while (await cycle(world, batch_size=UNITS))["status"] != "IDLE":
        pass
    await world.rpc("request_payload_packs", mint_batch_id=submitted["mint_batch_id"])
    await _packed(world, store)
    firsts = tuple(dict.fromkeys(seen))
    assert firsts == MINT_STEPS + PACK_STEPS


def test_every_step_has_its_one_place() -> None:
    """In the code it is reached at one place only, and a test above, or of webhooks, kills a worker there."""
    told = re.findall(
        r"steps\.reached\(\"(\w+)\"\)",
        "\n".join(path.read_text("utf-8") for path in SOURCES.rglob("*.py")),
    )
    every = MINT_STEPS + MINT_FAILURE_STEPS + PACK_STEPS + PACK_FAILURE_STEPS + WEBHOOK_STEPS
    assert Counter(told) == Counter(every)


def test_nothing_in_the_platform_can_make_a_step_do_something() -> None:
    """`reached` is a function without a body, and no module of the platform puts another in its place."""
    assert steps.reached.__code__.co_names == ()
    assert [name for name in vars(steps) if callable(vars(steps)[name]) and name == "reached"]
    putting = re.compile(
        r"steps\.reached\s*=|setattr\([^)]*reached|import reached|from .*steps import \w*reached"
    )
    touched = [path for path in SOURCES.rglob("*.py") if putting.search(path.read_text("utf-8"))]
    assert touched == []
