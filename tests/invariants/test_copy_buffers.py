"""COPY buffers against PostgreSQL: what the server stores, and what it would write itself for those rows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import numpy as np
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mintage.db import copy_buffers
from mintage.db.connection import Connection
from mintage.db.copy_buffers import COLUMNS, Bytes, pieces, stamp, unit_copy_buffer
from mintage.rules.gs1 import SET_82

MOMENT = datetime(2026, 2, 28, 23, 59, 59, 123456, tzinfo=UTC)
BRAND = UUID("5b0c6f0e-0f4e-4d0a-8c0e-6a3b8f1f9a10")
BATCH = UUID(int=2**128 - 1)
READ_BACK = f"select {', '.join(COLUMNS)} from mint_unit order by unit_no"

SERIAL = st.text(SET_82, min_size=1, max_size=20)
FIXED = st.text("0123456789ABCDEFGHJKMNPQRSTVWXYZ", min_size=16, max_size=16)
MOMENTS = st.integers(0, 250_000_000_000_000_000).map(
    lambda microseconds: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
)


@pytest_asyncio.fixture
async def connection(dsn: str) -> AsyncIterator[Connection]:
    opened = await asyncpg.connect(dsn)
    yield opened
    await opened.close()


def _ids(count: int) -> list[UUID]:
    return [UUID(int=(number + 1) * (2**127 // (count + 2)) + number) for number in range(count)]


def _octets(texts: Sequence[str], width: int) -> Bytes:
    return np.frombuffer("".join(texts).encode(), dtype=np.uint8).reshape(len(texts), width)


def _buffer(
    ids: Sequence[UUID], serials: Bytes | Sequence[str] | None, first: int, moment: datetime
) -> bytearray:
    return unit_copy_buffer(
        brand_id=BRAND,
        mint_batch_id=BATCH,
        unit_ids=np.frombuffer(b"".join(each.bytes for each in ids), dtype=np.uint8).reshape(
            -1, 16
        ),
        first_unit_no=first,
        serials=serials,
        created_at=moment,
    )


async def _stored(connection: Connection, buffer: bytearray) -> list[tuple[Any, ...]]:
    """The rows that the server stores for `buffer`."""
    await connection.execute("truncate mint_unit")
    await connection.copy_to_table(
        "mint_unit", columns=COLUMNS, source=pieces(buffer), format="binary"
    )
    return [tuple(row) for row in await connection.fetch(READ_BACK)]


async def _stored_by_the_driver(
    connection: Connection, records: list[tuple[Any, ...]]
) -> tuple[list[tuple[Any, ...]], bytes]:
    """The rows that the driver's own COPY stores, and the stream that the server writes of them."""
    await connection.execute("truncate mint_unit")
    await connection.copy_records_to_table("mint_unit", columns=COLUMNS, records=records)
    stream = bytearray()

    async def take(part: bytes) -> None:
        stream.extend(part)

    await connection.copy_from_query(READ_BACK, output=take, format="binary")
    return [tuple(row) for row in await connection.fetch(READ_BACK)], bytes(stream)


async def _assert_same(
    connection: Connection,
    serials: Sequence[str] | None,
    first: int,
    moment: datetime,
    *,
    is_fixed: bool = False,
    count: int | None = None,
) -> None:
    count = len(serials) if serials is not None else count or 0
    ids = _ids(count)
    records = [
        (BRAND, ids[place], BATCH, first + place, serials[place] if serials else None, moment)
        for place in range(count)
    ]
    given_serials = _octets(serials, 16) if serials and is_fixed else serials
    buffer = _buffer(ids, given_serials, first, moment)
    rows, stream = await _stored_by_the_driver(connection, records)
    assert await _stored(connection, buffer) == rows == records
    assert bytes(buffer) == stream


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    serials=st.lists(SERIAL, min_size=1, max_size=40, unique=True),
    first=st.integers(0, 999_960),
    moment=MOMENTS,
)
async def test_brought_serials_are_stored_as_the_driver_would(
    connection: Connection, serials: list[str], first: int, moment: datetime
) -> None:
    await _assert_same(connection, serials, first, moment)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    serials=st.lists(FIXED, min_size=1, max_size=40, unique=True),
    first=st.integers(0, 999_960),
    moment=MOMENTS,
)
async def test_generated_serials_are_stored_as_the_driver_would(
    connection: Connection, serials: list[str], first: int, moment: datetime
) -> None:
    await _assert_same(connection, serials, first, moment, is_fixed=True)


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(count=st.integers(1, 40), first=st.integers(0, 999_960), moment=MOMENTS)
async def test_units_without_a_serial_are_stored_as_the_driver_would(
    connection: Connection, count: int, first: int, moment: datetime
) -> None:
    await _assert_same(connection, None, first, moment, count=count)


@pytest.mark.parametrize("brought", [True, False], ids=["brought", "generated"])
async def test_a_whole_chunk_is_stored_as_the_driver_would(
    connection: Connection, brought: bool
) -> None:
    if brought:
        serials = [f"{number:x}" for number in range(20_000)]
        await _assert_same(connection, serials, 980_000, MOMENT)
    else:
        serials = [f"A{number:015}" for number in range(20_000)]
        await _assert_same(connection, serials, 980_000, MOMENT, is_fixed=True)


async def test_a_serial_of_every_length_has_its_place(connection: Connection) -> None:
    serials = [SET_82[:length] for length in range(20, 0, -1)]
    serials += [SET_82[-length:] for length in range(1, 21)]
    await _assert_same(connection, serials, 0, MOMENT)


@pytest.mark.parametrize(
    "moment",
    [
        datetime(1999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(2000, 1, 1, tzinfo=UTC),
        datetime(2000, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
        datetime(2026, 3, 29, 1, 30, tzinfo=UTC),
    ],
)
async def test_a_time_is_kept_to_the_microsecond(connection: Connection, moment: datetime) -> None:
    await _assert_same(connection, ["A"], 0, moment)


async def test_a_buffer_that_lay_is_stamped_with_another_time(connection: Connection) -> None:
    for serials in (None, _octets([f"A{number:015}" for number in range(50)], 16)):
        buffer = _buffer(_ids(50), serials, 7, MOMENT)
        later = MOMENT.replace(year=2027, microsecond=1)
        expected = _buffer(_ids(50), serials, 7, later)
        stamp(buffer, 50, later)
        assert buffer == expected
        rows = await _stored(connection, buffer)
        assert {row[-1] for row in rows} == {later}


async def test_pieces_are_the_whole_stream_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = _buffer(_ids(100), None, 0, MOMENT)
    for size in (1, 7, len(buffer) - 1, len(buffer), len(buffer) + 1):
        monkeypatch.setattr(copy_buffers, "_PIECE_BYTES", size)
        parts = [part async for part in pieces(buffer)]
        assert b"".join(parts) == buffer
        assert max(map(len, parts)) <= size


async def test_no_units_are_an_empty_stream(connection: Connection) -> None:
    none: tuple[Bytes | list[str] | None, ...] = (None, [], np.empty((0, 16), dtype=np.uint8))
    for serials in none:
        assert await _stored(connection, _buffer([], serials, 0, MOMENT)) == []
