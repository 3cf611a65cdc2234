"""revoke_mint_units: all or none, for ever, counted once."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from mintage.errors import SUBJECT_NOT_FOUND
from mintage.operations.resolving import LotId, UnitId
from tests.support.minting import broken_invariants, counts, rows, units_of, value
from tests.support.refusals import bad_arguments, payloads, raced, refused_with, same_bytes
from tests.support.scans import scan
from tests.support.world import World


async def _revoke(
    world: World, unit_ids: list[Any], reason: str = "stolen labels", caller: str = "owner"
) -> dict[str, Any]:
    return await world.rpc("revoke_mint_units", caller, unit_ids=unit_ids, reason=reason)


async def _unit_ids(world: World, submitted: dict[str, Any]) -> list[UUID]:
    return [unit["id"] for unit in await units_of(world, submitted)]


async def _statuses(world: World, submitted: dict[str, Any]) -> list[str]:
    """The statuses of a batch's units, by number."""
    listed = await world.rpc("list_mint_units", mint_batch_id=submitted["mint_batch_id"], limit=200)
    return [unit["status"] for unit in reversed(listed["units"])]


async def test_units_are_revoked_and_told(world: World) -> None:
    minted = await world.minted(5)
    ids = await _unit_ids(world, minted)
    answer = await _revoke(world, [ids[3], ids[1]])
    assert answer == {"ok": True, "revoked": 2, "already_revoked": 0}
    assert list(answer) == ["ok", "revoked", "already_revoked"]
    assert await _statuses(world, minted) == ["minted", "revoked", "minted", "revoked", "minted"]
    assert await payloads(world, "mint_units_revoked") == [
        {"count": 2, "unit_ids": [str(ids[1]), str(ids[3])], "reason": "stolen labels"}
    ]
    assert await scan(world, UnitId(ids[1])) == "revoked"
    assert await scan(world, UnitId(ids[0])) == "activated"
    assert await broken_invariants(world) == {}


async def test_what_is_revoked_already_is_counted_so_and_told_once(world: World) -> None:
    minted = await world.minted(3)
    ids = await _unit_ids(world, minted)
    await _revoke(world, ids[:2])
    first = await rows(world, "select * from unit_state order by unit_id")
    assert await _revoke(world, ids) == {"ok": True, "revoked": 1, "already_revoked": 2}
    assert (await rows(world, "select * from unit_state order by unit_id"))[:2] == first
    before = await counts(world)
    assert await _revoke(world, ids) == {"ok": True, "revoked": 0, "already_revoked": 3}
    assert await counts(world) == before
    assert [told["count"] for told in await payloads(world, "mint_units_revoked")] == [1, 2]
    assert await broken_invariants(world) == {}


async def test_a_thousand_units_at_once(world: World) -> None:
    minted = await world.minted(1001)
    ids = await _unit_ids(world, minted)
    assert (await _revoke(world, ids[:1000]))["revoked"] == 1000
    assert list(await bad_arguments(_revoke(world, ids))) == ["_unit_ids"]
    assert await broken_invariants(world) == {}


async def test_each_batch_has_its_own_event(world: World) -> None:
    batches = [await world.minted(3, gtin=None) for _ in range(2)]
    ids = [await _unit_ids(world, batch) for batch in batches]
    assert (await _revoke(world, [ids[1][0], *ids[0]]))["revoked"] == 4
    told = []
    for batch in batches:
        page = await world.rpc(
            "list_mint_events",
            mint_batch_id=batch["mint_batch_id"],
            event_type="mint_units_revoked",
        )
        told.append([event["payload"]["count"] for event in page["events"]])
    assert told == [[3], [1]]
    assert await broken_invariants(world) == {}


async def test_an_unknown_id_is_named_and_nothing_is_revoked(world: World) -> None:
    ids = await _unit_ids(world, await world.minted(2))
    before = await counts(world)
    error = await refused_with(SUBJECT_NOT_FOUND, _revoke(world, [ids[0], uuid4(), ids[1]]))
    assert [problem.argument for problem in error.problems] == ["_unit_ids[1]"]
    assert await counts(world) == before
    assert await value(world, "select count(*) from unit_state") == 0


async def test_another_brands_unit_is_an_unknown_one(world: World) -> None:
    ids = await _unit_ids(world, await world.minted(1))
    foreign = await refused_with(SUBJECT_NOT_FOUND, _revoke(world, ids, caller="stranger"))
    unknown = await refused_with(SUBJECT_NOT_FOUND, _revoke(world, [uuid4()], caller="stranger"))
    assert same_bytes(foreign, unknown)
    assert await value(world, "select count(*) from unit_state") == 0


async def test_bad_lists_and_reasons_are_named(world: World) -> None:
    (unit_id,) = await _unit_ids(world, await world.minted(1))
    twice = await bad_arguments(_revoke(world, [unit_id, str(unit_id).upper()]))
    assert twice == {
        "_unit_ids": "has a unit twice; must be a list of 1 to 1000 UUIDs of mint units, each once"
    }
    assert list(await bad_arguments(_revoke(world, [], ""))) == ["_unit_ids", "_reason"]
    assert list(await bad_arguments(_revoke(world, ["x"], "x" * 501))) == [
        "_unit_ids[0]",
        "_reason",
    ]


async def test_units_of_a_voided_batch_are_revoked_already(world: World) -> None:
    minted = await world.minted(2)
    ids = await _unit_ids(world, minted)
    await world.rpc("set_mint_batch_status", mint_batch_id=minted["mint_batch_id"], status="voided")
    assert await _revoke(world, ids) == {"ok": True, "revoked": 0, "already_revoked": 2}
    assert await value(world, "select count(*) from unit_state") == 0
    assert await broken_invariants(world) == {}


async def test_a_unit_stays_revoked_when_its_lot_is_activated(world: World) -> None:
    minted = await world.minted(4, gtin=None, identity_mode="batch")
    ids = await _unit_ids(world, minted)
    lot_id = await value(world, "select id from mint_lot")
    await scan(world, UnitId(ids[0]))
    await _revoke(world, ids[:2])
    assert await scan(world, LotId(lot_id)) == "activated"
    assert await _statuses(world, minted) == ["revoked", "revoked", "active", "active"]
    await _revoke(world, ids[:3])
    assert await _statuses(world, minted) == ["revoked", "revoked", "revoked", "active"]
    assert await broken_invariants(world) == {}


async def test_racing_revocations_and_scans_of_units_and_their_lots_count_each_unit_once(
    world: World,
) -> None:
    lots = [{"lot_code": code, "qty": 6} for code in ("A", "B")]
    minted = await world.minted(12, gtin=None, identity_mode="batch", lots=lots)
    ids = await _unit_ids(world, minted)
    lot_ids = [lot["id"] for lot in await rows(world, "select id from mint_lot order by lot_no")]

    async def scanned(key: UnitId | LotId) -> dict[str, Any]:
        return {"outcome": await scan(world, key)}

    revocations = [_revoke(world, ids[start : start + 5]) for start in (0, 2, 4, 6)]
    scans = [scanned(UnitId(unit_id)) for unit_id in ids[::2]]
    whole = [scanned(LotId(lot_id)) for lot_id in lot_ids]
    answers, errors = await raced(*revocations[:2], *scans, *whole, *revocations[2:])
    assert not errors
    assert sum(answer.get("revoked", 0) for answer in answers) == 11
    assert await broken_invariants(world) == {}
