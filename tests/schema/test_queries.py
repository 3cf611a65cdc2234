"""Every statement of sql/queries/ and sql/checks/ on the migrated schema, as the role it is written for."""

from __future__ import annotations

import pytest

from mintage.db.queries import all_statements, parse_statements
from mintage.operations.checks import load_checks
from tests.schema.catalog import connected
from tests.schema.statements import GENERIC_PLAN_SINCE, Prepared, assert_can_be_run

CASES = [
    Prepared(f"{each.noun}.{each.name}", each.role, each.text) for each in all_statements()
] + [Prepared(f"check {each.name}", "mintage_service", each.statement) for each in load_checks()]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_the_statement_can_be_run_by_its_role(dsn: str, case: Prepared) -> None:
    async with connected(dsn) as connection:
        await assert_can_be_run(connection, case)


async def test_a_statement_that_its_role_may_not_run_is_found(dsn: str) -> None:
    async with connected(dsn) as connection:
        if connection.get_server_version().major < GENERIC_PLAN_SINCE:
            pytest.skip(f"needs PostgreSQL {GENERIC_PLAN_SINCE} or later")
        with pytest.raises(AssertionError, match="permission denied"):
            await assert_can_be_run(
                connection,
                Prepared("x", "mintage_resolver", "select id from app_user where id = $1"),
            )


def test_a_name_that_is_there_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        parse_statements("noun", "-- name: a\nselect 1\n-- name: a\nselect 2\n")


def test_text_before_the_first_name_is_refused() -> None:
    with pytest.raises(ValueError, match="before the first"):
        parse_statements("noun", "select 1;\n-- name: a\nselect 1\n")
