"""Plans of our statements as PostgreSQL makes them for the role that runs them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mintage.db.connection import DatabaseRole, Identity
from mintage.db.queries import Statement, statements
from tests.schema.filled import Filled

if TYPE_CHECKING:
    from tests.schema.catalog import Connection

TABLES_NEVER_READ_THROUGH = {
    "mint_unit",
    "mint_event",
    "mint_batch",
    "mint_job",
    "unit_state",
    "product_identifier",
}


@dataclass(frozen=True)
class Plan:
    """A plan's nodes, outermost first."""

    nodes: list[dict[str, Any]]

    @property
    def indexes(self) -> set[str]:
        return {node["Index Name"] for node in self.nodes if "Index Name" in node}

    @property
    def read_through(self) -> set[str]:
        """Tables that are read from end to end."""
        return {node["Relation Name"] for node in self.nodes if node["Node Type"] == "Seq Scan"}

    def scans(self, index: str) -> list[dict[str, Any]]:
        return [node for node in self.nodes if node.get("Index Name") == index]

    def kinds(self) -> set[str]:
        return {node["Node Type"] for node in self.nodes}

    def rows_read(self, table: str) -> int:
        """Rows that an analysed plan took from a table, those thrown away by a filter included."""
        return sum(
            int(
                (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
            )
            for node in self.nodes
            if node.get("Relation Name") == table
        )


def statement_of(name: str) -> Statement:
    """`noun.name` of sql/queries/."""
    noun, _, own = name.partition(".")
    return statements(noun)[own]


async def plan_of(
    connection: Connection, filled: Filled, name: str, *values: object, analyze: bool = False
) -> Plan:
    """The plan of a statement for these values, as its role, in the filled brand; nothing is kept."""
    options = "analyze, timing off, " if analyze else ""
    return await _explained(connection, filled, name, f"explain ({options}format json)", *values)


async def generic_plan_of(connection: Connection, filled: Filled, name: str) -> Plan:
    """The plan that a statement has for any values (PostgreSQL 16 and later)."""
    return await _explained(connection, filled, name, "explain (generic_plan, format json)")


async def _explained(
    connection: Connection, filled: Filled, name: str, explain: str, *values: object
) -> Plan:
    statement = statement_of(name)
    role = DatabaseRole(statement.role)
    user_id = filled.owner_id if role == DatabaseRole.APP else None
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(Identity(role, filled.brand_id, user_id).statements())
        if values:
            told = await connection.fetchval(f"{explain} {statement.text}", *values)
        else:
            # The simple protocol: PostgreSQL is to see the parameters as they stand.
            told = await _fetch_simple(connection, f"{explain} {statement.text}")
    finally:
        await transaction.rollback()
    return Plan(list(_nodes(json.loads(told)[0]["Plan"])))


async def _fetch_simple(connection: Connection, text: str) -> str:
    # EXPLAIN as a value: only a function may return it without the extended protocol's parameters.
    await connection.execute(
        "create function pg_temp.told(_text text) returns text language plpgsql as "
        "$$ declare line text; begin execute _text into line; return line; end $$"
    )
    told: str = await connection.fetchval("select pg_temp.told($1)", text)
    return told


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for inner in node.get("Plans", []):
        yield from _nodes(inner)
