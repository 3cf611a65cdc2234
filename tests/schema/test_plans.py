"""The plans of the hot queries on a filled table, as the role that runs them: each uses its index."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from mintage.operations.listing import BEGINNING, END, HIGHEST_ID, LOWEST_ID
from tests.conftest import with_database
from tests.schema.catalog import connected
from tests.schema.filled import Filled, fill_database
from tests.schema.plans import (
    TABLES_NEVER_READ_THROUGH,
    Plan,
    generic_plan_of,
    plan_of,
    statement_of,
)
from tests.schema.statements import GENERIC_PLAN_SINCE
from tests.schema.test_search_plans import LOOKED_AT

pytestmark = pytest.mark.long

if TYPE_CHECKING:
    from tests.schema.catalog import Connection

PAGE = 51
Values = Callable[[Filled], tuple[object, ...]]


def _newest(filled: Filled) -> tuple[object, ...]:
    return (filled.brand_id, BEGINNING, END, HIGHEST_ID, PAGE)


LISTS: dict[str, tuple[str, Values]] = {
    "mint_batch.list_newest": ("mint_batch_newest", _newest),
    "mint_batch.list_by_status": ("mint_batch_status", lambda f: (*_newest(f), "exported")),
    "mint_batch.list_by_product": (
        "mint_batch_product",
        lambda f: (*_newest(f), f.batch["product_id"]),
    ),
    "mint_batch.list_by_product_and_status": (
        "mint_batch_product_status",
        lambda f: (*_newest(f), f.batch["product_id"], "exported"),
    ),
    "mint_event.list_newest": (
        "mint_event_newest",
        lambda f: (*_newest(f), ["signed_in", "sign_in_failed"]),
    ),
    "mint_event.list_by_batch": (
        "mint_event_batch",
        lambda f: (*_newest(f), f.batch_id, None, None),
    ),
    "mint_event.list_by_job": ("mint_event_job", lambda f: (*_newest(f), f.job_id, None)),
    "mint_event.list_by_type": ("mint_event_type", lambda f: (*_newest(f), "mint_requested")),
    "export.list_newest": (
        "payload_pack_newest",
        lambda f: (f.brand_id, END, HIGHEST_ID, PAGE),
    ),
}
UNIT_RANGES: dict[str, Callable[[Filled], tuple[UUID, UUID]]] = {
    "brand": lambda _: (LOWEST_ID, HIGHEST_ID),
    "batch": lambda f: f.range_of_batch(),
    "lot": lambda f: f.range_of_lot(),
}
# "a|b": either serves, one row at a time.
OTHERS: dict[str, tuple[set[str], Values]] = {
    "mint_unit.lowest_of_the_next": (
        {"mint_unit_pkey"},
        lambda f: (f.brand_id, *f.range_of_batch(), 5000),
    ),
    "mint_job.close_cycle": (
        {
            "mint_unit_pkey",
            "work_item_pkey|work_item_ref",
            "mint_job_pkey|mint_job_id",
            "mint_batch_pkey",
        },
        lambda f: (
            f.brand_id,
            f.job_id,
            f.batch_id,
            *f.slice_of_batch(0, 5000),
            1,
            0,
            5000,
            f.now,
            "service",
            None,
            [uuid4()],
            ["mint_units_created"],
            ["{}"],
        ),
    ),
    "mint_event.is_recorded_since": (
        {"mint_event_type"},
        lambda f: (f.brand_id, "sign_in_failed", f.now, str(f.job_id)),
    ),
    "brand_delete.cut_mint_unit": ({"mint_unit_pkey"}, lambda f: (f.brand_id, 9)),
    "brand_delete.cut_mint_event": ({"mint_event_pkey"}, lambda f: (f.brand_id, 9)),
    "mint_job.find_anywhere": ({"mint_job_id"}, lambda f: (f.job_id,)),
    "mint_job.find_by_idempotency_key": (
        {"mint_job_idempotency"},
        lambda f: (f.brand_id, "submit_mint_request", "key"),
    ),
    "mint_job.reserve": (
        {"mint_job_pkey|mint_job_id", "mint_batch_job"},
        lambda f: (f.brand_id, f.job_id, 0, f.now),
    ),
    "mint_batch.get": (
        {"mint_batch_pkey", "mint_job_pkey|mint_job_id"},
        lambda f: (f.brand_id, f.batch_id),
    ),
    "unit_row.of_untouched_slice": (
        {"mint_unit_pkey", "unit_state_pkey"},
        lambda f: (f.brand_id, f.batch_id, *f.slice_of_batch(0, 1000)),
    ),
    "unit_row.of_slice": (
        {"mint_unit_pkey", "unit_state_pkey"},
        lambda f: (f.brand_id, f.batch_id, *f.slice_of_batch(0, 1000)),
    ),
    "export.end_units": (
        {"mint_unit_pkey"},
        lambda f: (f.brand_id, f.batch_id, *([each] for each in f.slice_of_batch(0, 1))),
    ),
    "unit_revocation.find": (
        {"mint_unit_pkey", "mint_batch_pkey"},
        lambda f: (f.brand_id, [f.unit_id]),
    ),
    "unit_revocation.revoke": (
        {"mint_unit_pkey", "mint_batch_pkey"},
        lambda f: (f.brand_id, [f.unit_id], f.now),
    ),
    "work_item.claim_one": ({"work_item_ref"}, lambda f: ("mint_job", f.job_id, "me", 60.0)),
    "resolve.product_shown": (
        {"product_pkey", "product_identifier_product|product_identifier_active_type"},
        lambda f: (f.brand_id, f.batch["product_id"]),
    ),
}
# A brand's export reads all that the brand has: no index would read less.
OF_WHOLE_BRANDS = {f"brand_export.{table}" for table in ("mint_unit", "mint_event", "scan_event")}


@pytest.fixture(scope="module")
def filled(server_dsn: str, template: str) -> Iterator[Filled]:
    """One filled database for all plans."""
    name = f"plans_{uuid4().hex[:12]}"

    async def execute(statement: str) -> None:
        async with connected(server_dsn) as connection:
            await connection.execute(statement)

    asyncio.run(execute(f"create database {name} template {template}"))
    yield asyncio.run(fill_database(with_database(server_dsn, name)))
    asyncio.run(execute(f"drop database {name} with (force)"))


@pytest_asyncio.fixture
async def connection(filled: Filled) -> AsyncIterator[Connection]:
    async with connected(filled.dsn) as opened:
        yield opened


def _unused(indexes: set[str], plan: Plan) -> set[str]:
    return {index for index in indexes if not plan.indexes & set(index.split("|"))}


def _reads_through_nothing_large(plan: Plan) -> None:
    assert not plan.read_through & TABLES_NEVER_READ_THROUGH, plan.nodes


@pytest.mark.parametrize("name", LISTS)
async def test_a_list_is_one_range_of_its_index(
    connection: Connection, filled: Filled, name: str
) -> None:
    index, values = LISTS[name]
    plan = await plan_of(connection, filled, name, *values(filled), analyze=True)
    _reads_through_nothing_large(plan)
    (scan,) = plan.scans(index)
    assert "created_at" in scan["Index Cond"]
    assert not plan.kinds() & {"Sort", "Incremental Sort"}, "the index has the order already"
    assert plan.rows_read(scan["Relation Name"]) <= PAGE


@pytest.mark.parametrize("name", LISTS)
async def test_a_list_has_that_plan_for_any_values(
    connection: Connection, filled: Filled, name: str
) -> None:
    if connection.get_server_version().major < GENERIC_PLAN_SINCE:
        pytest.skip(f"needs PostgreSQL {GENERIC_PLAN_SINCE} or later")
    plan = await generic_plan_of(connection, filled, name)
    _reads_through_nothing_large(plan)
    assert LISTS[name][0] in plan.indexes


@pytest.mark.parametrize("name", [name for name in LISTS if name != "export.list_newest"])
async def test_a_late_page_costs_what_the_first_costs(
    connection: Connection, filled: Filled, name: str
) -> None:
    _, values = LISTS[name]
    brand_id, _, _, _, limit, *rest = values(filled)
    rows = await connection.fetch(
        f"select created_at, id from {name.partition('.')[0]} where brand_id = $1 "
        "order by created_at, id offset 100 limit 1",
        filled.brand_id,
    )
    late = (rows[0]["created_at"], rows[0]["id"])
    plan = await plan_of(
        connection, filled, name, brand_id, BEGINNING, *late, limit, *rest, analyze=True
    )
    # Of the 100 rows that are left all may be read and sorted; of more, a page is.
    assert plan.rows_read(name.partition(".")[0]) <= 2 * PAGE


@pytest.mark.parametrize("form", UNIT_RANGES)
async def test_a_list_of_units_is_one_range_of_the_primary_key(
    connection: Connection, filled: Filled, form: str
) -> None:
    low, end = UNIT_RANGES[form](filled)
    plan = await plan_of(
        connection, filled, "mint_unit.list", filled.brand_id, low, end, PAGE, None, analyze=True
    )
    _reads_through_nothing_large(plan)
    (scan,) = plan.scans("mint_unit_pkey")
    assert scan["Scan Direction"] == "Backward"
    assert "Filter" not in scan, "brand and range are in the index's condition"
    assert plan.rows_read("mint_unit") == PAGE
    assert plan.rows_read("unit_state") <= PAGE
    assert plan.rows_read("mint_batch") <= PAGE


async def test_units_of_a_status_are_looked_for_in_one_range(
    connection: Connection, filled: Filled
) -> None:
    low, end = filled.range_of_batch()
    plan = await plan_of(
        connection, filled, "mint_unit.list", filled.brand_id, low, end, PAGE, "minted"
    )
    _reads_through_nothing_large(plan)
    (scan,) = plan.scans("mint_unit_pkey")
    assert "id >= " in scan["Index Cond"]
    assert "id < " in scan["Index Cond"]


@pytest.mark.parametrize("name", OTHERS)
async def test_the_statement_uses_its_indexes(
    connection: Connection, filled: Filled, name: str
) -> None:
    indexes, values = OTHERS[name]
    plan = await plan_of(connection, filled, name, *values(filled))
    _reads_through_nothing_large(plan)
    assert _unused(indexes, plan) == set()


@pytest.mark.parametrize("name", OTHERS)
async def test_the_statement_uses_them_for_any_values(
    connection: Connection, filled: Filled, name: str
) -> None:
    if connection.get_server_version().major < GENERIC_PLAN_SINCE:
        pytest.skip(f"needs PostgreSQL {GENERIC_PLAN_SINCE} or later")
    plan = await generic_plan_of(connection, filled, name)
    _reads_through_nothing_large(plan)
    assert _unused(OTHERS[name][0] - {"unit_state_pkey"}, plan) == set()


async def test_closing_a_cycle_counts_the_chunk_and_nothing_else(
    connection: Connection, filled: Filled
) -> None:
    values = OTHERS["mint_job.close_cycle"][1](filled)
    plan = await plan_of(connection, filled, "mint_job.close_cycle", *values, analyze=True)
    assert plan.rows_read("mint_unit") == 5000


async def test_a_claim_reads_the_oldest_items_in_their_order(
    connection: Connection, filled: Filled
) -> None:
    plan = await plan_of(connection, filled, "work_item.claim", "mint_job", "me", 60.0)
    assert "work_item_order" in plan.indexes
    locks = [node for node in plan.nodes if node["Node Type"] == "LockRows"]
    assert locks, "the claim locks what it takes"
    (ordered,) = plan.scans("work_item_order")
    assert "brand_id = " in ordered["Index Cond"]


async def test_the_figures_of_the_queue_read_as_many_items_as_they_may_count(
    connection: Connection, filled: Filled
) -> None:
    kinds, counted_max = ["mint_job", "payload_pack"], 100
    plan = await plan_of(connection, filled, "work_item.state", kinds, counted_max, analyze=True)
    assert "work_item" not in plan.read_through, plan.nodes
    assert plan.indexes == {"work_item_pkey", "work_item_order"}
    assert not plan.kinds() & {"Incremental Sort", "Bitmap Heap Scan"}
    waiting = sum(
        (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        for node in plan.scans("work_item_order")
    )
    brands = await connection.fetchval("select count(distinct brand_id) from work_item")
    # Of each brand the first that could run, the one before it that could not, and the end of the walk.
    assert waiting <= 3 * len(kinds) * brands
    assert plan.rows_read("work_item") <= len(kinds) * counted_max + 6 * len(kinds) * brands


async def test_the_figures_of_the_queue_have_that_plan_for_any_values(
    connection: Connection, filled: Filled
) -> None:
    if connection.get_server_version().major < GENERIC_PLAN_SINCE:
        pytest.skip(f"needs PostgreSQL {GENERIC_PLAN_SINCE} or later")
    plan = await generic_plan_of(connection, filled, "work_item.state")
    assert "work_item" not in plan.read_through
    assert plan.indexes == {"work_item_pkey", "work_item_order"}


async def test_a_plan_without_its_index_is_found(connection: Connection, filled: Filled) -> None:
    await connection.execute("set enable_indexscan = off; set enable_bitmapscan = off")
    plan = await plan_of(connection, filled, "mint_event.list_newest", *_newest(filled), [])
    with pytest.raises(AssertionError):
        _reads_through_nothing_large(plan)


async def test_every_statement_that_reads_units_or_events_is_looked_at() -> None:
    from mintage.db.queries import all_statements

    others = {"mint_unit.list", "work_item.claim", "work_item.state"}
    looked_at = {*LISTS, *OTHERS, *LOOKED_AT, *OF_WHOLE_BRANDS, *others}
    reading = {
        f"{each.noun}.{each.name}"
        for each in all_statements()
        if any(
            f"{word} {table}" in each.text
            for word in ("from", "join")
            for table in ("mint_unit", "mint_event", "scan_event")
        )
    }
    assert reading <= looked_at, "say in this file which index the new statement uses"
    assert all(statement_of(name) for name in looked_at)
