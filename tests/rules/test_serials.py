"""Serials, generated and brought: SPEC §8 and §3."""

import itertools
import string

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mintage.rules import gs1, serials
from tests.rules.randomness import seeded_bytes, set_82_values

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
PREFIX = "K7Q2Z"


def texts(chunk: NDArray[np.uint8]) -> list[str]:
    return [bytes(row).decode("ascii") for row in chunk]


def body_of(serial: str) -> int:
    """The ten characters between prefix and check character as a number."""
    return int(
        "".join("0123456789abcdefghijklmnopqrstuv"[CROCKFORD.index(c)] for c in serial[5:15]), 32
    )


def times(left: int, right: int) -> int:
    """Multiplication in GF(2⁵) with x⁵ + x² + 1, the school way: nothing of it is shared."""
    product = 0
    for bit in range(5):
        if right >> bit & 1:
            product ^= left << bit
    for bit in range(8, 4, -1):
        if product >> bit & 1:
            product ^= 0b100101 << (bit - 5)
    return product


def checksum(serial: str) -> int:
    """Σ αⁱ·xᵢ with α = x."""
    total, weight = 0, 1
    for character in serial:
        total ^= times(weight, CROCKFORD.index(character))
        weight = times(weight, 2)
    return total


def sample(count: int, seed: int) -> list[str]:
    """Serials of different prefixes."""
    source = seeded_bytes(seed)
    return [
        texts(serials.serial_chunk(serials.draw_prefix(source), k, 1, count, source))[0]
        for k in range(count)
    ]


@given(st.integers(0, 2**32))
def test_a_prefix_is_a_letter_and_four_characters(seed: int) -> None:
    prefix = serials.draw_prefix(seeded_bytes(seed))
    assert len(prefix) == 5
    assert prefix[0] in CROCKFORD[10:]
    assert set(prefix) <= set(CROCKFORD)


def test_prefixes_begin_with_every_letter_and_hold_every_character() -> None:
    source = seeded_bytes(7)
    prefixes = [serials.draw_prefix(source) for _ in range(2_000)]
    assert {prefix[0] for prefix in prefixes} == set(CROCKFORD[10:])
    for place in range(1, 5):
        assert {prefix[place] for prefix in prefixes} == set(CROCKFORD)


def test_a_drawn_lot_code_is_l_and_ten_characters_and_a_legal_lot_code() -> None:
    source = seeded_bytes(8)
    codes = {serials.draw_lot_code(source) for _ in range(1_000)}
    assert len(codes) == 1_000
    for code in codes:
        assert code[0] == "L"
        assert len(code) == 11
        assert set(code[1:]) <= set(CROCKFORD)
        assert gs1.lot_code_problem(code) is None


@given(
    st.integers(1, 1_000_000).flatmap(
        lambda strata: st.tuples(st.just(strata), st.integers(0, strata - 1))
    ),
    st.integers(1, 40),
    st.integers(0, 2**32),
)
def test_every_unit_lies_in_its_own_stratum(
    strata_and_first: tuple[int, int], count: int, seed: int
) -> None:
    strata, first = strata_and_first
    count = min(count, strata - first)
    width = 32**10 // strata
    chunk = texts(serials.serial_chunk(PREFIX, first, count, strata, seeded_bytes(seed)))
    assert chunk == sorted(chunk)
    for unit_no, serial in enumerate(chunk, first):
        assert serial.startswith(PREFIX)
        assert body_of(serial) // width == unit_no
        assert checksum(serial) == 0
        assert serials.has_valid_check_character(serial)
        assert serials.is_generated_shape(serial)
        assert gs1.serial_problem(serial) is None


def test_the_draw_reaches_both_ends_of_a_stratum() -> None:
    strata, width = 1 << 20, 1 << 30
    lowest = texts(serials.serial_chunk(PREFIX, 5, 1, strata, bytes))[0]
    highest = texts(serials.serial_chunk(PREFIX, 5, 1, strata, lambda n: b"\xff" * n))[0]
    assert body_of(lowest) == 5 * width
    assert body_of(highest) == 6 * width - 1


def test_one_stratum_is_the_whole_space() -> None:
    highest = texts(serials.serial_chunk(PREFIX, 0, 1, 1, lambda n: b"\xff" * n))[0]
    assert body_of(highest) == 32**10 - 1


def test_an_empty_chunk_has_no_serials() -> None:
    assert serials.serial_chunk(PREFIX, 10, 0, 10, seeded_bytes(1)).shape == (0, 16)


@pytest.mark.parametrize(
    ("prefix", "first", "count", "strata"),
    [
        ("17Q2Z", 0, 1, 1),
        ("K7Q2", 0, 1, 1),
        ("K7Q2U", 0, 1, 1),
        ("k7q2z", 0, 1, 1),
        (PREFIX, -1, 1, 10),
        (PREFIX, 0, -1, 10),
        (PREFIX, 10, 1, 10),
        (PREFIX, 0, 1, 0),
        (PREFIX, 0, 1, 32**10 + 1),
    ],
)
def test_units_and_prefixes_that_cannot_be_are_refused(
    prefix: str, first: int, count: int, strata: int
) -> None:
    with pytest.raises(ValueError, match=r"prefix|strata"):
        serials.serial_chunk(prefix, first, count, strata, seeded_bytes(1))


def test_the_check_character_catches_every_wrong_character() -> None:
    for serial in sample(40, seed=11):
        for place in range(16):
            for character in set(CROCKFORD) - {serial[place]}:
                wrong = serial[:place] + character + serial[place + 1 :]
                assert checksum(wrong) != 0
                assert not serials.has_valid_check_character(wrong)


def test_the_check_character_catches_every_swap_of_two() -> None:
    for serial in sample(40, seed=12):
        for left, right in itertools.combinations(range(16), 2):
            if serial[left] == serial[right]:
                continue
            swapped = list(serial)
            swapped[left], swapped[right] = swapped[right], swapped[left]
            assert checksum("".join(swapped)) != 0
            assert not serials.has_valid_check_character("".join(swapped))


def test_one_in_32_guesses_passes_the_check_character() -> None:
    source = seeded_bytes(13)
    guesses = ["K" + "".join(CROCKFORD[b & 31] for b in source(15)) for _ in range(20_000)]
    passed = sum(map(serials.has_valid_check_character, guesses))
    assert 500 < passed < 750
    assert passed == sum(checksum(guess) == 0 for guess in guesses)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "K7Q2Z",
        "1" * 16,
        "K" + "0" * 14,
        "K" + "0" * 16,
        "k" + "0" * 15,
        "K" + "U" * 15,
        "é" * 16,
    ],
)
def test_other_shapes_are_no_generated_serials(value: str) -> None:
    assert not serials.is_generated_shape(value)
    assert not serials.has_valid_check_character(value)


def test_a_brought_serial_may_not_have_the_generated_shape() -> None:
    generated = sample(1, seed=14)[0]
    wrong_check = generated[:-1] + CROCKFORD[(CROCKFORD.index(generated[-1]) + 1) % 32]
    for reserved in (generated, wrong_check, "K" + "0" * 15):
        assert "reserved" in (serials.brought_serial_problem(reserved) or "")
    for free in (generated[:-1], generated + "0", generated.lower(), "0" + generated[1:]):
        assert serials.brought_serial_problem(free) is None


shapes = st.one_of(
    set_82_values,
    st.text(max_size=22),
    st.text(alphabet=CROCKFORD, min_size=15, max_size=17),
    st.sampled_from(["", ".", "..", "...", "=1", "+1", "-1", "@1", "A\n", "\nA", "A" * 16 + "\n"]),
)


@given(st.lists(shapes, max_size=30), st.integers(0, 10))
def test_the_quick_check_of_many_agrees_with_the_check_of_one(
    values: list[str], limit: int
) -> None:
    expected = [
        (index, problem)
        for index, value in enumerate(values)
        if (problem := serials.brought_serial_problem(value)) is not None
    ]
    assert serials.first_bad_serials(values, limit) == expected[:limit]


@given(st.lists(st.sampled_from(string.ascii_lowercase), max_size=60), st.integers(0, 10))
def test_duplicates_are_found_in_order(values: list[str], limit: int) -> None:
    expected = [(i, value) for i, value in enumerate(values) if value in values[:i]]
    assert serials.first_duplicates(values, limit) == expected[:limit]


def test_a_million_serials_with_three_faults_are_told_apart() -> None:
    values = [f"S{number:07}" for number in range(1_000_000)]
    values[77] = "S 77"
    values[999_998] = "."
    values[500_000] = values[499_999]
    assert [index for index, _ in serials.first_bad_serials(values, 100)] == [77, 999_998]
    assert serials.first_duplicates(values, 100) == [(500_000, "S0499999")]
