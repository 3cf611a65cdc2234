"""A server that forgot a claim (a crash, a failover) gives its epoch out again: two workers hold one token.

Of two cycles with one token one closes; of two packs with one path one writes, and nobody removes its file.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from mintage.operations import mint_execution, steps
from mintage.operations.mint_failures import CycleFailed
from mintage.operations.pack_execution import process_payload_pack
from mintage.operations.pack_files import PackOutcome
from mintage.operations.steps import Step
from mintage.storage import FileTaken, PackStore, StoredFile, open_pack_store
from tests.support.exactly import assert_minted_exactly, assert_packed_exactly
from tests.support.minting import (
    broken_invariants,
    claimed,
    cycle,
    drained,
    execute,
    job_of,
    row,
    transactions,
    with_limits,
)
from tests.support.waiting import until_somebody_waits, waiting
from tests.support.world import World


@pytest.fixture
def world(world: World) -> World:
    """No lease lapses by itself here."""
    return with_limits(world, job_lease_s=3600.0, pack_lease_s=3600.0)


@pytest.fixture
def store(tmp_path: Path) -> PackStore:
    return open_pack_store(None, tmp_path)


async def _forget_the_claim(world: World) -> None:
    """What a server that did not keep the claim's commit has."""
    await execute(
        world,
        "update work_item set lease_owner = null, lease_until = null, lease_epoch = lease_epoch - 1",
    )


@pytest.mark.parametrize("brought", [False, True], ids=["own", "brought"])
async def test_of_two_cycles_under_one_epoch_one_closes(world: World, brought: bool) -> None:
    more: dict[str, Any] = {"serials": [f"S{n}" for n in range(10)]} if brought else {}
    submitted = await world.submit(await world.product(), 10, **more)
    first = await claimed(world)
    await _forget_the_claim(world)
    second = await claimed(world)
    assert first.epoch == second.epoch == 1
    results = await asyncio.gather(
        *(mint_execution._work(transactions(world), claim, 4) for claim in (first, second)),
        return_exceptions=True,
    )
    failures = [result for result in results if isinstance(result, Exception)]
    assert [type(failure) for failure in failures] == [CycleFailed]
    await drained(world)
    await assert_minted_exactly(world, submitted, 10)
    assert await broken_invariants(world) == {}


async def test_a_worker_that_slept_through_a_retry_and_its_namesake_mint_exactly_once(
    world: World,
) -> None:
    """`retry_mint_job` begins with epoch 0 again: the sleeper's token is the next worker's too."""
    submitted = await world.submit(await world.product(), 10)
    sleeper = await claimed(world)
    await execute(world, "update work_item set lease_until = clock_timestamp()")
    assert (await cycle(with_limits(world, attempts_max=1)))["ok"] is False
    assert (await job_of(world, submitted))["status"] == "FAILED"
    await world.rpc("retry_mint_job", mint_job_id=submitted["mint_job_id"])
    second = await claimed(world)
    assert sleeper.epoch == second.epoch == 1
    results = await asyncio.gather(
        *(mint_execution._work(transactions(world), claim, 4) for claim in (sleeper, second)),
        return_exceptions=True,
    )
    failures = [result for result in results if isinstance(result, Exception)]
    assert [type(failure) for failure in failures] == [CycleFailed]
    await drained(world)
    await assert_minted_exactly(world, submitted, 10)
    assert await broken_invariants(world) == {}


async def test_a_cycle_that_waits_for_the_other_under_its_epoch_closes_nothing(
    world: World,
) -> None:
    """Both have copied and counted their chunk when the first of them closes."""
    submitted = await world.submit(await world.product(), 10)
    first = await claimed(world)
    await _forget_the_claim(world)
    second = await claimed(world)
    async with world.platform.database.pool.acquire() as holder:
        await holder.execute("begin; select from work_item for update")
        both = [
            asyncio.create_task(mint_execution._work(transactions(world), claim, 4))
            for claim in (first, second)
        ]
        await until_somebody_waits(world)
        while await waiting(world) < 2:
            await asyncio.sleep(0.002)
        await holder.execute("commit")
    results = await asyncio.gather(*both, return_exceptions=True)
    (failure,) = (result for result in results if isinstance(result, CycleFailed))
    assert failure.code == "INTEGRITY_CHECK_FAILED"
    await drained(world)
    await assert_minted_exactly(world, submitted, 10)
    assert await broken_invariants(world) == {}


class _Halted(PackStore):
    """A store whose writer is halted before or after it has written."""

    def __init__(self, store: PackStore, *, halts_after: bool) -> None:
        self._inner, self._halts_after = store, halts_after
        self.has_halted, self.may_go_on = asyncio.Event(), asyncio.Event()

    async def put(
        self, path: str, chunks: Iterable[bytes | memoryview], *, name: str | None = None
    ) -> StoredFile:
        if not self._halts_after:
            await self._halt()
        written = await self._inner.put(path, chunks, name=name)
        if self._halts_after:
            await self._halt()
        return written

    async def delete(self, path: str) -> None:
        await self._inner.delete(path)

    async def _halt(self) -> None:
        self.has_halted.set()
        await self.may_go_on.wait()


async def _asked(world: World) -> dict[str, Any]:
    submitted = await world.minted(5)
    await world.rpc("request_payload_packs", mint_batch_id=submitted["mint_batch_id"])
    return submitted


async def _two_under_one_epoch(
    world: World, store: PackStore, *, halts_after: bool
) -> tuple[PackOutcome, PackOutcome, PackOutcome]:
    """The outcomes of the second, of the halted first, and of whoever comes after both: for the manifest."""
    halted = _Halted(store, halts_after=halts_after)
    first = asyncio.create_task(process_payload_pack(transactions(world), halted))
    await halted.has_halted.wait()
    await _forget_the_claim(world)
    second = await process_payload_pack(transactions(world), store)
    halted.may_go_on.set()
    return second, await first, await process_payload_pack(transactions(world), store)


async def test_a_pack_is_not_written_over_a_file_of_the_same_epoch(
    world: World, store: PackStore, tmp_path: Path
) -> None:
    submitted = await _asked(world)
    second, first, third = await _two_under_one_epoch(world, store, halts_after=True)
    assert (second.result, first.result, third.result) == ("postponed", "completed", "completed")
    await assert_packed_exactly(world, submitted, tmp_path, 1)
    assert await broken_invariants(world) == {}


async def test_a_late_writer_leaves_the_file_of_a_completed_pack_as_it_is(
    world: World, store: PackStore, tmp_path: Path
) -> None:
    submitted = await _asked(world)
    second, first, third = await _two_under_one_epoch(world, store, halts_after=False)
    assert (second.result, first.result, third.result) == ("completed", "lost", "completed")
    await assert_packed_exactly(world, submitted, tmp_path, 1)
    assert await broken_invariants(world) == {}


async def test_a_taken_path_is_no_attempt_and_the_next_epoch_has_another(
    world: World, store: PackStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first worker is gone for good after it has written."""
    world = with_limits(world, store_pause_s=0.0)
    submitted = await _asked(world)

    def die(step: Step) -> None:
        if step == "pack_written":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(steps, "reached", die)
        with pytest.raises(KeyboardInterrupt):
            await process_payload_pack(transactions(world), store)
    await _forget_the_claim(world)
    assert (await process_payload_pack(transactions(world), store)).result == "postponed"
    item = await row(
        world, "select attempts, lease_epoch from work_item where runnable_at < 'infinity'"
    )
    assert item == {"attempts": 0, "lease_epoch": 1}
    for _ in ("pack", "manifest"):
        assert (await process_payload_pack(transactions(world), store)).result == "completed"
    await assert_packed_exactly(world, submitted, tmp_path, 1)


async def test_a_store_that_calls_every_path_taken_is_not_asked_without_end(
    world: World, store: PackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _asked(world)

    async def taken(*_: object, **__: object) -> StoredFile:
        raise FileTaken("a file of this path is there already")

    monkeypatch.setattr(PackStore, "put", taken)
    waiting = with_limits(world, store_pause_s=3600.0, store_pause_s_max=7200.0)
    outcome = await process_payload_pack(transactions(waiting), store)
    assert (outcome.result, outcome.error) == ("postponed", "STORAGE_FAILED")
    assert (await process_payload_pack(transactions(waiting), store)).result == "idle"
    await execute(
        world,
        "update work_item set runnable_at = clock_timestamp() where runnable_at < 'infinity'",
    )
    hasty = with_limits(world, store_pause_s=0.0, backoff_s=(0.0, 0.0))
    results = []
    while (outcome := await process_payload_pack(transactions(hasty), store)).result != "idle":
        results.append(outcome.result)
        assert len(results) < 20
    assert results == ["postponed", "postponed", "retried", "retried", "failed"]
    assert await broken_invariants(world) == {}


async def test_a_file_is_written_once_and_stays_as_it_is(store: PackStore) -> None:
    first = await store.put("brand/group/0001-1.csv", [b"first"])
    with pytest.raises(FileTaken):
        await store.put("brand/group/0001-1.csv", [b"second"])
    content = b"".join([part async for part in store.get("brand/group/0001-1.csv", 0, 5)])
    assert hashlib.sha256(content).hexdigest() == first.sha256


async def test_a_store_that_cannot_tell_overwrites(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk without hard links, which the store needs to write a file only where there is none."""

    def no_links(*_: object) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr("os.link", no_links)
    store = open_pack_store(None, tmp_path)
    await store.put("brand/group/0001-1.csv", [b"first"])
    assert (await store.put("brand/group/0001-1.csv", [b"second"])).byte_size == 6
