"""What was released goes on: old schemas are the sum of their migrations, old statements run on today's.

A release is rolled out after its migrations: until then programs of the release before send their
statements to the new schema. Not here: a database with data in it (`test_upgrade`).
"""

from __future__ import annotations

import pytest

from mintage.db.migrate import load_migrations
from tests.schema.catalog import connected, new_database, snapshot
from tests.schema.released_states import (
    FOLDER,
    RELEASED,
    migrate_until,
    queries_of,
    schema_of,
)
from tests.schema.statements import Prepared, assert_can_be_run

MAY_BREAK: dict[tuple[str, str], str] = {}
"""(release, statement) → why programs of that release cannot run it on today's schema. None may be here
without a reason, and none that runs."""
MIGRATIONS_UNKEPT_MAX = 6
"""How many migrations a release and its fixes may add before its state is kept."""


@pytest.mark.long
@pytest.mark.parametrize("release", RELEASED)
async def test_a_released_schema_is_the_sum_of_its_migrations(
    server_dsn: str, release: str, template: str
) -> None:
    async with new_database(server_dsn) as by_file, new_database(server_dsn) as by_migrations:
        await migrate_until(by_migrations, release)
        async with connected(by_file) as file, connected(by_migrations) as migrated:
            async with file.transaction():
                await file.execute(schema_of(release))
            written, added_up = await snapshot(file), await snapshot(migrated)
    assert len(written) > 250, "the snapshot sees next to nothing"
    assert written == added_up, "a closed migration was edited: take its old text back"


async def _broken(dsn: str, release: str) -> dict[tuple[str, str], str]:
    """The statements of a release that do not run on the database, and what the server says."""
    broken = {}
    async with connected(dsn) as connection:
        for each in queries_of(release):
            name = f"{each.noun}.{each.name}"
            try:
                await assert_can_be_run(connection, Prepared(name, each.role, each.text))
            except AssertionError as error:
                broken[release, name] = str(error)
    return broken


@pytest.mark.parametrize("release", RELEASED)
async def test_statements_of_a_release_run_on_todays_schema(dsn: str, release: str) -> None:
    assert len(queries_of(release)) > 90
    broken = await _broken(dsn, release)
    expected = {key for key in MAY_BREAK if key[0] == release}
    assert broken.keys() == expected, (
        f"keep what old statements use for a release more, or give the reason in MAY_BREAK: {broken}"
    )


async def test_a_column_that_is_taken_away_is_seen(dsn: str) -> None:
    async with connected(dsn) as connection:
        await connection.execute("alter table mint_lot rename column lot_code to code")
    broken = await _broken(dsn, "0001")
    assert {("0001", "mint_unit.list"), ("0001", "resolve.lots_by_code")} <= broken.keys()
    assert "column mint_lot.lot_code does not exist" in broken["0001", "mint_unit.list"]


def test_every_state_that_is_kept_is_tried() -> None:
    assert tuple(sorted(file.stem for file in FOLDER.glob("*.sql"))) == RELEASED
    kept = tuple(sorted(folder.name for folder in (FOLDER / "queries").iterdir()))
    assert kept == RELEASED
    assert int(RELEASED[-1]) <= len(load_migrations())


def test_a_state_is_kept_before_much_is_added_to_it() -> None:
    added = len(load_migrations()) - int(RELEASED[-1])
    assert added <= MIGRATIONS_UNKEPT_MAX, (
        "programs of the state before are no longer tried: keep the schema and queries of the last release "
        "as tests/schema/released/README.md says"
    )


def test_each_statement_that_may_break_has_a_reason() -> None:
    assert all(len(reason.split()) >= 5 for reason in MAY_BREAK.values())
