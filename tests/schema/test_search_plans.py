"""The plans of searches and of lists of scans on a filled table, as the role that runs them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from mintage.operations.listing import BEGINNING, END, HIGHEST_ID, LOWEST_ID
from mintage.operations.search_streams import ROWS_A_LOOK
from mintage.rules.prefixes import id_range, text_range
from tests.conftest import with_database
from tests.schema.catalog import connected
from tests.schema.filled import Filled, fill_database
from tests.schema.plans import Plan, generic_plan_of, plan_of
from tests.schema.statements import GENERIC_PLAN_SINCE

pytestmark = pytest.mark.long

if TYPE_CHECKING:
    from tests.schema.catalog import Connection

PAGE = 51
LARGE = {
    "mint_unit",
    "mint_batch",
    "mint_lot",
    "unit_state",
    "payload_pack",
    "product",
    "product_identifier",
}
# Half are of others: were all of one batch, the index of all scans would serve as well.
SCANS = """
insert into scan_event (
  brand_id, id, scanned_at, unit_id, mint_batch_id, product_id, outcome, traffic_class, severity
)
select $1, gen_random_uuid(), $2::timestamptz - n * interval '1 minute', unit.id,
  case n % 2 when 0 then gen_random_uuid() else unit.mint_batch_id end,
  case n % 2 when 0 then gen_random_uuid() else $3::uuid end,
  'recorded', 'human', case n % 50 when 0 then 'review' when 1 then 'high' when 2 then 'elevated' end
from generate_series(1, 20000) as n
join mint_unit as unit
  on unit.brand_id = $1 and unit.mint_batch_id = $4 and unit.unit_no = n % 200
"""
SOME_PACKS_WAIT = """
update payload_pack
set status = 'pending'
where brand_id = $1
  and left(id::text, 2) = '0a'
"""
# What is looked at: the statement, the indexes that its ranges are of, and the kinds of values below.
SEARCHES: dict[str, set[str]] = {
    "products": {"product_brand_id_sku_key_key", "product_identifier_active_value"},
    "batches": {"mint_batch_pkey", "mint_lot_code"},
    # A group has some hundred packs at most, which are sorted by id one group after the other.
    "exports": {"payload_pack_pkey", "payload_pack_brand_id_export_group_id_pack_index_key"},
    "tokens": {"mint_unit_pkey", "mint_unit_serial"},
}
LISTS = {
    "list_newest": "newest",
    "list_of_unit": "unit",
    "list_of_batch": "batch",
    "list_of_product": "product",
    "list_of_severity": "severity",
}
PAGED = [name for name in LISTS if name.startswith("list_")]
CUT = "brand_delete.cut_scan_event"
LOOKED_AT = {
    CUT,
    "overview.read",
    *(f"search.{name}" for name in SEARCHES),
    *(f"scan_event.{name}" for name in LISTS),
}


@dataclass(frozen=True)
class Scanned:
    """The filled database with scans of one batch, over two weeks and more, in three partitions at most."""

    filled: Filled
    product_id: UUID
    since: datetime

    def values(self, name: str, *, after: datetime = END) -> tuple[object, ...]:
        """Right values for a list's statement; `after` is where the page begins."""
        page = (self.filled.brand_id, BEGINNING, after, HIGHEST_ID, PAGE)
        match name:
            case "list_of_unit":
                return (*page, self.filled.unit_id, None, None, None)
            case "list_of_batch":
                return (*page, self.filled.batch_id, self.product_id)
            case "list_of_product":
                return (*page, self.product_id)
            case "list_of_severity":
                return (*page, "review", None, None)
        return page


@pytest.fixture(scope="module")
def scanned(server_dsn: str, template: str) -> Iterator[Scanned]:
    """One filled database for all plans."""
    name = f"search_plans_{uuid4().hex[:12]}"

    async def execute(statement: str) -> None:
        async with connected(server_dsn) as connection:
            await connection.execute(statement)

    async def filled() -> Scanned:
        found = await fill_database(with_database(server_dsn, name))
        # Late in a month: of one that has just begun, few rows or none need no index of their own.
        now = datetime(2026, 11, 28, tzinfo=UTC)
        async with connected(found.dsn) as connection:
            await connection.execute(
                "select ensure_scan_event_partitions($1, 2)", now - timedelta(days=20)
            )
            product_id = found.batch["product_id"]
            await connection.execute(SCANS, found.brand_id, now, product_id, found.batch_id)
            await connection.execute(SOME_PACKS_WAIT, found.brand_id)
            await connection.execute("vacuum analyze")
        return Scanned(found, product_id, now - timedelta(minutes=20_000))

    asyncio.run(execute(f"create database {name} template {template}"))
    yield asyncio.run(filled())
    asyncio.run(execute(f"drop database {name} with (force)"))


@pytest_asyncio.fixture
async def connection(scanned: Scanned) -> AsyncIterator[Connection]:
    async with connected(scanned.filled.dsn) as opened:
        yield opened


def _search_values(filled: Filled, name: str, id_prefix: str, text: str) -> tuple[object, ...]:
    ids, texts = id_range(id_prefix), text_range(text)
    assert ids is not None
    match name:
        case "products":
            gtin = text_range("0" + text)
            zeros = [0, 1]
            lows, ends = [texts.lowest, gtin.lowest], [texts.end, gtin.end]
            return (filled.brand_id, texts.lowest, texts.end, lows, ends, zeros)
        case "batches":
            of_codes = (texts.lowest, LOWEST_ID, texts.lowest, texts.end)
            return (filled.brand_id, ids.lowest, ids.highest, *of_codes)
        case "exports":
            return (filled.brand_id, ids.lowest, ids.highest, ids.lowest, LOWEST_ID, ids.highest)
    upper = text_range(text.upper() + "0")
    return (
        filled.brand_id,
        ids.lowest,
        ids.highest,
        texts.lowest,
        texts.end,
        upper.lowest,
        upper.end,
    )


def _reads_no_table_through(plan: Plan, *more: str) -> None:
    assert not plan.read_through & {*LARGE, *more}, plan.nodes


def _tables(plan: Plan, beginning: str) -> set[str]:
    return {
        str(node["Relation Name"])
        for node in plan.nodes
        if str(node.get("Relation Name", "")).startswith(beginning)
    }


@pytest.mark.parametrize(
    ("id_prefix", "text"), [("0", "l1"), ("01", "L1"), ("a", "s1"), ("ab", "X1"), ("01", "zz")]
)
@pytest.mark.parametrize("name", SEARCHES)
async def test_every_stream_of_a_search_is_a_range_of_its_index(
    connection: Connection, scanned: Scanned, name: str, id_prefix: str, text: str
) -> None:
    values = _search_values(scanned.filled, name, id_prefix, text)
    plan = await plan_of(connection, scanned.filled, f"search.{name}", *values, analyze=True)
    _reads_no_table_through(plan)
    assert plan.indexes >= SEARCHES[name]
    for index in SEARCHES[name]:
        conditions = [scan["Index Cond"] for scan in plan.scans(index)]
        assert all("brand_id = " in condition for condition in conditions)
        assert any(">=" in condition for condition in conditions), "a range, not a filter"
    sorts = [node for node in plan.nodes if node["Node Type"] == "Sort"]
    assert all(node.get("Actual Rows", 0) <= 100 for node in sorts), "only what is merged is sorted"


@pytest.mark.parametrize("name", SEARCHES)
async def test_every_stream_has_that_plan_for_any_values(
    connection: Connection, scanned: Scanned, name: str
) -> None:
    if connection.get_server_version().major < GENERIC_PLAN_SINCE:
        pytest.skip(f"needs PostgreSQL {GENERIC_PLAN_SINCE} or later")
    plan = await generic_plan_of(connection, scanned.filled, f"search.{name}")
    _reads_no_table_through(plan)
    assert plan.indexes >= SEARCHES[name]


@pytest.mark.parametrize(
    ("name", "table", "streams"),
    [("tokens", "mint_unit", 3), ("batches", "mint_lot", 2), ("exports", "payload_pack", 2)],
)
async def test_a_look_reads_no_more_rows_than_its_streams_say(
    connection: Connection, scanned: Scanned, name: str, table: str, streams: int
) -> None:
    # However many units, lots and packs begin with it.
    values = _search_values(scanned.filled, name, "0", "L" if name == "batches" else "X")
    plan = await plan_of(connection, scanned.filled, f"search.{name}", *values, analyze=True)
    # A batch's first lot code is read for each batch; a sort by group reads one group further.
    extra = {"batches": 2 * ROWS_A_LOOK * streams, "exports": 2}.get(name, 0)
    assert 0 < plan.rows_read(table) <= streams * ROWS_A_LOOK + extra


@pytest.mark.parametrize("is_generic", [False, True])
async def test_the_overview_is_a_few_rows_of_each_index(
    connection: Connection, scanned: Scanned, is_generic: bool
) -> None:
    filled = scanned.filled
    first = (filled.now - timedelta(days=29)).date()
    values = (filled.brand_id, first, False, filled.now - timedelta(days=7))
    if not is_generic:
        plan = await plan_of(connection, filled, "overview.read", *values, analyze=True)
        assert plan.rows_read("mint_event") == 8
        tables = _tables(plan, "scan_event")
        assert sum(plan.rows_read(table) for table in tables) <= 2 * 24 * len(tables)
    elif connection.get_server_version().major < GENERIC_PLAN_SINCE:
        pytest.skip(f"needs PostgreSQL {GENERIC_PLAN_SINCE} or later")
    else:
        plan = await generic_plan_of(connection, filled, "overview.read")
    _reads_no_table_through(plan, *await _filled_partitions(connection))
    assert plan.indexes >= {"mint_event_newest", "mint_batch_status"}


@pytest.mark.parametrize("name", LISTS)
async def test_a_list_of_scans_is_a_range_of_its_index(
    connection: Connection, scanned: Scanned, name: str
) -> None:
    values = scanned.values(name)
    plan = await plan_of(connection, scanned.filled, f"scan_event.{name}", *values, analyze=True)
    _reads_no_table_through(plan, *await _filled_partitions(connection))
    used = {
        node["Index Name"]
        for node in plan.nodes
        if node.get("Index Name", "").startswith("scan_event")
    }
    assert used, plan.nodes
    assert await _parents(connection, used) == {f"scan_event_{LISTS[name]}"}
    assert not plan.kinds() & {"Sort", "Incremental Sort"}, "the indexes have the order already"
    tables = _tables(plan, "scan_event")
    assert tables
    assert sum(plan.rows_read(table) for table in tables) <= PAGE * len(tables)


async def test_where_the_last_scans_of_a_brand_begin_is_read_from_the_end_of_the_key(
    connection: Connection, scanned: Scanned
) -> None:
    plan = await plan_of(connection, scanned.filled, CUT, scanned.filled.brand_id, 9, analyze=True)
    _reads_no_table_through(plan, *await _filled_partitions(connection))
    used = {node["Index Name"] for node in plan.nodes if "Index Name" in node}
    assert await _parents(connection, used) == {"scan_event_pkey"}
    assert not plan.kinds() & {"Sort", "Incremental Sort"}, "the indexes have the order already"


@pytest.mark.parametrize("name", LISTS)
async def test_a_list_of_scans_has_that_plan_for_any_values(
    connection: Connection, scanned: Scanned, name: str
) -> None:
    if connection.get_server_version().major < GENERIC_PLAN_SINCE:
        pytest.skip(f"needs PostgreSQL {GENERIC_PLAN_SINCE} or later")
    plan = await generic_plan_of(connection, scanned.filled, f"scan_event.{name}")
    partitions = await _filled_partitions(connection)
    assert partitions
    _reads_no_table_through(plan, *partitions)


@pytest.mark.parametrize("name", PAGED)
async def test_a_late_page_of_scans_costs_what_the_first_costs(
    connection: Connection, scanned: Scanned, name: str
) -> None:
    late = scanned.since + timedelta(days=2)
    values = scanned.values(name, after=late)
    plan = await plan_of(connection, scanned.filled, f"scan_event.{name}", *values, analyze=True)
    tables = _tables(plan, "scan_event")
    assert 0 < sum(plan.rows_read(table) for table in tables) <= PAGE * len(tables)


async def test_of_another_product_than_the_batchs_no_scan_is_read(
    connection: Connection, scanned: Scanned
) -> None:
    values: list[Any] = list(scanned.values("list_of_batch"))
    values[-1] = uuid4()
    plan = await plan_of(
        connection, scanned.filled, "scan_event.list_of_batch", *values, analyze=True
    )
    assert sum(plan.rows_read(table) for table in _tables(plan, "scan_event")) == 0


@pytest.mark.parametrize("status", ["pending", "failed", "generating"])
async def test_packs_of_a_status_are_read_as_many_as_are_shown(
    connection: Connection, scanned: Scanned, status: str
) -> None:
    # Whether few packs have it, nearly all, or none.
    values = (scanned.filled.brand_id, END, HIGHEST_ID, PAGE, status)
    plan = await plan_of(connection, scanned.filled, "export.list_of_status", *values, analyze=True)
    _reads_no_table_through(plan)
    # A row that was changed is read twice until it is vacuumed.
    assert plan.rows_read("payload_pack") <= 2 * PAGE
    if status != "failed":
        assert "payload_pack_status" in plan.indexes


async def _parents(connection: Connection, indexes: set[str]) -> set[str]:
    """The indexes of the whole table that these belong to, of partitions that hold something."""
    rows = await connection.fetch(
        "select inhparent::regclass::text as parent from pg_inherits "
        "join pg_index on indexrelid = inhrelid join pg_class on pg_class.oid = indrelid "
        "where inhrelid::regclass::text = any ($1::text[]) and reltuples > 0",
        sorted(indexes),
    )
    return {row["parent"] for row in rows}


async def _filled_partitions(connection: Connection) -> set[str]:
    """Partitions that hold something: of an empty one any plan is right."""
    rows = await connection.fetch(
        "select relname::text as name from pg_class "
        "where relname like 'scan_event_20%' and relkind = 'r' and reltuples > 0"
    )
    return {row["name"] for row in rows}
