"""The overview is read in one statement: it tells what the API's own RPCs tell, before the fold and after."""

from __future__ import annotations

from collections import Counter
from typing import Any
from uuid import UUID, uuid4

import pytest

from mintage.console.overview import DAYS, SIGNAL_DAYS, SIGNALS_MAX
from mintage.operations import overview
from mintage.operations.call import SYSTEM, Caller
from mintage.operations.tallies import fold_tallies
from mintage.perform import perform
from mintage.rpcs import Rpc
from mintage.rules.lifecycle import EVENT_TYPES_OF_ADMINS
from tests.console.conftest import HOME, Console, ids_in
from tests.support.minting import execute
from tests.support.world import World

READ = Rpc(overview.read_overview, overview.ReadOverview, "mint:read", is_read_only=True)
SCAN = """
insert into scan_event (brand_id, id, scanned_at, unit_id, outcome, traffic_class, severity)
values ($1, $2, now() - $3 * interval '1 hour', $4, 'recorded', 'human', $5)
"""
COUNTED = """
insert into tally_delta (brand_id, day, metric, delta)
select $1, current_date - n, metric, n + 1
from generate_series(0, 40) as n
cross join unnest(array['scans', 'units_minted', 'units_activated']) as metric
"""


async def told(world: World, member: str = "owner") -> dict[str, Any]:
    caller = Caller("user", world.user_ids[member])
    raw = {"_brand_id": str(world.brand_id), "_days": DAYS, "_signal_days": SIGNAL_DAYS}
    return dict(await perform(world.platform, caller, READ, raw, "test"))


async def scanned(world: World, unit_id: UUID | None, severity: str | None, hours: int) -> UUID:
    scan_id = uuid4()
    await execute(world, SCAN, world.brand_id, scan_id, hours, unit_id, severity)
    return scan_id


@pytest.mark.parametrize("is_folded", [False, True])
async def test_figures_and_days_are_those_of_the_api(world: World, is_folded: bool) -> None:
    await world.minted(3)
    await world.submit(await world.product(sku="B-2", gtin=None), 5)
    await execute(world, COUNTED, world.brand_id)
    if is_folded:
        await fold_tallies(world.platform.transactions(SYSTEM, "test"))
    found = await told(world)
    days = (await world.rpc("get_scan_activity", days=DAYS))["days"]
    kpis = (await world.rpc("get_mint_kpis"))["kpis"]
    assert found["days"] == days
    assert sum(day["scans"] for day in days) > 0
    if is_folded:  # Nothing waits: the figures are as of the moment they are asked for.
        kpis["as_of"] = found["kpis"]["as_of"]
        assert kpis["scans_7d"] == 1 + 2 + 3 + 4 + 5 + 6 + 7
    assert found["kpis"] == kpis


async def test_events_are_the_newest_and_sign_ins_are_for_admins(world: World) -> None:
    await world.minted(2)
    for event_type in EVENT_TYPES_OF_ADMINS:
        await execute(
            world,
            "insert into mint_event (brand_id, id, event_type, actor_type, payload, created_at) "
            "values ($1, $2, $3, 'user', '{}', now() + interval '1 minute')",
            world.brand_id,
            uuid4(),
            event_type,
        )
    names = ("id", "mint_batch_id", "event_type", "actor_type", "actor_id", "payload", "created_at")
    for member in ("owner", "viewer"):
        listed = (await world.rpc("list_mint_events", member, limit=8))["events"]
        shown = [
            {name: event[name] for name in names}
            | {name: _text(event[name]) for name in ("id", "mint_batch_id", "actor_id")}
            for event in listed
        ]
        found = await told(world, member)
        assert found["events"] == shown
        assert (str(world.user_ids["viewer"]) in found["names"]) is (member == "owner")
        assert (listed[0]["event_type"] in EVENT_TYPES_OF_ADMINS) is (member == "owner")


def _text(value: object) -> str | None:
    return None if value is None else str(value)


async def test_what_is_minted_comes_before_what_waits_for_it(world: World) -> None:
    product = await world.product(sku="TABLE-OAK")
    batches = [str((await world.submit(product, 10))["mint_batch_id"]) for _ in range(12)]
    await execute(
        world, "update mint_batch set status = 'processing' where id = $1", UUID(batches[0])
    )
    running = (await told(world))["running"]
    assert [batch["id"] for batch in running] == [batches[0], *batches[:2:-1]]
    assert Counter(batch["status"] for batch in running) == {"processing": 1, "queued": 9}
    assert {batch["product_sku"] for batch in running} == {"TABLE-OAK"}
    assert (running[0]["requested_quantity"], running[0]["minted_quantity"]) == (10, 0)


async def test_signs_of_copies_are_told_by_unit_the_latest_first(console: Console) -> None:
    world = console.world
    submitted = await world.minted(9)
    listed = await world.rpc("list_mint_units", mint_batch_id=submitted["mint_batch_id"])
    units = [unit["id"] for unit in listed["units"]]
    for hours, unit in enumerate(units, start=1):
        await scanned(world, unit, "high" if hours % 2 else "elevated", hours)
    await scanned(world, units[1], "high", 100)
    await scanned(world, units[8], "high", 24 * SIGNAL_DAYS + 1)
    await scanned(world, units[8], "review", 0)
    signals = (await told(world))["signals"]
    assert [UUID(scan["unit_id"]) for scan in signals] == [*units, units[1]]
    browser = await console.signed_in("viewer")
    page = (await browser.get(HOME)).text
    shown = page[page.index('class="signals"') : page.index("All signals")]
    # A unit is told once, with its worst: the second one's is the oldest of all.
    assert ids_in(shown, "units") == [units[0], *units[2:7]]
    assert len(ids_in(shown, "units")) == SIGNALS_MAX
