"""Writing packs: every unit once, nothing lost or doubled whoever dies, voided batches refused."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Iterable
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from mintage.operations import pack_execution, pack_files
from mintage.operations.call import SERVICE
from mintage.operations.pack_files import PackClaim, PackOutcome, PackTools, write_file
from mintage.operations.pack_sweep import sweep_orphans
from mintage.packs.formats import FORMATS
from mintage.storage import PackStore, StorageFailure, StoredFile
from mintage.worker.duties import duties_of
from tests.packs.desk import Desk
from tests.packs.reading import columns_of


def columns(desk: Desk, *packs: dict[str, Any]) -> dict[str, list[str]]:
    return columns_of(*((desk.folder / pack["storage_path"]).read_bytes() for pack in packs))


async def units_of(desk: Desk, batch_id: object) -> list[dict[str, Any]]:
    answer = await desk.world.rpc("list_mint_units", mint_batch_id=batch_id, limit=200)
    return sorted(answer["units"], key=lambda unit: unit["unit_no"])


async def test_the_packs_of_a_batch_hold_each_unit_once_as_the_api_tells_it(desk: Desk) -> None:
    desk = desk.with_limits(pack_units=40)
    minted = await desk.world.minted(101)
    await desk.request(minted["mint_batch_id"])
    outcomes = await desk.process_all()
    packs = await desk.packs()
    assert [outcome.result for outcome in outcomes] == ["completed"] * 3
    assert [outcome.pack_id for outcome in outcomes] == [pack["id"] for pack in packs]
    assert [pack["unit_count"] for pack in packs] == [40, 40, 21]
    frame = columns(desk, *packs)
    units = await units_of(desk, minted["mint_batch_id"])
    assert frame["unit_id"] == [str(unit["id"]) for unit in units]
    for column in ("resolver_url", "serial_number", "gtin", "status"):
        assert frame[column] == [unit[column] for unit in units]
    assert set(frame["created_at"]) == {
        unit["created_at"].strftime("%Y-%m-%dT%H:%M:%S.%fZ") for unit in units
    }


async def test_a_completed_pack_states_size_and_hash_of_its_file(desk: Desk) -> None:
    pack = (await desk.exported(7))[0]
    content = (desk.folder / pack["storage_path"]).read_bytes()
    assert pack["status"] == "completed"
    assert pack["byte_size"] == len(content)
    assert pack["sha256"] == hashlib.sha256(content).hexdigest()
    assert pack["completed_at"] is not None
    assert pack["error"] is None
    group_id, brand_id = pack["export_group_id"], desk.world.brand_id
    assert pack["storage_path"] == f"{brand_id}/{group_id}/0001-1.csv"


@pytest.mark.long
async def test_a_hundred_thousand_units_are_in_ten_packs_each_once(desk: Desk) -> None:
    packs = await desk.exported(100_000)
    assert [pack["unit_count"] for pack in packs] == [10_000] * 10
    for pack in packs:
        content = desk.folder.joinpath(pack["storage_path"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == pack["sha256"]
    frame = columns(desk, *packs)
    for column in ("unit_id", "serial_number", "resolver_url"):
        assert len(frame[column]) == len(set(frame[column])) == 100_000
    assert frame["unit_id"] == sorted(frame["unit_id"])


async def test_the_last_pack_completes_the_group_and_exports_the_batch(desk: Desk) -> None:
    desk = desk.with_limits(pack_units=2)
    batch_id = (await desk.world.minted(3))["mint_batch_id"]
    group = await desk.request(batch_id)
    await desk.process()
    assert (await desk.batch(batch_id))["status"] == "minted"
    assert await _group_status(desk, group) == "generating"
    await desk.process()
    assert await _group_status(desk, group) == "generating"
    assert (await desk.manifest())["status"] == "pending"
    await desk.process()
    assert (await desk.manifest())["status"] == "completed"
    assert (await desk.batch(batch_id))["status"] == "exported"
    assert await _group_status(desk, group) == "completed"
    moves = await desk.events(batch_id, "mint_batch_status_changed")
    assert [(move["actor_type"], move["payload"]["status"]) for move in moves] == [
        ("system", "exported")
    ]
    completed = await desk.events(batch_id, "payload_pack_completed")
    assert sorted(event["payload"]["pack_index"] for event in completed) == [1, 2, 3]
    assert (await desk.row("select count(*) as open from work_item"))["open"] == 0


async def test_a_batch_that_is_past_minted_stays_where_it_is(desk: Desk) -> None:
    batch_id = (await desk.world.minted(3))["mint_batch_id"]
    await desk.execute("update mint_batch set status = 'printed' where id = $1", batch_id)
    await desk.request(batch_id)
    await desk.process_all()
    assert (await desk.batch(batch_id))["status"] == "printed"
    assert await desk.events(batch_id, "mint_batch_status_changed") == []


async def test_batch_mode_urls_name_the_lot_of_each_unit(desk: Desk) -> None:
    pack = (
        await desk.exported(
            5,
            identity_mode="batch",
            lots=[{"lot_code": "L/1", "qty": 2}, {"lot_code": "B", "qty": 3}],
        )
    )[0]
    urls = columns(desk, pack)["resolver_url"]
    base = "https://acme.example.com/01/09506000134352/10"
    assert urls == [f"{base}/L%2F1"] * 2 + [f"{base}/B"] * 3
    assert set(columns(desk, pack)["serial_number"]) == {""}


async def test_lots_and_packs_may_end_at_different_units(desk: Desk) -> None:
    desk = desk.with_limits(pack_units=3)
    sizes = [1, 4, 1, 3, 1]
    lots = [{"lot_code": f"L{no}", "qty": size} for no, size in enumerate(sizes)]
    packs = await desk.exported(10, identity_mode="batch", lots=lots)
    assert [pack["unit_count"] for pack in packs] == [3, 3, 3, 1]
    codes = [url.rpartition("/")[2] for url in columns(desk, *packs)["resolver_url"]]
    assert codes == [f"L{no}" for no, size in enumerate(sizes) for _ in range(size)]


async def test_a_unit_of_no_lot_fails_the_pack(desk: Desk) -> None:
    batch_id = (await desk.world.minted(3, identity_mode="batch"))["mint_batch_id"]
    await desk.execute("update mint_lot set quantity = 2")
    await desk.request(batch_id)
    assert (await desk.process()).error == "INTEGRITY_CHECK_FAILED"


@pytest.mark.parametrize("identity_mode", ["serial", "batch"])
async def test_without_a_gtin_urls_name_the_unit_or_the_lot(desk: Desk, identity_mode: str) -> None:
    pack = (await desk.exported(2, gtin=None, identity_mode=identity_mode))[0]
    frame = columns(desk, pack)
    units = await units_of(desk, pack["mint_batch_id"])
    if identity_mode == "serial":
        expected = [f"https://acme.example.com/mu/{unit['id']}" for unit in units]
    else:
        expected = [f"https://acme.example.com/ml/{unit['mint_lot_id']}" for unit in units]
    assert frame["resolver_url"] == expected
    assert set(frame["gtin"]) == {""}


async def test_a_pack_tells_units_activated_and_revoked_before_it_was_written(desk: Desk) -> None:
    batch_id = (await desk.world.minted(4))["mint_batch_id"]
    units = await units_of(desk, batch_id)
    for unit, column in ((units[1], "activated_at"), (units[2], "revoked_at")):
        await desk.execute(
            f"insert into unit_state (brand_id, unit_id, {column}) "
            "values ($1, $2, clock_timestamp())",
            desk.world.brand_id,
            unit["id"],
        )
    await desk.request(batch_id)
    await desk.process()
    frame = columns(desk, (await desk.packs())[0])
    assert frame["status"] == ["minted", "active", "revoked", "minted"]


async def test_active_at_mint_units_and_units_of_a_scanned_lot_are_active(desk: Desk) -> None:
    first = (await desk.exported(2, activation_mode="active_at_mint"))[0]
    assert set(columns(desk, first)["status"]) == {"active"}
    lots = [{"lot_code": "A", "qty": 1}, {"lot_code": "B", "qty": 1}]
    minted = await desk.world.minted(2, gtin=None, identity_mode="batch", lots=lots)
    batch_id = minted["mint_batch_id"]
    await desk.execute(
        "update mint_lot set activated_at = clock_timestamp() "
        "where mint_batch_id = $1 and lot_code = 'B'",
        batch_id,
    )
    await desk.request(batch_id)
    await desk.process_all()
    second = (await desk.packs(mint_batch_id=batch_id))[0]
    assert columns(desk, second)["status"] == ["minted", "active"]


async def test_after_a_kill_the_next_worker_goes_on_with_what_is_not_complete(desk: Desk) -> None:
    desk = desk.with_limits(pack_units=2)
    batch_id = (await desk.world.minted(6))["mint_batch_id"]
    await desk.request(batch_id)
    await desk.process()
    first = (await desk.packs())[0]
    await _killed_between_write_and_close(desk)
    assert (await desk.packs())[1]["status"] == "generating"
    await desk.let_leases_lapse()
    await desk.process_all()
    packs = await desk.packs()
    assert packs[0] == first
    assert [pack["storage_path"].rsplit("-", 1)[1] for pack in packs] == ["1.csv", "2.csv", "1.csv"]
    frame = columns(desk, *packs)
    assert len(set(frame["unit_id"])) == 6
    orphan = packs[1]["storage_path"].replace("-2.csv", "-1.csv")
    assert orphan in desk.files()
    assert await sweep_orphans(desk.transactions, desk.store) == 1
    assert desk.files() == {pack["storage_path"] for pack in packs}


async def test_the_duty_keeps_a_file_of_no_pack_for_a_week(desk: Desk) -> None:
    """A database that was brought back to a moment does not know files that came later (0294)."""
    [pack] = await desk.exported(3)
    young, old = (pack["storage_path"].replace("-1.csv", f"-{epoch}.csv") for epoch in (7, 8))
    for path, days in ((young, 6.9), (old, 7.1), (pack["storage_path"], 30)):
        file = desk.folder / path
        if path != pack["storage_path"]:
            file.write_bytes(b"of later")
        written_at = time.time() - days * 86400
        os.utime(file, (written_at, written_at))
    (sweep,) = [duty for duty in duties_of(desk.store) if duty.name == "sweep files of no pack"]
    await sweep.function(desk.transactions)
    assert desk.files() == {pack["storage_path"], young}


async def test_a_worker_that_comes_too_late_closes_nothing_and_removes_its_file(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.request((await desk.world.minted(3))["mint_batch_id"])
    late_may_close, late_has_written = asyncio.Event(), asyncio.Event()

    class LateStore(PackStore):
        async def put(
            self, path: str, chunks: Iterable[bytes | memoryview], *, name: str | None = None
        ) -> StoredFile:
            written = await desk.store.put(path, chunks)
            late_has_written.set()
            await late_may_close.wait()
            return written

        async def delete(self, path: str) -> None:
            await desk.store.delete(path)

    late_store = LateStore(desk.store._store)
    late = asyncio.create_task(pack_execution.process_payload_pack(desk.transactions, late_store))
    await late_has_written.wait()
    await desk.let_leases_lapse()
    assert (await desk.process()).result == "completed"
    completed = (await desk.packs())[0]
    late_may_close.set()
    assert (await late).result == "lost"
    assert (await desk.packs())[0] == completed
    assert desk.files() == {completed["storage_path"]}
    assert completed["storage_path"].endswith("-2.csv")


async def test_three_lapsed_leases_fail_the_pack_and_its_group(desk: Desk) -> None:
    batch_id = (await desk.world.minted(3))["mint_batch_id"]
    group = await desk.request(batch_id)
    for _ in range(3):
        await _killed_between_write_and_close(desk)
        await desk.let_leases_lapse()
    outcome = await desk.process()
    assert (outcome.result, outcome.error) == ("failed", "LEASE_LOST")
    pack = (await desk.packs())[0]
    assert (pack["status"], pack["error"], pack["storage_path"]) == ("failed", "LEASE_LOST", None)
    assert await _group_status(desk, group) == "failed"
    assert (await desk.batch(batch_id))["status"] == "minted"
    assert (await desk.process()).result == "idle"
    failed = await desk.events(batch_id, "payload_pack_failed")
    assert [event["payload"]["error"] for event in failed] == ["LEASE_LOST"]


async def test_the_third_failure_fails_the_pack_and_the_group_ends_with_its_last_pack(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = desk.with_limits(pack_units=2)
    batch_id = (await desk.world.minted(4))["mint_batch_id"]
    group = await desk.request(batch_id)
    first, _ = await desk.packs()

    async def broken(*_: object) -> Iterable[bytes]:
        raise RuntimeError("no ink")

    with monkeypatch.context() as patch:
        patch.setattr(pack_files, "_read_columns", broken)
        outcomes = [await desk.process(first["id"]) for _ in range(3)]
    assert [outcome.result for outcome in outcomes] == ["retried", "retried", "failed"]
    assert {outcome.error for outcome in outcomes} == {"INTERNAL"}
    assert await _group_status(desk, group) == "generating"
    assert (await desk.process()).result == "completed"
    assert await _group_status(desk, group) == "failed"
    assert (await desk.batch(batch_id))["status"] == "minted"
    packs = await desk.packs()
    assert [pack["status"] for pack in packs] == ["failed", "completed"]
    assert desk.files() == {packs[1]["storage_path"]}


async def test_a_failed_attempt_waits_before_the_next(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = desk.with_limits(backoff_s=(3600.0, 7200.0))
    await desk.request((await desk.world.minted(2))["mint_batch_id"])

    async def full(*_: object, **__: object) -> StoredFile:
        raise StorageFailure("the disk is full")

    monkeypatch.setattr(PackStore, "put", full)
    outcome = await desk.process()
    assert (outcome.result, outcome.error) == ("retried", "STORAGE_FAILED")
    assert (await desk.packs())[0]["status"] == "pending"
    assert (await desk.process()).result == "idle"
    item = await desk.row(
        "select attempts, lease_owner, runnable_at > clock_timestamp() + interval '50 minutes' "
        "and runnable_at < clock_timestamp() + interval '70 minutes' as waits from work_item "
        "where runnable_at < 'infinity'"
    )
    assert item == {"attempts": 1, "lease_owner": None, "waits": True}


async def test_a_lost_connection_is_no_attempt_and_leaves_the_file_to_the_sweep(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.request((await desk.world.minted(2))["mint_batch_id"])

    async def cut(*_: object) -> PackOutcome:
        raise asyncpg.ConnectionDoesNotExistError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(pack_execution, "_close", cut)
        with pytest.raises(asyncpg.ConnectionDoesNotExistError):
            await desk.process()
    item = await desk.row("select attempts, lease_owner from work_item")
    assert item == {"attempts": 0, "lease_owner": None}
    assert (await desk.process()).result == "completed"
    assert len(desk.files()) == 2
    assert await sweep_orphans(desk.transactions, desk.store) == 1


async def test_a_unit_that_is_missing_fails_the_pack_rather_than_leaving_it_out(
    desk: Desk, dsn: str
) -> None:
    batch_id = (await desk.world.minted(3))["mint_batch_id"]
    connection = await asyncpg.connect(dsn)
    await connection.execute(
        "delete from mint_unit where mint_batch_id = $1 and unit_no = 1", UUID(str(batch_id))
    )
    await connection.close()
    await desk.request(batch_id)
    outcomes = await desk.process_all()
    assert [outcome.error for outcome in outcomes] == ["INTEGRITY_CHECK_FAILED"] * 3
    assert (await desk.packs())[0]["status"] == "failed"
    assert desk.files() == set()


@pytest.mark.parametrize("change", ["unit_no = 3 where unit_no = 2", "unit_no = unit_no - 1"])
async def test_units_that_bear_other_numbers_than_their_own_fail_the_pack(
    desk: Desk, dsn: str, change: str
) -> None:
    await desk.request((await desk.world.minted(3))["mint_batch_id"])
    connection = await asyncpg.connect(dsn)
    await connection.execute(f"update mint_unit set {change}")
    await connection.close()
    assert (await desk.process()).error == "INTEGRITY_CHECK_FAILED"
    assert desk.files() == set()


async def test_a_batch_voided_before_the_claim_gets_no_pack(desk: Desk) -> None:
    batch_id = (await desk.world.minted(2))["mint_batch_id"]
    group = await desk.request(batch_id)
    await desk.void(batch_id)
    outcome = await desk.process()
    assert (outcome.result, outcome.error) == ("failed", "BATCH_VOIDED")
    assert (await desk.packs())[0]["error"] == "BATCH_VOIDED"
    assert await _group_status(desk, group) == "failed"
    assert desk.files() == set()


async def test_a_batch_voided_while_a_pack_is_written_gets_no_pack(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_id = (await desk.world.minted(2))["mint_batch_id"]
    await desk.request(batch_id)
    put = PackStore.put

    async def put_and_void(
        self: PackStore,
        path: str,
        chunks: Iterable[bytes | memoryview],
        *,
        name: str | None = None,
    ) -> StoredFile:
        written = await put(self, path, chunks, name=name)
        await desk.void(batch_id)
        return written

    monkeypatch.setattr(PackStore, "put", put_and_void)
    outcome = await desk.process()
    assert (outcome.result, outcome.error) == ("failed", "BATCH_VOIDED")
    assert desk.files() == set()
    assert (await desk.batch(batch_id))["status"] == "voided"


async def test_many_workers_write_each_pack_once_and_one_of_them_completes_the_group(
    desk: Desk,
) -> None:
    desk = desk.with_limits(pack_units=1)
    batch_id = (await desk.world.minted(12))["mint_batch_id"]
    await desk.request(batch_id)
    outcomes = [
        outcome
        for batch in await asyncio.gather(*(desk.process_all() for _ in range(4)))
        for outcome in batch
    ]
    assert sorted(outcome.result for outcome in outcomes) == ["completed"] * 12
    assert len({outcome.pack_id for outcome in outcomes}) == 12
    assert len(await desk.events(batch_id, "mint_batch_status_changed")) == 1
    assert len(await desk.events(batch_id, "payload_pack_completed")) == 13


async def test_brands_take_turns(desk: Desk) -> None:
    desk = desk.with_limits(pack_units=1)
    world = desk.world
    await desk.request((await world.minted(3))["mint_batch_id"])
    product = await world.rpc("create_product", "stranger", sku="R-1", name="Rival")
    product_id = product["product"]["id"]
    ready = {"commercial_status": "ACTIVE", "mint_readiness_status": "READY"}
    await world.rpc("update_product", "stranger", product_id=product_id, patch=ready)
    submitted = await world.rpc(
        "submit_mint_request",
        "stranger",
        product_id=product_id,
        requested_quantity=1,
        identity_mode="serial",
        activation_mode="first_scan",
    )
    await world.run(submitted["mint_job_id"])
    batch_id = submitted["mint_batch_id"]
    await world.rpc("request_payload_packs", "stranger", mint_batch_id=batch_id)
    served = [outcome.brand_id for outcome in await desk.process_all()]
    assert served.index(world.other_brand_id) < 2
    assert len(served) == 4


async def test_a_pack_that_another_worker_holds_is_left_alone(desk: Desk) -> None:
    await desk.request((await desk.world.minted(2))["mint_batch_id"])
    pack = (await desk.packs())[0]
    await _killed_between_write_and_close(desk)
    assert (await desk.process(pack["id"])).result == "idle"


async def test_the_sweep_spares_files_that_an_open_lease_may_still_close(desk: Desk) -> None:
    completed = (await desk.exported(2))[0]
    await desk.request((await desk.world.minted(2, gtin=None))["mint_batch_id"])
    await _killed_between_write_and_close(desk)
    strange = f"{desk.world.brand_id}/notes.txt"
    await desk.store.put(strange, [b"not ours"])
    before = desk.files()
    assert len(before) == 3
    assert await sweep_orphans(desk.transactions, desk.store) == 0
    assert desk.files() == before
    assert completed["storage_path"] in before


async def test_a_format_that_is_gone_fails_the_pack(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.request((await desk.world.minted(2))["mint_batch_id"])
    monkeypatch.delitem(FORMATS, "csv")
    outcomes = await desk.process_all()
    assert [outcome.result for outcome in outcomes] == ["retried", "retried", "failed"]


async def _killed_between_write_and_close(desk: Desk) -> None:
    """A worker that claims a pack, writes its file and is never heard of again."""
    claim = await pack_execution._claim(desk.transactions, None)
    assert isinstance(claim, PackClaim)
    await write_file(desk.transactions, claim, PackTools(desk.store))


async def _group_status(desk: Desk, group: dict[str, Any]) -> str:
    row = await desk.row(
        "select status from export_group where id = $1", UUID(str(group["export_group_id"]))
    )
    status: str = row["status"]
    return status


async def test_a_work_item_without_a_pack_is_taken_off_and_holds_up_nothing(desk: Desk) -> None:
    minted = await desk.world.minted(3)
    async with desk.world.platform.database.transaction(SERVICE.identity(None)) as connection:
        await connection.execute(
            "insert into work_item (kind, brand_id, ref_id, enqueued_at, runnable_at)"
            " values ('payload_pack', $1, gen_random_uuid(), 'epoch', 'epoch')",
            desk.world.brand_id,
        )
    await desk.request(minted["mint_batch_id"])
    outcomes = await desk.process_all()
    assert [outcome.result for outcome in outcomes] == ["failed", "completed"]
