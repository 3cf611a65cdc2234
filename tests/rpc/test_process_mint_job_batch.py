"""process_mint_job_batch: one bounded cycle, its answer, its units, its events, its statuses.

Cycles that fail are in `test_process_mint_job_batch_failures`; whose turn it is, and workers that race, in
`tests/concurrency`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest

from mintage.errors import FORBIDDEN, NOT_AUTHENTICATED, SUBJECT_NOT_FOUND
from mintage.rules.serials import has_valid_check_character
from mintage.rules.unit_ids import unit_id_high, unit_no_of
from tests.support.minting import (
    batch_of,
    broken_invariants,
    claimed,
    counts,
    cycle,
    drained,
    event_types_of,
    events_of,
    item_of,
    job_of,
    rows,
    units_of,
    with_limits,
)
from tests.support.refusals import bad_arguments, refused_with
from tests.support.world import World

KEYS = [
    "ok",
    "mint_job_id",
    "mint_batch_id",
    "status",
    "units_created",
    "minted_quantity",
    "requested_quantity",
    "remaining",
    "done",
]
IDLE = {"ok": True, "mint_job_id": None, "status": "IDLE", "done": True}
LOTS = [{"lot_code": "B", "qty": 3}, {"lot_code": "A", "qty": 7}]


@pytest.fixture
def world(world: World) -> World:
    """No lease lapses by itself here."""
    return with_limits(world, job_lease_s=3600.0)


async def _submitted(world: World, quantity: int = 10, **more: Any) -> dict[str, Any]:
    return await world.submit(await world.product(), quantity, **more)


# Answers


async def test_a_cycle_under_way_says_how_far_it_is(world: World) -> None:
    submitted = await _submitted(world, 25)
    answer = await cycle(world, submitted, batch_size=10)
    assert list(answer) == KEYS
    assert answer == {
        "ok": True,
        "mint_job_id": submitted["mint_job_id"],
        "mint_batch_id": submitted["mint_batch_id"],
        "status": "PROCESSING",
        "units_created": 10,
        "minted_quantity": 10,
        "requested_quantity": 25,
        "remaining": 15,
        "done": False,
    }


async def test_the_last_cycle_says_completed(world: World) -> None:
    submitted = await _submitted(world, 25)
    await cycle(world, submitted, batch_size=20)
    answer = await cycle(world, batch_size=20)
    assert list(answer) == KEYS
    assert answer["mint_job_id"] == submitted["mint_job_id"]
    told = [answer[key] for key in KEYS[3:]]
    assert told == ["COMPLETED", 5, 25, 25, 0, True]


async def test_with_nothing_to_do_it_is_idle(world: World) -> None:
    answer = await cycle(world)
    assert answer == IDLE
    assert list(answer) == list(IDLE)
    await _submitted(world)
    await drained(world)
    assert await cycle(world) == IDLE


async def test_a_finished_job_answers_completed_and_makes_nothing(world: World) -> None:
    submitted = await _submitted(world)
    finished = await cycle(world, submitted)
    before = await counts(world)
    again = await cycle(world, submitted)
    assert again == finished | {"units_created": 0}
    assert await counts(world) == before


async def test_a_leased_job_is_busy(world: World) -> None:
    submitted = await _submitted(world, 25)
    await cycle(world, submitted, batch_size=10)
    await claimed(world, submitted)
    answer = await cycle(world, submitted)
    assert list(answer) == [*KEYS, "busy"]
    assert [answer[key] for key in KEYS[3:]] == ["PROCESSING", 0, 10, 25, 15, False]
    assert answer["busy"] is True
    assert await cycle(world) == IDLE
    assert len(await units_of(world, submitted)) == 10


async def test_a_job_of_any_brand_is_run(world: World) -> None:
    asked = {"requested_quantity": 3, "identity_mode": "serial", "activation_mode": "first_scan"}
    product_id = await world.product("stranger")
    theirs = await world.rpc("submit_mint_request", "stranger", product_id=product_id, **asked)
    assert (await cycle(world))["mint_job_id"] == theirs["mint_job_id"]
    assert (await cycle(world, theirs))["status"] == "COMPLETED"
    page = await world.rpc("list_mint_units", "stranger")
    assert len(page["units"]) == 3


async def test_an_unknown_job_is_not_found(world: World) -> None:
    error = await refused_with(
        SUBJECT_NOT_FOUND, world.rpc("process_mint_job_batch", "service", mint_job_id=uuid4())
    )
    assert error.message == "Invalid input: mint job not found"


@pytest.mark.parametrize("caller", ["owner", "admin", "editor", "viewer", "stranger", "anonymous"])
async def test_only_the_service_runs_cycles(world: World, caller: str) -> None:
    submitted = await _submitted(world)
    kind = NOT_AUTHENTICATED if caller == "anonymous" else FORBIDDEN
    for arguments in ({"mint_job_id": submitted["mint_job_id"]}, {"mint_job_id": uuid4()}, {}):
        await refused_with(kind, world.rpc("process_mint_job_batch", caller, **arguments))
    assert (await job_of(world, submitted))["status"] == "QUEUED"


@pytest.mark.parametrize(
    ("argument", "bad"),
    [
        ("mint_job_id", "x"),
        ("mint_job_id", 7),
        ("batch_size", 0),
        ("batch_size", -1),
        ("batch_size", 20_001),
        ("batch_size", "10"),
        ("batch_size", 10.0),
        ("batch_size", True),
        ("brand_id", "0b2f8f4e-5a39-4f6e-9d0c-2f1f3f1f7a11"),
    ],
)
async def test_a_bad_argument_is_named(world: World, argument: str, bad: object) -> None:
    submitted = await _submitted(world)
    call = world.rpc("process_mint_job_batch", "service", **{argument: bad})
    assert list(await bad_arguments(call)) == [f"_{argument}"]
    assert (await job_of(world, submitted))["status"] == "QUEUED"


async def test_null_is_absent(world: World) -> None:
    await _submitted(world)
    assert (await cycle(world, mint_job_id=None, batch_size=None))["units_created"] == 10


# Chunks


@pytest.mark.parametrize(
    ("quantity", "batch_size", "chunks"),
    [
        (3, 1, [1, 1, 1]),
        (10, 3, [3, 3, 3, 1]),
        (10, 10, [10]),
        (10, 20_000, [10]),
        (20_001, None, [20_000, 1]),
    ],
)
@pytest.mark.parametrize("mode", ["serial", "batch"])
async def test_a_job_is_cut_into_chunks(
    world: World, mode: str, quantity: int, batch_size: int | None, chunks: list[int]
) -> None:
    submitted = await _submitted(world, quantity, identity_mode=mode)
    answers = await drained(world, batch_size=batch_size)
    assert [answer["units_created"] for answer in answers] == chunks
    units = await units_of(world, submitted)
    assert [unit["unit_no"] for unit in units] == list(range(quantity))
    assert await broken_invariants(world) == {}


async def test_the_size_of_cycles_may_change_on_the_way(world: World) -> None:
    submitted = await _submitted(world, 100)
    for batch_size in (1, 50, 7, 20_000):
        await cycle(world, submitted, batch_size=batch_size)
    assert len(await units_of(world, submitted)) == 100
    assert await broken_invariants(world) == {}


# Units


async def test_units_of_serial_mode_have_generated_serials_in_unit_order(world: World) -> None:
    submitted = await _submitted(world, 300)
    await drained(world, batch_size=70)
    batch, units = await batch_of(world, submitted), await units_of(world, submitted)
    serials = [unit["serial_number"] for unit in units]
    assert len(set(serials)) == 300
    assert serials == sorted(serials)
    assert all(has_valid_check_character(serial) for serial in serials)
    assert all(serial.startswith(batch["serial_prefix"]) for serial in serials)


async def test_units_of_batch_mode_have_no_serial(world: World) -> None:
    submitted = await _submitted(world, identity_mode="batch", lots=LOTS)
    await drained(world, batch_size=4)
    assert {unit["serial_number"] for unit in await units_of(world, submitted)} == {None}


async def test_unit_ids_ascend_with_the_unit_number_and_say_it(world: World) -> None:
    submitted = await _submitted(world, 300)
    await drained(world, batch_size=70)
    batch, units = await batch_of(world, submitted), await units_of(world, submitted)
    low = batch["unit_id_low"]
    assert all(earlier["id"] < later["id"] for earlier, later in pairwise(units))
    assert all(low <= unit["id"] <= unit_id_high(low) for unit in units)
    assert [unit_no_of(low, 300, unit["id"]) for unit in units] == list(range(300))


async def test_units_are_of_the_time_of_their_cycle(world: World) -> None:
    submitted = await _submitted(world, 4)
    moment = datetime(2026, 2, 28, 23, 59, 59, 999999, tzinfo=UTC)
    for day in (0, 1):
        pinned = replace(world.platform, pinned_now=moment + timedelta(days=day))
        await cycle(world.with_platform(pinned), submitted, batch_size=2)
    units = await units_of(world, submitted)
    tomorrow = moment + timedelta(days=1)
    assert [unit["created_at"] for unit in units] == [moment, moment, tomorrow, tomorrow]
    tallies = await rows(
        world, "select day, delta from tally_delta where metric = 'units_minted' order by day"
    )
    assert [(row["day"], row["delta"]) for row in tallies] == [
        (moment.date(), 2),
        (tomorrow.date(), 2),
    ]
    assert await broken_invariants(world) == {}


@pytest.mark.parametrize("mode", ["serial", "batch"])
async def test_units_that_are_active_at_mint_are_active_from_their_minting_on(
    world: World, mode: str
) -> None:
    for activation_mode, status in (("active_at_mint", "active"), ("first_scan", "minted")):
        submitted = await _submitted(world, activation_mode=activation_mode, identity_mode=mode)
        await drained(world)
        page = await world.rpc("list_mint_units", mint_batch_id=submitted["mint_batch_id"])
        assert {unit["status"] for unit in page["units"]} == {status}
        for unit in page["units"]:
            active_from = unit["created_at"] if status == "active" else None
            assert unit["activated_at"] == active_from
    assert (await rows(world, "select * from unit_state")) == []


# Statuses


async def test_a_claim_reserves_and_the_first_chunk_starts_processing(world: World) -> None:
    submitted = await _submitted(world, 25)
    assert await _statuses(world, submitted) == ("QUEUED", "queued")
    claim = await claimed(world)
    assert claim.mint_job_id == submitted["mint_job_id"]
    assert await _statuses(world, submitted) == ("RESERVED", "queued")
    item = await item_of(world, submitted)
    assert item is not None
    assert (item["lease_epoch"], item["attempts"]) == (claim.epoch, 0) == (1, 0)
    assert item["lease_owner"]
    job = await job_of(world, submitted)
    assert (job["started_at"], job["finished_at"]) == (claim.now, None)


async def test_statuses_go_their_way(world: World) -> None:
    submitted = await _submitted(world, 25)
    seen = []
    while not (await cycle(world, submitted, batch_size=10))["done"]:
        seen.append(await _statuses(world, submitted))
        item = await item_of(world, submitted)
        assert item is not None
        assert (item["lease_owner"], item["lease_until"]) == (None, None)
    assert seen == [("PROCESSING", "processing")] * 2
    assert await _statuses(world, submitted) == ("COMPLETED", "minted")
    assert await item_of(world, submitted) is None
    job, batch = await job_of(world, submitted), await batch_of(world, submitted)
    assert job["finished_at"] >= job["started_at"]
    assert (job["attempts"], job["last_error"]) == (0, None)
    assert batch["minted_quantity"] == 25
    assert batch["minted_at"] == job["finished_at"]


async def test_every_claim_has_an_epoch_of_its_own(world: World) -> None:
    submitted = await _submitted(world, 5)
    epochs = []
    for _ in range(4):
        await cycle(world, submitted, batch_size=1)
        item = await item_of(world, submitted)
        epochs.append(item["lease_epoch"] if item else None)
    assert epochs == [1, 2, 3, 4]


# Events


async def test_the_events_of_serial_mode(world: World) -> None:
    submitted = await _submitted(world, 25)
    await drained(world, batch_size=10)
    events = await events_of(world, submitted)
    told = [(event["event_type"], event["payload"]) for event in events[1:]]
    assert told == [
        ("mint_job_started", {"requested_quantity": 25}),
        *_units_created(25, 10, 10, 5),
        ("mint_job_completed", {"minted_quantity": 25}),
    ]
    for event in events[1:]:
        assert (event["actor_type"], event["actor_id"]) == ("service", None)
        assert event["mint_job_id"] == submitted["mint_job_id"]
        assert event["mint_batch_id"] == submitted["mint_batch_id"]
    assert all(
        (earlier["created_at"], earlier["id"]) < (later["created_at"], later["id"])
        for earlier, later in pairwise(events)
    )


async def test_the_events_of_batch_mode_confirm_the_lots_once_and_last(world: World) -> None:
    submitted = await _submitted(world, identity_mode="batch", lots=LOTS)
    await cycle(world, submitted, batch_size=9)
    assert "mint_lots_confirmed" not in await event_types_of(world, submitted)
    await drained(world, batch_size=9)
    events = await events_of(world, submitted)
    assert [(event["event_type"], event["payload"]) for event in events[2:]] == [
        *_units_created(10, 9, 1),
        (
            "mint_lots_confirmed",
            {"lots": [{"lot_code": "B", "quantity": 3}, {"lot_code": "A", "quantity": 7}]},
        ),
        ("mint_job_completed", {"minted_quantity": 10}),
    ]


async def test_a_finished_job_tells_nothing_more(world: World) -> None:
    submitted = await _submitted(world, identity_mode="batch")
    await drained(world)
    before = await events_of(world, submitted)
    for _ in range(3):
        await cycle(world, submitted)
    assert await events_of(world, submitted) == before


async def test_tallies_count_what_each_cycle_made(world: World) -> None:
    submitted = await _submitted(world, 25)
    await drained(world, batch_size=10)
    deltas = await rows(
        world, "select * from tally_delta where metric = 'units_minted' order by id"
    )
    assert [delta["delta"] for delta in deltas] == [10, 10, 5]
    assert {delta["mint_batch_id"] for delta in deltas} == {submitted["mint_batch_id"]}


async def _statuses(world: World, submitted: dict[str, Any]) -> tuple[str, str]:
    job, batch = await job_of(world, submitted), await batch_of(world, submitted)
    return job["status"], batch["status"]


def _units_created(requested: int, *chunks: int) -> Iterator[tuple[str, dict[str, int]]]:
    first = 0
    for count in chunks:
        yield (
            "mint_units_created",
            {
                "count": count,
                "first_unit_no": first,
                "last_unit_no": first + count - 1,
                "minted_quantity": first + count,
                "requested_quantity": requested,
            },
        )
        first += count
