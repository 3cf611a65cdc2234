"""Columns that are sent as one text: what the database takes apart is what was put together."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from mintage.db.joined import joined
from mintage.db.queries import all_statements
from tests.schema.catalog import connected


@pytest.mark.parametrize(
    ("column", "kept"),
    [
        (["a"], ["a"]),
        (["a", None, "b"], ["a", None, "b"]),
        ([None, None], [None, None]),
        (["", "x"], [None, "x"]),
        (["a,b", "{c}", "\\N", "\t'\"", "ü", "NULL"], ["a,b", "{c}", "\\N", "\t'\"", "ü", "NULL"]),
        (["a\x1fb", "c"], ["a b", "c"]),
        (["\x1f", None, "\x1f\x1f"], [" ", None, "  "]),
        (["\x1f"], [" "]),
    ],
)
async def test_a_column_is_taken_apart_as_it_was(
    dsn: str, column: list[str | None], kept: list[str | None]
) -> None:
    async with connected(dsn) as connection:
        found = await connection.fetch(
            r"select t from unnest(string_to_array($1, E'\x1f', '')) as t", joined(column)
        )
    assert [row["t"] for row in found] == kept


async def test_of_a_row_with_nothing_beside_others_there_is_nothing(dsn: str) -> None:
    statement = (
        r"select id, t from unnest($1::integer[], string_to_array($2, E'\x1f', '')) as s (id, t)"
    )
    async with connected(dsn) as connection:
        found = await connection.fetch(statement, [7], joined([None]))
        none = await connection.fetch(statement, [], joined([]))
    assert [tuple(row) for row in found] == [(7, None)]
    assert none == []


async def test_a_time_in_seconds_is_the_same_microsecond(dsn: str) -> None:
    dice = random.Random(1)  # noqa: S311
    first = datetime(2020, 1, 1, tzinfo=UTC)
    times = [
        first + timedelta(microseconds=dice.randrange(80 * 366 * 86400 * 10**6))
        for _ in range(2000)
    ]
    async with connected(dsn) as connection:
        found = await connection.fetch(
            "select to_timestamp(s) as t from unnest($1::float8[]) as s",
            [time.timestamp() for time in times],
        )
    assert [row["t"] for row in found] == times


def test_statements_take_columns_apart_by_the_same_character() -> None:
    for each in all_statements():
        assert each.text.count("string_to_array(") == each.text.count(r", E'\x1f'"), each.name
