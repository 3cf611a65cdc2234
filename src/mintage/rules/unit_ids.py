"""Unit ids: RFC 9562 UUIDv7, laid out so that one index serves every range (DATA-MODEL, Answers).

The head of 64 bits is the batch's: its creation time in milliseconds, the version, a random tag.
The tail of 62 bits after the variant is a stratified draw in unit order, so a batch, a lot, a
chunk and a pack are each one range of ids, and yet no id tells the next one. Ids of all other rows
are plain UUIDv7 (`uuid7`).
"""

import uuid
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mintage.rules.draws import RandomBytes, draw_below, draws_below
from mintage.rules.violation import RuleViolation

TAIL_BITS: Final = 62
TAIL_SPACE: Final = 2**TAIL_BITS
TAG_BITS: Final = 12

_TIME_BITS = 48
_VERSION = 7
_VARIANT = 0b10
_TAIL_MASK = TAIL_SPACE - 1


def draw_unit_id_low(created_at_ms: int, random_bytes: RandomBytes) -> uuid.UUID:
    """The lowest id of a batch created at `created_at_ms` (Unix time): random tag, tail zero.

    Whether the brand has a batch of that head already is for the database's unique key to say.
    """
    return _uuid7(created_at_ms, draw_below(2**TAG_BITS, random_bytes), 0)


def uuid7(created_at_ms: int, random_bytes: RandomBytes) -> uuid.UUID:
    """A UUIDv7 of that Unix time with 74 random bits (RFC 9562 §5.7): ids of all other rows."""
    return _uuid7(
        created_at_ms,
        draw_below(2**TAG_BITS, random_bytes),
        draw_below(TAIL_SPACE, random_bytes),
    )


def uuid7_octets(created_at_ms: int, octets: bytes) -> bytes:
    """Such an id's 16, from 10 random ones that are there already, of which 74 bits are used."""
    bits = int.from_bytes(octets, "big")
    tail = bits >> (80 - TAIL_BITS)
    return _uuid7_int(created_at_ms, bits & (2**TAG_BITS - 1), tail).to_bytes(16, "big")


def unit_id_high(low: uuid.UUID) -> uuid.UUID:
    """The highest id that a batch of this lowest id can have, inclusive: tail all ones."""
    return uuid.UUID(int=_head_of(low) | _TAIL_MASK)


def unit_id_chunk(
    low: uuid.UUID,
    first_unit_no: int,
    count: int,
    requested_quantity: int,
    random_bytes: RandomBytes,
) -> NDArray[np.uint8]:
    """The ids of units `first_unit_no` … `first_unit_no + count − 1` as 16 octets each.

    Unit k (from 0) of N gets the tail k·stride + random(0 … stride−1), stride = ⌊2⁶² / N⌋.
    Shape (count, 16), in network order, strictly ascending.
    Raises ValueError for units outside 0 … N−1 and for a `low` with a tail.
    """
    _require_units_within(first_unit_no, count, requested_quantity)
    head = _head_of(low)
    stride = TAIL_SPACE // requested_quantity
    tails = np.arange(first_unit_no, first_unit_no + count, dtype=np.uint64)
    tails *= np.uint64(stride)
    tails += draws_below(stride, count, random_bytes)
    tails |= np.uint64(_VARIANT << TAIL_BITS)
    ids = np.empty((count, 2), dtype=">u8")
    ids[:, 0] = head >> 64
    ids[:, 1] = tails
    return ids.view(np.uint8)


def unit_id_bounds(
    low: uuid.UUID, requested_quantity: int, first_unit_no: int, count: int
) -> tuple[uuid.UUID, uuid.UUID]:
    """The lowest and the highest id, both inclusive, between which exactly those units lie.

    Raises ValueError for no unit, for units outside 0 … N−1 and for a `low` with a tail.
    """
    _require_units_within(first_unit_no, count, requested_quantity)
    if count == 0:
        raise ValueError("no unit has no bounds")
    head = _head_of(low)
    stride = TAIL_SPACE // requested_quantity
    return (
        uuid.UUID(int=head | first_unit_no * stride),
        uuid.UUID(int=head | (first_unit_no + count) * stride - 1),
    )


def unit_no_of(low: uuid.UUID, requested_quantity: int, unit_id: uuid.UUID) -> int:
    """The number (from 0) of the unit that has this id: `unit_id_chunk` undone.

    Raises RuleViolation for an id that the batch cannot have.
    """
    _require_units_within(0, 0, requested_quantity)
    tail = unit_id.int - _head_of(low)
    unit_no = tail // (TAIL_SPACE // requested_quantity)
    if not 0 <= tail < TAIL_SPACE or unit_no >= requested_quantity:
        raise RuleViolation("not an id of this batch", f"ids from {low} to {unit_id_high(low)}")
    return unit_no


def unit_nos_of(
    low: uuid.UUID, requested_quantity: int, ids: bytes | memoryview
) -> NDArray[np.uint64]:
    """The same for many ids at once, 16 octets each, in their order.

    Raises RuleViolation unless the batch can have all of them.
    """
    _require_units_within(0, 0, requested_quantity)
    halves = np.frombuffer(ids, ">u8").reshape(-1, 2)
    tails = halves[:, 1].astype(np.uint64) - np.uint64(_VARIANT << TAIL_BITS)
    unit_nos: NDArray[np.uint64] = tails // np.uint64(TAIL_SPACE // requested_quantity)
    is_of_batch = (halves[:, 0] == np.uint64(_head_of(low) >> 64)) & (unit_nos < requested_quantity)
    if not is_of_batch.all():
        raise RuleViolation("not ids of this batch", f"ids from {low} to {unit_id_high(low)}")
    return unit_nos


def _uuid7(created_at_ms: int, tag: int, tail: int) -> uuid.UUID:
    return uuid.UUID(int=_uuid7_int(created_at_ms, tag, tail))


def _uuid7_int(created_at_ms: int, tag: int, tail: int) -> int:
    if not 0 <= created_at_ms < 2**_TIME_BITS:
        raise ValueError(f"a UUIDv7 has 48 bits of milliseconds, not {created_at_ms}")
    head = created_at_ms << 16 | _VERSION << TAG_BITS | tag
    return head << 64 | _VARIANT << TAIL_BITS | tail


def _head_of(low: uuid.UUID) -> int:
    if low.version != _VERSION or low.int & _TAIL_MASK:
        raise ValueError("the lowest id of a batch is a UUIDv7 with a tail of zeros")
    return low.int


def _require_units_within(first_unit_no: int, count: int, requested_quantity: int) -> None:
    if not 1 <= requested_quantity <= TAIL_SPACE:
        raise ValueError(f"a batch has 1 unit or more, not {requested_quantity}")
    if first_unit_no < 0 or count < 0 or first_unit_no + count > requested_quantity:
        raise ValueError(f"units {first_unit_no} + {count} are not within {requested_quantity}")
