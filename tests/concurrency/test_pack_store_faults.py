"""A pack store that is full or closed: an attempt each time, FAILED after the third, and a retry works."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from mintage.operations.pack_execution import process_payload_pack
from mintage.settings import Limits
from mintage.storage import PackStore, open_pack_store
from tests.support.exactly import assert_packed_exactly
from tests.support.faults import Orders, ended, worker
from tests.support.minting import broken_invariants, rows, transactions, value, with_limits
from tests.support.world import World

NO_PAUSES = Limits(pack_lease_s=3600.0, backoff_s=(0.0, 0.0))
LONG_PAUSES = Limits(pack_lease_s=3600.0, backoff_s=(3600.0, 3600.0))


@pytest.fixture
def world(world: World) -> World:
    """No lease lapses by itself here."""
    return with_limits(world, pack_lease_s=3600.0)


async def _asked(world: World) -> dict[str, Any]:
    submitted = await world.minted(20)
    await world.rpc("request_payload_packs", mint_batch_id=submitted["mint_batch_id"])
    return submitted


def _refusing(kind: str, dsn: str, folder: Path, limits: Limits) -> Orders:
    """A worker whose kernel refuses it: a file beyond 100 bytes, or a folder that is not its own."""
    if kind == "full":
        return Orders(dsn, folder, limits=limits, file_bytes_max=100)
    closed = folder / "payload-packs"
    closed.mkdir(exist_ok=True)
    closed.chmod(0o500)
    return Orders(dsn, folder, limits=limits, is_nobody=os.geteuid() == 0)


def _open_again(folder: Path) -> None:
    (folder / "payload-packs").chmod(0o700)


@pytest.mark.parametrize("kind", ["full", "closed"])
async def test_three_refusals_fail_the_pack_and_a_new_request_works(
    world: World, dsn: str, tmp_path: Path, kind: str
) -> None:
    submitted = await _asked(world)
    async with worker(_refusing(kind, dsn, tmp_path, NO_PAUSES)) as process:
        assert await ended(process) == 0
    manifest, pack = (await world.rpc("list_payload_packs"))["packs"]
    assert (manifest["status"], manifest["error"]) == ("failed", "GROUP_FAILED")
    assert (pack["status"], pack["error"]) == ("failed", "STORAGE_FAILED")
    assert pack["storage_path"] is None
    failed = await rows(
        world, "select payload from mint_event where event_type = 'payload_pack_failed'"
    )
    assert [event["payload"]["error"] for event in failed] == ["STORAGE_FAILED"]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert await broken_invariants(world) == {}
    _open_again(tmp_path)
    again = await world.rpc("request_payload_packs", mint_batch_id=submitted["mint_batch_id"])
    assert again["is_duplicate"] is False
    store = open_pack_store(None, tmp_path)
    assert (await process_payload_pack(transactions(world), store)).result == "completed"
    (pack,) = (await world.rpc("list_payload_packs", status="completed"))["packs"]
    assert (tmp_path / "payload-packs" / pack["storage_path"]).stat().st_size == pack["byte_size"]
    assert await broken_invariants(world) == {}


@pytest.mark.parametrize("kind", ["full", "closed"])
async def test_a_refusal_is_one_attempt_and_the_next_may_do_it(
    world: World, dsn: str, tmp_path: Path, kind: str
) -> None:
    submitted = await _asked(world)
    async with worker(_refusing(kind, dsn, tmp_path, LONG_PAUSES)) as process:
        assert await ended(process) == 0
    item = (
        await rows(
            world,
            "select ref_id, attempts, lease_owner from work_item where runnable_at < 'infinity'",
        )
    )[0]
    assert (item["attempts"], item["lease_owner"]) == (1, None)
    _open_again(tmp_path)
    store = open_pack_store(None, tmp_path)
    for pack_ref in (item["ref_id"], None):  # The pack, then its manifest.
        outcome = await process_payload_pack(transactions(world), store, pack_ref)
        assert outcome.result == "completed"
    await assert_packed_exactly(world, submitted, tmp_path, 1)
    assert await broken_invariants(world) == {}


async def test_a_full_disk_is_told_by_its_code_and_by_no_word_of_the_machine(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _asked(world)
    store: PackStore = open_pack_store(None, tmp_path)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path))

    with monkeypatch.context() as patch:
        patch.setattr("mintage.storage._write_all", full)
        outcome = await process_payload_pack(transactions(world), store)
    assert (outcome.result, outcome.error) == ("retried", "STORAGE_FAILED")
    texts = await value(
        world,
        "select string_agg(pack::text, ' ') || (select string_agg(told::text, ' ') from mint_event as told) "
        "from payload_pack as pack",
    )
    assert "space" not in texts
    assert str(tmp_path) not in texts
