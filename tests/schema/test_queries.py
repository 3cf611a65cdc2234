"""Every statement of sql/queries/ is prepared on the migrated schema, as the role it is written for."""

from __future__ import annotations

import asyncpg
import pytest

from mintage.db.queries import Statement, all_statements, parse_statements

STATEMENTS = all_statements()


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda s: f"{s.noun}.{s.name}")
async def test_the_statement_can_be_prepared_by_its_role(dsn: str, statement: Statement) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(f"set role {statement.role}")
        prepared = await connection.prepare(statement.text)
        numbers = [n for n in range(1, 40) if f"${n}" in statement.text]
        assert len(prepared.get_parameters()) == len(numbers)
        names = [attribute.name for attribute in prepared.get_attributes()]
        assert len(names) == len(set(names)), "a column is there twice: name each"
    finally:
        await connection.close()


def test_a_name_that_is_there_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        parse_statements("noun", "-- name: a\nselect 1\n-- name: a\nselect 2\n")


def test_text_before_the_first_name_is_refused() -> None:
    with pytest.raises(ValueError, match="before the first"):
        parse_statements("noun", "select 1;\n-- name: a\nselect 1\n")
