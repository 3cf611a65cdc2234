"""An orderly stop while packs are made and stored: they are finished, or given back without an attempt."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mintage.operations import steps
from mintage.packs.workshop import Workshop
from mintage.worker.loop import Worker, lanes_of
from tests.packs.desk import Desk
from tests.packs.test_workshop import until_gone, until_taken, with_idle
from tests.support.keys import manifest_key
from tests.support.minting import value

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def at_work(
    desk: Desk, dsn: str, workshop: Workshop | None, stop_wait_s: float
) -> AsyncIterator[Worker]:
    """A worker that packs; at the end it has stopped, and has not waited for more than its limit."""
    platform = desk.world.platform
    platform = replace(platform, limits=replace(platform.limits, steps_stop_wait_s=stop_wait_s))
    lanes = lanes_of(platform, desk.store, manifest_key, workshop)
    worker = Worker(platform, dsn, tuple(each for each in lanes if each.name == "payload_pack"), ())
    working = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        worker.stop()
        async with asyncio.timeout(60):
            await working


async def open_items(desk: Desk) -> list[dict[str, Any]]:
    """The work items of packs, manifests aside."""
    statement = (
        "select item.lease_owner, item.attempts from work_item as item "
        "join payload_pack as pack on pack.id = item.ref_id where pack.format <> 'group_manifest'"
    )
    async with desk.world.platform.database.pool.acquire() as connection:
        return [dict(each) for each in await connection.fetch(statement)]


async def requested(desk: Desk, format_name: str) -> None:
    await desk.request((await desk.world.minted(2))["mint_batch_id"], format=format_name)


async def test_a_pack_in_the_workshop_is_finished(desk: Desk, dsn: str, tmp_path: Path) -> None:
    workshop = Workshop(1, 60)
    (process,) = await with_idle(workshop, 1, tmp_path)
    os.kill(process, signal.SIGSTOP)
    async with at_work(desk, dsn, workshop, 60) as worker:
        await requested(desk, "qr_svg")
        await until_taken(workshop)
        worker.stop()
        os.kill(process, signal.SIGCONT)
    assert [each["status"] for each in await desk.packs()] == ["completed"]
    assert await open_items(desk) == []
    await workshop.close()


async def test_a_pack_that_takes_too_long_in_the_workshop_is_given_back(
    desk: Desk, dsn: str, tmp_path: Path
) -> None:
    workshop = Workshop(1, 60)
    made_by = await with_idle(workshop, 1, tmp_path)
    os.kill(made_by[0], signal.SIGSTOP)
    async with at_work(desk, dsn, workshop, 0):
        await requested(desk, "qr_svg")
        await until_taken(workshop)
    assert await open_items(desk) == [{"lease_owner": None, "attempts": 0}]
    assert desk.files() == set()
    await until_gone(made_by)
    await workshop.close()


@pytest.mark.parametrize("stop_wait_s", [0, 60])
async def test_a_pack_that_is_being_stored_is_finished_or_given_back(
    desk: Desk, dsn: str, monkeypatch: pytest.MonkeyPatch, stop_wait_s: float
) -> None:
    is_stored, goes_on = threading.Event(), threading.Event()

    def reached(step: steps.Step) -> None:
        if step == "pack_file_under_way":
            is_stored.set()
            goes_on.wait(60)

    monkeypatch.setattr(steps, "reached", reached)
    try:
        async with at_work(desk, dsn, None, stop_wait_s) as worker:
            await requested(desk, "csv")
            while not is_stored.is_set():
                await asyncio.sleep(0.005)
            if stop_wait_s:
                worker.stop()
                goes_on.set()
    finally:
        goes_on.set()
    (pack,) = await desk.packs()
    if stop_wait_s:
        assert pack["status"] == "completed"
        assert await open_items(desk) == []
        return
    assert pack["status"] != "completed"
    assert await open_items(desk) == [{"lease_owner": None, "attempts": 0}]
    monkeypatch.undo()
    assert [each.result for each in await desk.process_all()] == ["completed"]


def children_of(process_id: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text("utf-8").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if fields[1] == str(process_id):
            found.append(int(stat.parent.name))
    return found


def is_deaf(process_id: int) -> bool:
    """SIGTERM is ignored, as it is once a process of the workshop has begun."""
    status = Path(f"/proc/{process_id}/status").read_text("utf-8")
    ignored = status.partition("SigIgn:")[2].split()[0]
    return bool(int(ignored, 16) >> (signal.SIGTERM - 1) & 1)


@pytest.mark.long
async def test_sigterm_lets_a_worker_finish_the_pack_in_its_workshop(
    desk: Desk, dsn: str, tmp_path: Path
) -> None:
    await requested(desk, "labels_pdf")
    worker = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "mintage",
        "work",
        cwd=ROOT,
        env=os.environ | {"MINTAGE_DATABASE_URL": dsn, "MINTAGE_DATA": str(tmp_path)},
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(60):
            while not (made_by := [each for each in children_of(worker.pid) if is_deaf(each)]):
                assert worker.returncode is None
                await asyncio.sleep(0.002)
        os.kill(made_by[0], signal.SIGSTOP)
        assert await value(
            desk.world, "select count(*) from work_item where lease_owner is not null"
        )
        worker.terminate()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(worker.wait(), 0.3)
        os.kill(made_by[0], signal.SIGTERM)
        os.kill(made_by[0], signal.SIGCONT)
        async with asyncio.timeout(60):
            assert await worker.wait() == 0
    finally:
        if worker.returncode is None:
            worker.kill()
            await worker.wait()
    assert [each["status"] for each in await desk.packs()] == ["completed"]
    assert await open_items(desk) == []
    await until_gone(made_by)
