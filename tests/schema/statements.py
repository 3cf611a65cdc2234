"""Whether PostgreSQL takes a statement of ours: parameters, columns, and the rights of its role."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    from tests.schema.catalog import Connection

GENERIC_PLAN_SINCE = 16


@dataclass(frozen=True)
class Prepared:
    """A statement, its name in a failure, and the database role that runs it."""

    name: str
    role: str
    text: str


async def assert_can_be_run(connection: Connection, case: Prepared) -> None:
    """Prepare the statement as its role, and have its plan made, for which its rights are checked."""
    async with connection.transaction():
        await connection.execute(f"set local role {case.role}")
        try:
            prepared = await connection.prepare(case.text)
        except asyncpg.PostgresError as error:
            raise AssertionError(f"{case.name} cannot be prepared: {error}") from error
        numbers = {int(number) for number in re.findall(r"\$(\d+)", case.text)}
        count = len(prepared.get_parameters())
        assert numbers == set(range(1, count + 1)), f"{case.name}: each parameter is to be used"
        names = [attribute.name for attribute in prepared.get_attributes()]
        assert len(names) == len(set(names)), f"{case.name}: a column is there twice: name each"
        # Preparing asks for no right on a table; beginning to run does.
        if connection.get_server_version().major >= GENERIC_PLAN_SINCE:
            try:
                await connection.execute(f"explain (generic_plan) {case.text}")
            except asyncpg.PostgresError as error:
                raise AssertionError(f"{case.name} as {case.role}: {error}") from error
