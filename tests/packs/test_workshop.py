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
    pool = workshop._pool
    return sorted(pool._processes or ()) if pool is not None else []


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


async def test_a_heavy_pack_comes_from_the_workshop_into_the_store(desk: Desk) -> None:
    heavy = [name for name, each in FORMATS.items() if each.is_heavy and each.refuse is None]
    assert heavy, "a format that is made in a process"
    workshop = Workshop(1, 60)
    batch_id = (await desk.world.minted(3))["mint_batch_id"]
    await desk.request(batch_id, format=heavy[0])
    outcome = await process_payload_pack(desk.transactions, desk.store, workshop=workshop)
    assert outcome.result == "completed"
    assert len(processes(workshop)) == 1
    await workshop.close()
    (pack,) = await desk.packs()
    assert (desk.folder / pack["storage_path"]).stat().st_size == pack["byte_size"]


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
