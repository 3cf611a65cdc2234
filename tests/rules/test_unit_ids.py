"""Unit ids: UUIDv7, in unit order, in ranges that can be told beforehand."""

import uuid

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mintage.rules import unit_ids
from mintage.rules.violation import RuleViolation
from tests.rules.randomness import seeded_bytes

CREATED_AT_MS = 1_800_000_000_123

quantities = st.one_of(st.integers(1, 50), st.integers(1, 1_000_000), st.just(2**20))


def uuids(chunk: NDArray[np.uint8]) -> list[uuid.UUID]:
    return [uuid.UUID(bytes=bytes(row)) for row in chunk]


@st.composite
def unit_ranges(draw: st.DrawFn) -> tuple[int, int, int]:
    """A batch's quantity, a first unit, a count of 1 to 40 units."""
    quantity = draw(quantities)
    first = draw(st.integers(0, quantity - 1))
    return quantity, first, draw(st.integers(1, min(40, quantity - first)))


@given(unit_ranges(), st.integers(0, 2**48 - 1), st.integers(0, 2**32))
def test_ids_are_uuids_of_version_7_ascending_within_their_bounds(
    units: tuple[int, int, int], created_at_ms: int, seed: int
) -> None:
    quantity, first, count = units
    source = seeded_bytes(seed)
    low = unit_ids.draw_unit_id_low(created_at_ms, source)
    chunk = unit_ids.unit_id_chunk(low, first, count, quantity, source)
    ids = uuids(chunk)
    assert {(each.version, each.variant) for each in ids} == {(7, uuid.RFC_4122)}
    assert {each.int >> 80 for each in ids} == {created_at_ms}
    assert ids == sorted(set(ids))
    lowest, highest = unit_ids.unit_id_bounds(low, quantity, first, count)
    assert low <= lowest <= ids[0]
    assert ids[-1] <= highest <= unit_ids.unit_id_high(low)
    numbers = [unit_ids.unit_no_of(low, quantity, each) for each in ids]
    assert numbers == list(range(first, first + count))
    assert unit_ids.unit_nos_of(low, quantity, chunk.tobytes()).tolist() == numbers


@given(unit_ranges())
def test_ranges_of_a_batch_lie_edge_to_edge(units: tuple[int, int, int]) -> None:
    quantity, first, count = units
    low = unit_ids.draw_unit_id_low(CREATED_AT_MS, seeded_bytes(1))
    start, end = unit_ids.unit_id_bounds(low, quantity, first, count)
    assert unit_ids.unit_no_of(low, quantity, start) == first
    assert unit_ids.unit_no_of(low, quantity, end) == first + count - 1
    if first:
        _, before = unit_ids.unit_id_bounds(low, quantity, 0, first)
        assert before.int + 1 == start.int


@pytest.mark.parametrize("quantity", [1, 3, 1_000_000, 2**20])
def test_the_draw_reaches_both_ends_of_a_stride(quantity: int) -> None:
    low = unit_ids.draw_unit_id_low(CREATED_AT_MS, seeded_bytes(1))
    start, end = unit_ids.unit_id_bounds(low, quantity, quantity - 1, 1)
    lowest = uuids(unit_ids.unit_id_chunk(low, quantity - 1, 1, quantity, bytes))[0]
    assert lowest == start
    if quantity & (quantity - 1) == 0:
        ones = unit_ids.unit_id_chunk(low, quantity - 1, 1, quantity, lambda n: b"\xff" * n)
        assert uuids(ones)[0] == end == unit_ids.unit_id_high(low)


def test_at_least_42_bits_of_an_id_in_a_full_batch_cannot_be_guessed() -> None:
    assert unit_ids.TAIL_SPACE // 1_000_000 >= 2**42


def test_offsets_within_the_strides_are_even() -> None:
    quantity = 64_000
    low = unit_ids.draw_unit_id_low(CREATED_AT_MS, seeded_bytes(2))
    chunk = unit_ids.unit_id_chunk(low, 0, quantity, quantity, seeded_bytes(3))
    tails = chunk.view(">u8")[:, 1].astype(np.uint64) & np.uint64(2**62 - 1)
    offsets = tails % np.uint64(2**62 // quantity)
    counts = np.histogram(offsets.astype(np.float64), bins=32, range=(0, 2**62 // quantity))[0]
    assert ((counts - 2000.0) ** 2 / 2000.0).sum() < 83  # 31 degrees of freedom, p about 1e-6


def test_the_lowest_id_has_a_random_tag_and_no_tail() -> None:
    source = seeded_bytes(4)
    lows = [unit_ids.draw_unit_id_low(CREATED_AT_MS, source) for _ in range(2_000)]
    assert {(low.int >> 80, low.version, low.variant, low.int & 2**62 - 1) for low in lows} == {
        (CREATED_AT_MS, 7, uuid.RFC_4122, 0)
    }
    assert len({low.int >> 64 for low in lows}) > 1_500
    assert unit_ids.unit_id_high(lows[0]).int - lows[0].int == 2**62 - 1


def test_ids_of_other_rows_are_distinct_uuids_of_version_7_in_order_of_time() -> None:
    source = seeded_bytes(5)
    ids = [unit_ids.uuid7(CREATED_AT_MS + step, source) for step in range(1_000)]
    assert {(each.version, each.variant) for each in ids} == {(7, uuid.RFC_4122)}
    assert ids == sorted(set(ids))
    assert [each.int >> 80 for each in ids] == list(range(CREATED_AT_MS, CREATED_AT_MS + 1_000))


def test_a_foreign_id_has_no_unit_number() -> None:
    source = seeded_bytes(6)
    low = unit_ids.draw_unit_id_low(CREATED_AT_MS, source)
    other = unit_ids.draw_unit_id_low(CREATED_AT_MS + 1, source)
    remainder = unit_ids.unit_id_high(low)
    for foreign in (other, uuid.UUID(int=low.int - 1), uuid.UUID(int=0), remainder):
        with pytest.raises(RuleViolation, match="not an id of this batch"):
            unit_ids.unit_no_of(low, 3, foreign)
        with pytest.raises(RuleViolation, match="not ids of this batch"):
            unit_ids.unit_nos_of(low, 3, low.bytes + foreign.bytes)


@given(st.lists(st.uuids(), min_size=1, max_size=5), quantities, st.booleans())
def test_many_ids_have_numbers_where_each_has_one(
    drawn: list[uuid.UUID], quantity: int, have_the_head: bool
) -> None:
    low = unit_ids.draw_unit_id_low(CREATED_AT_MS, seeded_bytes(7))
    ids = [
        uuid.UUID(bytes=low.bytes[:8] + each.bytes[8:]) if have_the_head else each for each in drawn
    ]
    octets = b"".join(each.bytes for each in ids)
    try:
        numbers = [unit_ids.unit_no_of(low, quantity, each) for each in ids]
    except RuleViolation:
        with pytest.raises(RuleViolation):
            unit_ids.unit_nos_of(low, quantity, octets)
    else:
        assert unit_ids.unit_nos_of(low, quantity, octets).tolist() == numbers


@pytest.mark.parametrize(
    ("first", "count", "quantity"), [(-1, 1, 5), (0, -1, 5), (5, 1, 5), (0, 6, 5), (0, 1, 0)]
)
def test_units_that_a_batch_does_not_have_are_refused(
    first: int, count: int, quantity: int
) -> None:
    low = unit_ids.draw_unit_id_low(CREATED_AT_MS, seeded_bytes(1))
    with pytest.raises(ValueError, match="unit"):
        unit_ids.unit_id_chunk(low, first, count, quantity, seeded_bytes(1))
    with pytest.raises(ValueError, match="unit"):
        unit_ids.unit_id_bounds(low, quantity, first, count)


def test_no_unit_has_no_bounds_and_no_ids() -> None:
    low = unit_ids.draw_unit_id_low(CREATED_AT_MS, seeded_bytes(1))
    assert unit_ids.unit_id_chunk(low, 5, 0, 5, seeded_bytes(1)).shape == (0, 16)
    with pytest.raises(ValueError, match="no bounds"):
        unit_ids.unit_id_bounds(low, 5, 2, 0)


def test_an_id_with_a_tail_or_of_another_version_is_no_lowest_id() -> None:
    low = unit_ids.draw_unit_id_low(CREATED_AT_MS, seeded_bytes(1))
    for wrong in (uuid.UUID(int=low.int + 1), uuid.UUID(int=low.int ^ 3 << 76), uuid.UUID(int=0)):
        with pytest.raises(ValueError, match="lowest id"):
            unit_ids.unit_id_high(wrong)


@pytest.mark.parametrize("created_at_ms", [-1, 2**48])
def test_a_time_that_48_bits_cannot_hold_is_refused(created_at_ms: int) -> None:
    with pytest.raises(ValueError, match="48 bits"):
        unit_ids.uuid7(created_at_ms, seeded_bytes(1))
