"""The workshop: packs made in processes of their own, and what becomes of them when one dies."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mintage.operations.pack_execution import process_payload_pack
from mintage.operations.pack_sweep import sweep_drafts
from mintage.packs.columns import UnitColumns
from mintage.packs.context import PackUnreadable
from mintage.packs.formats import FORMATS
from mintage.packs.making import make_file
from mintage.packs.workshop import Workshop, WorkshopFailed
from tests.packs.building import GTIN, MOMENT, context
from tests.packs.desk import Desk


def columns(count: int) -> list[UnitColumns]:
    return [
        UnitColumns(
            first_unit_no=0,
            count=count,
            ids=bytes(16 * count),
            serials="\n".join(f"A{place:05}" for place in range(count)),
            activated=frozenset(),
            revoked=frozenset(),
            untouched_status="minted",
            url_start=f"https://id.example.com/01/{GTIN}/21/",
            url_ends_in="serial",
            gtin=GTIN,
            lot_code=None,
            created_at=MOMENT,
        )
    ]


def processes(workshop: Workshop) -> list[int]:
    return sorted(each.child.pid for each in workshop._idle)


def is_running(process_id: int) -> bool:
    try:
        state = Path(f"/proc/{process_id}/stat").read_text("utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


async def until_gone(process_ids: list[int]) -> None:
    async with asyncio.timeout(60):
        while any(map(is_running, process_ids)):
            await asyncio.sleep(0.02)


async def test_a_process_makes_the_file_that_this_one_would(tmp_path: Path) -> None:
    workshop = Workshop(1, 60)
    here, there = tmp_path / "here", tmp_path / "there"
    make_file("csv", context(), columns(5), here)
    await workshop.make("csv", context(), columns(5), there)
    assert there.read_bytes() == here.read_bytes()
    made_by = processes(workshop)
    assert len(made_by) == 1
    await workshop.close()
    await until_gone(made_by)


async def test_a_killed_process_fails_its_pack_and_the_next_pack_gets_another(
    tmp_path: Path,
) -> None:
    workshop = Workshop(1, 60)
    await workshop.make("csv", context(), columns(1), tmp_path / "first")
    before = processes(workshop)
    os.kill(before[0], signal.SIGSTOP)
    making = asyncio.create_task(workshop.make("csv", context(), columns(1), tmp_path / "second"))
    await asyncio.sleep(0)
    os.kill(before[0], signal.SIGKILL)
    with pytest.raises(WorkshopFailed):
        await making
    await workshop.make("csv", context(), columns(1), tmp_path / "third")
    assert (tmp_path / "third").read_bytes() == (tmp_path / "first").read_bytes()
    assert processes(workshop) != before
    await workshop.close()


async def test_a_process_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    workshop = Workshop(1, 60)
    await workshop.make("csv", context(), columns(1), tmp_path / "first")
    before = processes(workshop)
    os.kill(before[0], signal.SIGSTOP)
    workshop._timeout_s = 0.05
    with pytest.raises(WorkshopFailed):
        await workshop.make("csv", context(), columns(1), tmp_path / "second")
    await until_gone(before)
    await workshop.close()


async def with_idle(workshop: Workshop, count: int, folder: Path) -> list[int]:
    """Let it have `count` processes that wait for work; their ids."""
    names = (f"idle-{place}" for place in range(count))
    makes = (workshop.make("csv", context(), columns(1), folder / name) for name in names)
    await asyncio.gather(*makes)
    assert len(processes(workshop)) == count
    return processes(workshop)


async def until_taken(workshop: Workshop) -> None:
    async with asyncio.timeout(60):
        while processes(workshop):
            await asyncio.sleep(0.005)


async def test_it_closes_though_a_process_was_killed_and_another_does_not_listen(
    tmp_path: Path,
) -> None:
    workshop = Workshop(2, 60)
    killed, deaf = await with_idle(workshop, 2, tmp_path)
    os.kill(killed, signal.SIGKILL)
    os.kill(deaf, signal.SIGSTOP)
    async with asyncio.timeout(60):
        await workshop.close()
    await until_gone([killed, deaf])


@pytest.mark.long
async def test_a_process_that_was_killed_while_it_waited_costs_no_pack(tmp_path: Path) -> None:
    workshop = Workshop(1, 60)
    (idle,) = await with_idle(workshop, 1, tmp_path)
    os.kill(idle, signal.SIGKILL)
    await until_gone([idle])
    await workshop.make("csv", context(), columns(1), tmp_path / "pack")
    assert processes(workshop) != [idle]
    await workshop.close()


async def test_a_killed_process_costs_its_own_pack_and_no_other(tmp_path: Path) -> None:
    workshop = Workshop(2, 60)
    first, second = await with_idle(workshop, 2, tmp_path)
    for each in (first, second):
        os.kill(each, signal.SIGSTOP)
    files = [tmp_path / f"pack-{place}" for place in range(4)]
    makes = [
        asyncio.create_task(workshop.make("csv", context(), columns(1), file)) for file in files
    ]
    await until_taken(workshop)
    os.kill(first, signal.SIGKILL)
    os.kill(second, signal.SIGCONT)
    failures = await asyncio.gather(*makes, return_exceptions=True)
    assert sorted(type(each).__name__ for each in failures) == ["NoneType"] * 3 + ["WorkshopFailed"]
    whole = (tmp_path / "idle-0").read_bytes()
    for file, failure in zip(files, failures, strict=True):
        assert failure is not None or file.read_bytes() == whole
    await workshop.close()


@pytest.mark.long
async def test_the_time_of_a_pack_begins_with_its_making(tmp_path: Path) -> None:
    workshop = Workshop(1, 60)
    (idle,) = await with_idle(workshop, 1, tmp_path)
    os.kill(idle, signal.SIGSTOP)
    workshop._timeout_s = 0.3
    makes = [
        asyncio.create_task(workshop.make("csv", context(), columns(1), tmp_path / name))
        for name in ("first", "second")
    ]
    await until_taken(workshop)
    workshop._timeout_s = 60
    failures = await asyncio.gather(*makes, return_exceptions=True)
    assert [type(each) for each in failures] == [WorkshopFailed, type(None)]
    await workshop.close()


@pytest.mark.long
async def test_what_is_cancelled_is_made_no_further(tmp_path: Path) -> None:
    workshop = Workshop(1, 60)
    made_by = await with_idle(workshop, 1, tmp_path)
    os.kill(made_by[0], signal.SIGSTOP)
    making = asyncio.create_task(
        workshop.make("csv", context(), columns(1), tmp_path / "cancelled")
    )
    await until_taken(workshop)
    making.cancel()
    await asyncio.gather(making, return_exceptions=True)
    assert making.cancelled()
    await until_gone(made_by)
    await workshop.close()


async def test_processes_end_when_there_was_no_work_for_a_while(tmp_path: Path) -> None:
    workshop = Workshop(1, 60, idle_s=0)
    await workshop.make("csv", context(), columns(1), tmp_path / "first")
    # Asked for in the same turn of the loop: the time is not over yet.
    made_by = processes(workshop)
    assert made_by != []
    await until_gone(made_by)
    assert processes(workshop) == []


async def test_what_is_wrong_with_a_pack_is_told_by_the_process(tmp_path: Path) -> None:
    workshop = Workshop(1, 60)
    taken = tmp_path / "taken"
    taken.write_bytes(b"")
    with pytest.raises(FileExistsError):
        await workshop.make("csv", context(), columns(1), taken)
    await workshop.close()


ORPHANING = """
import asyncio, os, sys, signal
from pathlib import Path
from mintage.packs.workshop import Workshop
from tests.packs.building import context
from tests.packs.test_workshop import columns, processes

async def main():
    workshop = Workshop(1, 60)
    await workshop.make("csv", context(), columns(1), Path(sys.argv[1]))
    print(*processes(workshop), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    asyncio.run(main())
"""


async def test_processes_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "orphaning.py"
    script.write_text(ORPHANING, "utf-8")
    finished = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, str(script), str(tmp_path / "pack")],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert finished.returncode == -signal.SIGKILL
    made_by = [int(each) for each in finished.stdout.split()]
    assert len(made_by) == 1
    await until_gone(made_by)


def test_only_csv_is_written_beside_the_loop() -> None:
    assert [name for name, each in FORMATS.items() if not each.is_heavy] == ["csv"]


@pytest.mark.parametrize("name", ["full_manifest", "qr_manifest"])
async def test_a_heavy_pack_comes_from_the_workshop_into_the_store(desk: Desk, name: str) -> None:
    workshop = Workshop(1, 60)
    batch_id = (await desk.world.minted(3))["mint_batch_id"]
    await desk.request(batch_id, format=name)
    outcome = await process_payload_pack(desk.transactions, desk.store, workshop=workshop)
    assert outcome.result == "completed"
    assert len(processes(workshop)) == 1
    await workshop.close()
    (pack,) = await desk.packs()
    assert (desk.folder / pack["storage_path"]).stat().st_size == pack["byte_size"]


@pytest.mark.long
async def test_a_killed_process_costs_its_own_pack_an_attempt(desk: Desk, tmp_path: Path) -> None:
    desk = desk.with_limits(pack_units=1)
    workshop = Workshop(2, 60)
    first, second = await with_idle(workshop, 2, tmp_path)
    for each in (first, second):
        os.kill(each, signal.SIGSTOP)
    await desk.request((await desk.world.minted(4))["mint_batch_id"], format="qr_svg")
    packs = [
        asyncio.create_task(process_payload_pack(desk.transactions, desk.store, workshop=workshop))
        for _ in range(4)
    ]
    await until_taken(workshop)
    os.kill(first, signal.SIGKILL)
    os.kill(second, signal.SIGCONT)
    outcomes = await asyncio.gather(*packs)
    assert sorted(each.result for each in outcomes) == ["completed"] * 3 + ["retried"]
    queued = await desk.row(
        "select sum(attempts) as attempts, count(*) as items from work_item "
        "where runnable_at < 'infinity'"
    )
    assert queued == {"attempts": 1, "items": 1}
    await workshop.close()


class LateWorkshop(Workshop):
    """One in which a pack waits until its lease is over, and `other` has taken it, perhaps."""

    def __init__(self, desk: Desk, other: Desk | None = None) -> None:
        super().__init__(1, 60)
        self.desk = desk
        self.other = other
        self.has_lease: list[object] = []

    async def make(self, *order: Any, beginning: Any = None) -> None:
        await self.desk.let_leases_lapse()
        if self.other is not None:
            await self.other.process()

        async def begin() -> None:
            await beginning()
            item = await self.desk.row(
                "select lease_until > clock_timestamp() as holds "
                "from work_item where lease_owner is not null"
            )
            self.has_lease.append(item["holds"])

        await super().make(*order, beginning=begin)


async def test_a_lease_lasts_from_the_beginning_of_the_making(desk: Desk) -> None:
    await desk.request((await desk.world.minted(1))["mint_batch_id"], format="qr_svg")
    workshop = LateWorkshop(desk)
    outcome = await process_payload_pack(desk.transactions, desk.store, workshop=workshop)
    assert (outcome.result, workshop.has_lease) == ("completed", [True])
    await workshop.close()


@pytest.mark.long
async def test_a_pack_that_another_has_by_its_turn_is_not_made(desk: Desk) -> None:
    await desk.request((await desk.world.minted(1))["mint_batch_id"], format="qr_svg")
    workshop = LateWorkshop(desk, other=desk)
    outcome = await process_payload_pack(desk.transactions, desk.store, workshop=workshop)
    assert (outcome.result, outcome.error) == ("lost", "LEASE_LOST")
    assert workshop.has_lease == []
    (pack,) = await desk.packs()
    assert desk.files() == {pack["storage_path"]}
    await workshop.close()


async def test_a_pack_that_does_not_read_back_is_not_closed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def smudged(*_: object) -> None:
        raise PackUnreadable("smudged")

    monkeypatch.setitem(FORMATS, "csv", replace(FORMATS["csv"], verify=smudged))
    await desk.request((await desk.world.minted(2))["mint_batch_id"])
    outcomes = await desk.process_all()
    assert [outcome.result for outcome in outcomes] == ["retried", "retried", "failed"]
    assert {outcome.error for outcome in outcomes} == {"INTEGRITY_CHECK_FAILED"}
    assert desk.files() == set()


def test_drafts_that_killed_workers_left_are_swept_after_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    old, new, strange = (
        tmp_path / name for name in ("mintage-pack-a", "mintage-pack-b", "others-pack")
    )
    for folder in (old, new, strange):
        folder.mkdir()
        (folder / "pack").write_bytes(b"draft")
    for folder in (old, strange):
        os.utime(folder, (0, 0))
    assert sweep_drafts() == 1
    assert {each.name for each in tmp_path.iterdir()} == {new.name, strange.name}
