"""Serials: the ones Mintage generates (SPEC §8), and checks of the ones a brand brings (SPEC §3).

A generated serial is 16 Crockford base-32 characters: the batch's prefix (a letter and four more),
ten characters of a stratified draw in unit order, a check character. Which serials exist already
is for the database to say; single GS1 values are in `gs1`.
"""

import re
from collections.abc import Sequence
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mintage.rules import gs1
from mintage.rules.draws import RandomBytes, draw_below, draws_below

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LETTERS: Final = ALPHABET[10:]
SERIAL_LENGTH: Final = 16
PREFIX_LENGTH: Final = 5
BODY_LENGTH: Final = 10
SERIAL_SPACE: Final = 32**BODY_LENGTH
LOT_CODE_DRAWN_LENGTH: Final = 10

_VALUE_OF = {character: value for value, character in enumerate(ALPHABET)}
_CHECK_POSITION = SERIAL_LENGTH - 1

# The rules of `brought_serial_problem` once more, in the form that is quick over a million values.
_GOOD_SERIAL = re.compile(
    rf"(?![{re.escape(gs1.FORMULA_STARTS)}]|\.{{1,2}}\Z|[{LETTERS}][{ALPHABET}]{{15}}\Z)"
    rf"[{re.escape(gs1.SET_82)}]{{1,{gs1.VALUE_LENGTH_MAX}}}"
)


def _powers_of_alpha() -> list[int]:
    """α⁰ … α³⁰ in GF(2⁵) with x⁵ + x² + 1, as bit patterns."""
    powers = [1]
    while len(powers) < 31:
        doubled = powers[-1] << 1
        powers.append(doubled ^ 0b100101 if doubled & 0b100000 else doubled)
    return powers


_POWERS = _powers_of_alpha()
_LOGARITHM = {power: exponent for exponent, power in enumerate(_POWERS)}


def _times_alpha(value: int, exponent: int) -> int:
    return _POWERS[(_LOGARITHM[value] + exponent) % 31] if value else 0


# A serial is one number of 80 bits, as Python reads base 32 with these digits instead of its characters.
_DIGITS = bytes.maketrans(ALPHABET.encode(), b"0123456789abcdefghijklmnopqrstuv")
# The check value is linear: each of its bits is the parity of some of the number's bits. These are they.
_CHECKED_BITS = [
    sum(
        1 << 5 * (_CHECK_POSITION - place) + bit
        for place in range(SERIAL_LENGTH)
        for bit in range(5)
        if _times_alpha(1 << bit, place) >> check_bit & 1
    )
    for check_bit in range(5)
]

# The body is written two characters (ten bits) at a time; both tables are indexed by those bits.
_PAIRS = BODY_LENGTH // 2
_PAIR_CHARACTERS = np.array(
    [(ord(left), ord(right)) for left in ALPHABET for right in ALPHABET], dtype=np.uint8
).view(np.uint16)[:, 0]
# What the pair at each place adds to the check value: Σ α^(i − 15)·xᵢ of its two characters.
_PAIR_CHECKS = np.array(
    [
        [
            _times_alpha(left, position - _CHECK_POSITION)
            ^ _times_alpha(right, position + 1 - _CHECK_POSITION)
            for left in range(32)
            for right in range(32)
        ]
        for position in range(PREFIX_LENGTH, PREFIX_LENGTH + BODY_LENGTH, 2)
    ],
    dtype=np.uint8,
)
_CHARACTERS = np.frombuffer(ALPHABET.encode(), dtype=np.uint8)


def draw_prefix(random_bytes: RandomBytes) -> str:
    """A batch's serial prefix: one letter and four characters (22·32⁴ of them).

    Whether the brand has it already is for the database's unique key to say: draw again then.
    """
    letter = LETTERS[draw_below(len(LETTERS), random_bytes)]
    return letter + _draw_characters(PREFIX_LENGTH - 1, random_bytes)


def draw_lot_code(random_bytes: RandomBytes) -> str:
    """The lot code of a batch that was given none: `L` and ten random characters (SPEC §4)."""
    return "L" + _draw_characters(LOT_CODE_DRAWN_LENGTH, random_bytes)


def _draw_characters(count: int, random_bytes: RandomBytes) -> str:
    return "".join(ALPHABET[octet & 31] for octet in random_bytes(count))


def serial_chunk(
    prefix: str, first_unit_no: int, count: int, strata: int, random_bytes: RandomBytes
) -> NDArray[np.uint8]:
    """The serials of units `first_unit_no` … `first_unit_no + count − 1` as ASCII (SPEC §8).

    Unit k (from 0) gets prefix + ten characters of k·W + random(0 … W−1), W = ⌊32¹⁰ / strata⌋, and
    the check character. Shape (count, 16), ascending in byte order. `strata` is the number of units
    of the batch, or more where its size is to stay hidden.
    Raises ValueError for a prefix of another shape and for units outside 0 … strata−1.
    """
    if not _is_prefix(prefix):
        raise ValueError("a serial prefix is a letter and four characters of the alphabet")
    if not 1 <= strata <= SERIAL_SPACE:
        raise ValueError(f"strata are 1 to 32**10, not {strata}")
    if first_unit_no < 0 or count < 0 or first_unit_no + count > strata:
        raise ValueError(f"units {first_unit_no} + {count} are not within {strata} strata")
    width = SERIAL_SPACE // strata
    bodies = np.arange(first_unit_no, first_unit_no + count, dtype=np.uint64)
    bodies *= np.uint64(width)
    bodies += draws_below(width, count, random_bytes)

    serials = np.empty((count, SERIAL_LENGTH), dtype=np.uint8)
    serials[:, :PREFIX_LENGTH] = np.frombuffer(prefix.encode("ascii"), dtype=np.uint8)
    checks = np.full(count, _weighted_sum(prefix, -_CHECK_POSITION), dtype=np.uint8)
    pairs = np.empty((count, _PAIRS), dtype=np.uint16)
    for place in range(_PAIRS):
        shift = np.uint64(10 * (_PAIRS - 1 - place))
        bits = ((bodies >> shift) & np.uint64(1023)).astype(np.intp)
        pairs[:, place] = _PAIR_CHARACTERS[bits]
        checks ^= _PAIR_CHECKS[place][bits]
    serials[:, PREFIX_LENGTH:_CHECK_POSITION] = pairs.view(np.uint8)
    serials[:, _CHECK_POSITION] = _CHARACTERS[checks]
    return serials


def _is_prefix(value: str) -> bool:
    return (
        len(value) == PREFIX_LENGTH
        and value[0] in LETTERS
        and all(character in _VALUE_OF for character in value)
    )


def _weighted_sum(characters: str, first_exponent: int) -> int:
    total = 0
    for exponent, character in enumerate(characters, first_exponent):
        total ^= _times_alpha(_VALUE_OF[character], exponent)
    return total


def is_generated_shape(value: str) -> bool:
    """True for 16 characters of the alphabet that begin with a letter: the reserved shape."""
    return len(value) == SERIAL_LENGTH and value[0] in LETTERS and _VALUE_OF.keys() >= set(value)


def has_valid_check_character(serial: str) -> bool:
    """True for a value of the generated shape with Σ αⁱ·xᵢ = 0, i = 0 … 15 from the left.

    Every wrong single character and every swap of two different characters makes it false.
    """
    return is_generated_shape(serial) and shape_has_valid_check_character(serial)


def shape_has_valid_check_character(serial: str) -> bool:
    """As `has_valid_check_character`, for a value that is known to be of the generated shape."""
    bits = int(serial.encode("ascii").translate(_DIGITS), 32)
    one, two, three, four, five = _CHECKED_BITS
    return not (
        (bits & one).bit_count() & 1
        or (bits & two).bit_count() & 1
        or (bits & three).bit_count() & 1
        or (bits & four).bit_count() & 1
        or (bits & five).bit_count() & 1
    )


def brought_serial_problem(value: str) -> str | None:
    """What is wrong with a serial that a brand brings, or None (SPEC §3)."""
    problem = gs1.serial_problem(value)
    if problem is not None:
        return problem
    if is_generated_shape(value):
        return (
            "16 characters of the serial alphabet that begin with a letter "
            "are reserved for generated serials"
        )
    return None


def first_bad_serials(values: Sequence[str], limit: int) -> list[tuple[int, str]]:
    """The first `limit` brought serials that a rule refuses, as (index, problem)."""
    is_good = _GOOD_SERIAL.fullmatch
    bad_indexes = islice((i for i, value in enumerate(values) if not is_good(value)), limit)
    return [(index, brought_serial_problem(values[index]) or "") for index in bad_indexes]


def first_duplicates(values: Sequence[str], limit: int) -> list[tuple[int, str]]:
    """The first `limit` values that stand earlier in the list already, as (index, value).

    Compares 64-bit hashes in an array (8 bytes a value, not a set of all of them) and looks at the
    strings themselves only where two hashes are equal.
    """
    hashes = np.fromiter(map(hash, values), dtype=np.int64, count=len(values))
    ordered = np.sort(hashes)
    repeated = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    duplicates: list[tuple[int, str]] = []
    if not repeated.size:
        return duplicates
    seen: set[str] = set()
    for index in np.flatnonzero(np.isin(hashes, repeated)).tolist():
        value = values[index]
        if value not in seen:
            seen.add(value)
            continue
        if len(duplicates) == limit:
            break
        duplicates.append((index, value))
    return duplicates
