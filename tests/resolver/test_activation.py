"""Activation: one winner among any number of racers, written before the answer, counted once."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest

from mintage.db.connection import DatabaseRole, Identity
from mintage.operations.call import ANONYMOUS, Call
from mintage.operations.resolving import Subject, UnitId, resolve
from mintage.operations.scanning import FirstScan, activate, activate_units
from mintage.rules.lifecycle import ScanOutcome
from tests.resolver.desk import NOW, Desk, get_all
from tests.support.minting import broken_invariants
from tests.support.world import GTIN_TABLE

GTIN14 = GTIN_TABLE.zfill(14)
TWO_LOTS = [{"lot_code": "A", "qty": 3}, {"lot_code": "B", "qty": 2}]


async def _lots(desk: Desk, mint_batch_id: object) -> dict[str, bool]:
    """The lots of a batch by code: has it been activated?"""
    answer = await desk.world.rpc("get_mint_batch_by_id", mint_batch_id=mint_batch_id)
    return {lot["lot_code"]: lot["activated_at"] is not None for lot in answer["batch"]["lots"]}


async def _statuses(desk: Desk, mint_batch_id: object) -> list[str]:
    listed = await desk.world.rpc("list_mint_units", mint_batch_id=mint_batch_id, limit=200)
    return [unit["status"] for unit in listed["units"]]


async def test_of_sixteen_racers_on_each_of_twenty_units_one_activates(desk: Desk) -> None:
    minted = await desk.world.minted(20)
    paths = await desk.urls(minted["mint_batch_id"])
    async with desk.phone() as phone:
        answers = await get_all(phone, paths * 16, at_once=64)
    assert {answer.status_code for answer in answers} == {307}
    assert await desk.outcomes() == ["activated"] * 20 + ["already_active"] * 300
    winners = await desk.fetch(
        "select unit_id from scan_event where outcome = 'activated' group by unit_id"
    )
    assert len(winners) == 20
    assert await desk.activations_counted() == 20
    assert await _statuses(desk, minted["mint_batch_id"]) == ["active"] * 20


async def test_the_activation_is_there_when_the_answer_is(desk: Desk) -> None:
    minted = await desk.world.minted(1)
    [path] = await desk.urls(minted["mint_batch_id"])
    async with desk.phone() as phone:
        await phone.get(path)
    assert await desk.value("select activated_at from unit_state") == NOW


async def test_active_at_mint_units_are_scanned_without_being_activated(desk: Desk) -> None:
    minted = await desk.world.minted(1, activation_mode="active_at_mint")
    [path] = await desk.urls(minted["mint_batch_id"])
    async with desk.phone() as phone:
        await phone.get(path)
    assert await desk.outcomes() == ["already_active"]
    assert await desk.activations_counted() == 0
    assert await desk.value("select activated_at from unit_state") is None


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
async def test_head_and_options_activate_and_record_nothing(desk: Desk, method: str) -> None:
    minted = await desk.world.minted(1)
    [path] = await desk.urls(minted["mint_batch_id"])
    async with desk.phone() as phone:
        answer = await phone.request(method, path)
    assert answer.status_code == (307 if method == "HEAD" else 204)
    assert await desk.outcomes() == []
    assert await _statuses(desk, minted["mint_batch_id"]) == ["minted"]


async def test_a_lot_url_activates_its_lot_and_with_it_all_its_units(desk: Desk) -> None:
    minted = await desk.world.minted(5, identity_mode="batch", lots=TWO_LOTS)
    async with desk.phone() as phone:
        answers = [await phone.get(f"/01/{GTIN14}/10/A") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [307, 307]
    assert await desk.outcomes() == ["activated", "already_active"]
    assert await _lots(desk, minted["mint_batch_id"]) == {"A": True, "B": False}
    assert sorted(await _statuses(desk, minted["mint_batch_id"])) == ["active"] * 3 + ["minted"] * 2
    assert await desk.activations_counted() == 3
    assert await desk.value("select count(*) from unit_state") == 0


async def test_a_lot_url_names_the_lots_of_all_batches_but_voided_ones(desk: Desk) -> None:
    world = desk.world
    product_id = await world.product(gtin=GTIN_TABLE)
    batches = []
    for _ in range(3):
        submitted = await world.submit(
            product_id, 2, identity_mode="batch", lots=[{"lot_code": "L/1", "qty": 2}]
        )
        await world.run(submitted["mint_job_id"])
        batches.append(submitted["mint_batch_id"])
    await desk.void(batches[2])
    async with desk.phone() as phone:
        some_good = await phone.get(f"/01/{GTIN14}/10/L%2F1")
        activated = [await _lots(desk, batch) for batch in batches]
        for batch in batches[:2]:
            await desk.void(batch)
        none_good = await phone.get(f"/01/{GTIN14}/10/L%2F1")
    assert (some_good.status_code, none_good.status_code) == (307, 410)
    assert activated == [{"L/1": True}, {"L/1": True}, {"L/1": False}]
    assert await desk.activations_counted() == 4
    assert await desk.outcomes() == ["activated", "revoked"]
    stood_for_all = await desk.value(
        "select mint_batch_id from scan_event where outcome = 'activated'"
    )
    assert str(stood_for_all) == str(batches[1])


async def test_racers_on_lots_and_their_units_count_each_unit_once(desk: Desk) -> None:
    lots = [{"lot_code": code, "qty": 4} for code in ("A", "B", "C")]
    batches = [
        await desk.world.minted(12, gtin=None, identity_mode="batch", lots=lots) for _ in range(2)
    ]
    paths = []
    for batch in batches:
        listed = await desk.world.rpc("list_mint_units", mint_batch_id=batch["mint_batch_id"])
        paths += [f"/mu/{unit['id']}" for unit in listed["units"][::2]]
        paths += [unit["resolver_url"].partition("example.com")[2] for unit in listed["units"]]
    async with desk.phone() as phone:
        answers = await get_all(phone, paths * 2, at_once=48)
    assert {answer.status_code for answer in answers} == {307}
    assert await desk.activations_counted() == 24


async def test_a_units_own_activation_is_not_counted_again_with_its_lot(desk: Desk) -> None:
    minted = await desk.world.minted(5, identity_mode="batch", lots=TWO_LOTS)
    listed = await desk.world.rpc("list_mint_units", mint_batch_id=minted["mint_batch_id"])
    of_lot_a = next(unit for unit in listed["units"] if unit["lot_code"] == "A")
    async with desk.phone() as phone:
        await phone.get(f"/mu/{of_lot_a['id']}")
        after_the_unit = await desk.activations_counted()
        await phone.get(f"/01/{GTIN14}/10/A")
        await phone.get(f"/mu/{of_lot_a['id']}")
    assert (after_the_unit, await desk.activations_counted()) == (1, 3)
    assert await desk.outcomes() == ["activated", "activated", "already_active"]


async def test_a_lot_is_unknown_until_all_its_units_are_minted(desk: Desk) -> None:
    world = desk.world
    product_id = await world.product(gtin=GTIN_TABLE)
    submitted = await world.submit(product_id, 5, identity_mode="batch", lots=TWO_LOTS)
    job_id = submitted["mint_job_id"]
    await world.rpc("process_mint_job_batch", "service", mint_job_id=job_id, batch_size=4)
    async with desk.phone() as phone:
        whole = await phone.get(f"/01/{GTIN14}/10/A")
        half = await phone.get(f"/01/{GTIN14}/10/B")
        await world.run(job_id)
        later = await phone.get(f"/01/{GTIN14}/10/B")
    assert {answer.status_code for answer in (whole, half, later)} == {307}
    assert await desk.outcomes() == ["activated", "activated", "recorded"]
    assert await desk.activations_counted() == 5


async def test_a_unit_revoked_after_it_was_resolved_is_not_activated(desk: Desk) -> None:
    minted = await desk.world.minted(1)
    listed = await desk.world.rpc("list_mint_units", mint_batch_id=minted["mint_batch_id"])
    unit_id = UUID(str(listed["units"][0]["id"]))
    brand_id, database = desk.world.brand_id, desk.world.platform.database
    identity = Identity(DatabaseRole.RESOLVER, brand_id)
    async with database.transaction(identity) as connection:
        call = Call(connection, ANONYMOUS, brand_id, None, NOW, desk.resolver.limits, "test")
        subject = await resolve(call, UnitId(unit_id))
        assert subject is not None
        await desk.revoke(unit_id)
        assert await activate(call, subject) == "already_active"
    assert await desk.value("select activated_at from unit_state") is None
    assert await desk.activations_counted() == 0


async def test_the_resolvers_role_sees_and_activates_no_other_brands_unit(desk: Desk) -> None:
    minted = await desk.world.minted(1)
    listed = await desk.world.rpc("list_mint_units", mint_batch_id=minted["mint_batch_id"])
    unit_id = listed["units"][0]["id"]
    rival = Identity(DatabaseRole.RESOLVER, desk.world.other_brand_id)
    async with desk.world.platform.database.transaction(rival) as connection:
        for table in ("mint_unit", "mint_batch", "mint_lot", "product", "unit_state"):
            assert await connection.fetchval(f"select count(*) from {table}") == 0
    transport_host = {"Host": "rival.example.com"}
    async with desk.phone() as phone:
        answer = await phone.get(f"/mu/{unit_id}", headers=transport_host)
    assert answer.status_code == 404
    assert await _statuses(desk, minted["mint_batch_id"]) == ["minted"]


async def test_two_resolvers_activate_one_unit_once(desk: Desk) -> None:
    minted = await desk.world.minted(8)
    paths = await desk.urls(minted["mint_batch_id"])
    async with desk.phone("203.0.113.1") as one, desk.phone("203.0.113.2") as other:
        await asyncio.gather(get_all(one, paths), get_all(other, paths))
    assert await desk.outcomes() == ["activated"] * 8 + ["already_active"] * 8


async def _outcomes_of(desk: Desk, subjects: list[Subject]) -> list[ScanOutcome]:
    identity = Identity(DatabaseRole.RESOLVER, desk.world.brand_id)
    async with desk.world.platform.database.transaction(identity) as connection:
        call = Call(
            connection, ANONYMOUS, desk.world.brand_id, None, NOW, desk.resolver.limits, "test"
        )
        return await activate_units(call, [FirstScan(subject, NOW) for subject in subjects])


async def _subjects_of(desk: Desk, mint_batch_id: object) -> list[Subject]:
    listed = await desk.world.rpc("list_mint_units", mint_batch_id=mint_batch_id, limit=200)
    identity = Identity(DatabaseRole.RESOLVER, desk.world.brand_id)
    found = []
    async with desk.world.platform.database.transaction(identity, read_only=True) as connection:
        call = Call(
            connection, ANONYMOUS, desk.world.brand_id, None, NOW, desk.resolver.limits, "test"
        )
        for unit in listed["units"]:
            subject = await resolve(call, UnitId(UUID(str(unit["id"]))))
            assert subject is not None
            found.append(subject)
    return found


async def _two_batches(desk: Desk, *quantities: int) -> list[dict[str, Any]]:
    """Batches of one product."""
    product_id = await desk.world.product(gtin=GTIN_TABLE)
    made = [await desk.world.submit(product_id, quantity) for quantity in quantities]
    for submitted in made:
        await desk.world.run(submitted["mint_job_id"])
    return made


async def test_first_scans_written_together_have_each_its_own_outcome(desk: Desk) -> None:
    minted, voided = await _two_batches(desk, 4, 1)
    [one, two, withdrawn, done] = await _subjects_of(desk, minted["mint_batch_id"])
    [gone] = await _subjects_of(desk, voided["mint_batch_id"])
    await desk.revoke(withdrawn.unit_id)
    await desk.void(voided["mint_batch_id"])
    assert await _outcomes_of(desk, [done]) == ["activated"]
    outcomes = await _outcomes_of(desk, [two, done, one, gone, two, withdrawn])
    assert outcomes == [
        "activated",
        "already_active",
        "activated",
        "already_active",
        "already_active",
        "already_active",
    ]
    assert await desk.activations_counted() == 3


async def test_of_units_written_together_those_of_an_active_lot_count_with_it(desk: Desk) -> None:
    lots = [{"lot_code": code, "qty": 2} for code in ("A", "B")]
    minted = await desk.world.minted(4, identity_mode="batch", lots=lots)
    subjects = await _subjects_of(desk, minted["mint_batch_id"])
    async with desk.phone() as phone:
        await phone.get(f"/ml/{subjects[0].mint_lot_id}")
    outcomes = await _outcomes_of(desk, subjects)
    assert outcomes == ["already_active"] * 2 + ["activated"] * 2
    assert await desk.activations_counted() == 4


@pytest.mark.long
async def test_of_sixteen_racers_on_each_of_three_hundred_units_one_activates(desk: Desk) -> None:
    batches = await _two_batches(desk, 150, 150)
    paths = [path for batch in batches for path in await desk.urls(batch["mint_batch_id"])]
    async with desk.phone("203.0.113.1") as one, desk.phone("203.0.113.2") as other:
        answers = await asyncio.gather(
            *(get_all(phone, paths * 8, at_once=100) for phone in (one, other))
        )
    assert {answer.status_code for answered in answers for answer in answered} == {307}
    await desk.settle()
    told = await desk.fetch(
        "select unit_id, count(*) filter (where outcome = 'activated') as won, count(*) as scans "
        "from scan_event group by unit_id"
    )
    assert [(each["won"], each["scans"]) for each in told] == [(1, 16)] * 300
    assert await desk.activations_counted() == 300
    assert await broken_invariants(desk.world) == {}
