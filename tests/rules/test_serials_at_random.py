"""What generated serials look like in bulk: distinct, even, and without a thread to pull."""

import numpy as np
from numpy.typing import NDArray

from mintage.rules import serials
from tests.rules.randomness import seeded_bytes

CHUNK = 20_000
# The quantile of chi-square with 31 degrees of freedom that one draw in a million exceeds.
CHI_SQUARE_31_MAX = 83.0

_VALUES = np.zeros(256, dtype=np.uint64)
_VALUES[np.frombuffer(serials.ALPHABET.encode(), dtype=np.uint8)] = np.arange(32, dtype=np.uint64)


def chunks(prefix: str, count: int, seed: int) -> list[NDArray[np.uint8]]:
    source = seeded_bytes(seed)
    return [
        serials.serial_chunk(prefix, first, min(CHUNK, count - first), count, source)
        for first in range(0, count, CHUNK)
    ]


def bodies_of(chunk: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """The fifty bits between prefix and check character."""
    bodies = np.zeros(len(chunk), dtype=np.uint64)
    for place in range(5, 15):
        bodies = bodies << np.uint64(5) | _VALUES[chunk[:, place]]
    return bodies


def test_200_000_serials_are_distinct_and_check() -> None:
    rows = np.concatenate(chunks("K7Q2Z", 200_000, seed=21))
    texts = rows.view("S16")[:, 0].tolist()
    assert len(set(texts)) == 200_000
    assert texts == sorted(texts)
    assert all(serials.has_valid_check_character(text.decode()) for text in texts[::97])


def test_every_place_uses_all_characters_evenly() -> None:
    rows = np.concatenate(chunks("K7Q2Z", 200_000, seed=22))
    for place in range(5, 16):
        counts = np.bincount(_VALUES[rows[:, place]].astype(np.intp), minlength=32)
        chi_square = ((counts - 6250.0) ** 2 / 6250.0).sum()
        assert chi_square < CHI_SQUARE_31_MAX, (place, counts)


def test_neighbours_tell_nothing_beyond_their_strata() -> None:
    count = 200_000
    width = 32**10 // count
    bodies = bodies_of(np.concatenate(chunks("K7Q2Z", count, seed=23)))
    offsets = (bodies - np.arange(count, dtype=np.uint64) * np.uint64(width)).astype(np.float64)
    offsets /= width
    assert offsets.min() >= 0
    assert offsets.max() < 1
    bound = 5 / np.sqrt(count)
    for lag in (1, 2, 3, 7, 100, CHUNK):
        correlation = np.corrcoef(offsets[:-lag], offsets[lag:])[0, 1]
        assert abs(correlation) < bound, lag
    counts = np.histogram(offsets, bins=32, range=(0, 1))[0]
    assert ((counts - 6250.0) ** 2 / 6250.0).sum() < CHI_SQUARE_31_MAX


def test_the_same_units_of_two_batches_have_nothing_in_common() -> None:
    first = bodies_of(np.concatenate(chunks("K7Q2Z", 100_000, seed=24)))
    second = bodies_of(np.concatenate(chunks("K7Q30", 100_000, seed=25)))
    assert np.count_nonzero(first == second) == 0


def test_a_blind_guess_in_a_known_batch_of_a_million_hits_once_in_a_billion() -> None:
    assert serials.SERIAL_SPACE // 1_000_000 > 10**9


def test_ten_million_serials_are_distinct() -> None:
    """Distinct mixtures of a serial's two halves are distinct serials: 80 MB, not 160."""
    count = 10_000_000
    mixtures = np.empty(count, dtype=np.uint64)
    source = seeded_bytes(26)
    for first in range(0, count, CHUNK):
        halves = serials.serial_chunk("K7Q2Z", first, CHUNK, count, source).view("<u8")
        high, low = halves[:, 0], halves[:, 1]
        mixtures[first : first + CHUNK] = high * np.uint64(0x9E3779B97F4A7C15) ^ low
    mixtures.sort()
    assert np.count_nonzero(mixtures[1:] == mixtures[:-1]) == 0
